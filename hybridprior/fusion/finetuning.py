"""The fine-tuned denoiser: training of a pretrained denoiser is continued on the one image, without a clean image.

Where A = 1 there are two objectives, one after the other. The first is internal adaptation (Vaksman, Elad, Milanfar,
"LIDIA", CVPR Workshops 2020) on the denoiser's own image x = D(y; sigma), with n drawn at each step:

    E |D_theta(x + n; sigma) - x|^2

The second is recorrupted-to-recorrupted training (Pang et al., CVPR 2021) on y, in which y + a n and y - n / a have
independent noise,

    E |D_theta(y + a n; sqrt(1 + a^2) sigma) - (y - n / a)|^2

and which can restore what x has lost. Where A is a reduction, y is a clean image of the same content at another scale,
and theta is trained to denoise it (Tirer and Giryes, "Super-Resolution via Image-Adapted Denoising CNNs", IEEE SPL
2019; after Shocher, Cohen and Irani, "Zero-Shot Super-Resolution", CVPR 2018):

    E |D_theta(y + s n; s) - y|^2 / s^2,  s uniform up to the first noise level of plug-and-play

Other operators have no such data: training on the plug-and-play image of an image with holes was as often worse as
better.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

import torch

from hybridprior._internal.random import stream
from hybridprior.denoisers import Denoiser
from hybridprior.fusion.config import FinetuneConfig
from hybridprior.problem import Problem, Split

__all__ = [
    "OBJECTIVES",
    "DenoiserFinetuner",
    "cross_scale_loss",
    "internal_adaptation_loss",
    "recorrupted_to_recorrupted_loss",
]

Restore = Callable[[Denoiser, Problem], torch.Tensor]
Objective = Callable[[Denoiser, torch.Tensor, torch.Tensor, float, torch.Generator, FinetuneConfig], torch.Tensor]
"""Function of D_theta, a patch of y, the same patch of x, sigma, random numbers and the configuration: the loss."""


class DenoiserFinetuner:
    """A denoiser, fine-tuned on one image for as many steps as the validation error falls."""

    def __init__(
        self,
        denoiser: Denoiser,
        objectives: str | None,
        *,
        config: FinetuneConfig,
        seed: int,
        restore: Restore,
        raise_if_interrupted: Callable[[], None] = lambda: None,
    ) -> None:
        """Start from a pretrained denoiser.

        Args:
            denoiser: It is copied.
            objectives: A key of `OBJECTIVES`, or None for no fine-tuning.
            config: Steps, learning rate and the numbers of the objectives.
            seed: Seed of the noise.
            restore: Function of a denoiser and measurements that returns the image `(1, C, H, W)`.
            raise_if_interrupted: Called at each step; it raises to end the fine-tuning.
        """
        self.denoiser, self.objectives, self.config, self.seed = denoiser, objectives, config, seed
        self.restore, self.raise_if_interrupted = restore, raise_if_interrupted
        self.steps: tuple[int, ...] = ()
        """The best number of steps on each objective."""
        self.network = denoiser
        """The denoiser after these."""
        self.image: torch.Tensor | None = None
        """The image of the training measurements, once it is fine-tuned."""
        self.finished = False

    @property
    def is_applicable(self) -> bool:
        """Whether there are objectives, steps, and weights to train, but not too many."""
        count = sum(p.numel() for p in self.denoiser.parameters())
        return self.objectives is not None and self.config.steps > 0 and 0 < count <= self.config.max_parameters

    def best_image(self, split: Split) -> torch.Tensor | None:
        """Return the image `(1, C, H, W)` at the steps of the least validation error; None if that is the start.

        The denoiser is fine-tuned once; a second call returns the same image.

        Args:
            split: The measurements; the denoiser sees the training part.
        """
        if self.finished:
            return self.image
        problem, validation = split
        network, start = copy.deepcopy(self.denoiser), self.restore(self.denoiser, problem)
        image, least, self.steps = start, float(validation.error(start)), ()
        for objective in self._objectives():
            best, steps, since = copy.deepcopy(network), 0, 0
            for step in self._train(network, objective, self.config.steps, problem, start):
                if step % self.config.check_every and step < self.config.steps:
                    continue
                now = self.restore(network, problem)
                error = float(validation.error(now))
                since = 0 if error < least else since + 1
                if error < least:
                    image, least, best, steps = now, error, copy.deepcopy(network), step
                if since == self.config.patience:
                    break
            network, self.steps = best, (*self.steps, steps)
        self.network, self.finished = network, True
        self.image = image if any(self.steps) else None
        return self.image

    def refit(self, problem: Problem) -> torch.Tensor:
        """Return the image `(1, C, H, W)` of all measurements.

        Where A = 1 the network stays as it is: fine-tuning on y in place of its recorruption ends where it did. A small
        image without held-out pixels is other training data, and the denoiser is fine-tuned on it from the start.

        Args:
            problem: All measurements.
        """
        if self.objectives == "denoising":
            return self.restore(self.network, problem)
        network = copy.deepcopy(self.denoiser)
        for objective, steps in zip(self._objectives(), self.steps, strict=True):
            for _ in self._train(network, objective, steps, problem, problem.y):
                pass
        return self.restore(network, problem)

    def _objectives(self) -> tuple[Objective, ...]:
        return OBJECTIVES[self.objectives] if self.objectives is not None else ()

    def _train(
        self, network: Denoiser, objective: Objective, steps: int, problem: Problem, start: torch.Tensor
    ) -> Iterator[int]:
        """Yield the number of each step on the network, until a loss is not finite or has no gradient."""
        optimiser = torch.optim.Adam(network.requires_grad_(True).parameters(), lr=self.config.learning_rate)
        rng = stream(self.seed, "tuned")
        for step in range(1, steps + 1):
            self.raise_if_interrupted()
            with torch.enable_grad():
                y, x = _patch(problem, start, rng, self.config.patch_size)
                loss = objective(network, y, x, problem.fidelity.sigma, rng, self.config)
            if not loss.requires_grad or not bool(torch.isfinite(loss)):
                return
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            yield step


def _patch(problem: Problem, start: torch.Tensor, rng: torch.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a random patch of y and of the denoiser's image, or y again where that has another size."""
    y = problem.filled()
    x = start if start.shape == y.shape else y
    rows, columns = (min(size, side) for side in y.shape[-2:])
    top = int(torch.randint(y.shape[-2] - rows + 1, (), generator=rng))
    left = int(torch.randint(y.shape[-1] - columns + 1, (), generator=rng))
    part = (..., slice(top, top + rows), slice(left, left + columns))
    return y[part], x[part]


def internal_adaptation_loss(
    network: Denoiser, y: torch.Tensor, x: torch.Tensor, sigma: float, rng: torch.Generator, config: FinetuneConfig
) -> torch.Tensor:
    """Return the squared error of denoising the denoiser's own image x with new noise, a scalar.

    Example:
        >>> from hybridprior.denoisers import load_denoiser
        >>> same, x, rng = load_denoiser(lambda x, sigma: x), torch.rand(1, 3, 32, 32), torch.Generator().manual_seed(0)
        >>> loss = internal_adaptation_loss(same, x, x, 0.1, rng, FinetuneConfig())
        >>> 0.009 < float(loss) < 0.011  # sigma^2
        True
    """
    noise, view = sigma * torch.randn(x.shape, generator=rng).to(x), int(torch.randint(4, (), generator=rng))
    return (network.denoise(x + noise, sigma, view=view) - x).square().mean()


def recorrupted_to_recorrupted_loss(
    network: Denoiser, y: torch.Tensor, x: torch.Tensor, sigma: float, rng: torch.Generator, config: FinetuneConfig
) -> torch.Tensor:
    """Return the squared difference of one recorruption of y, denoised, and the other, a scalar.

    Example:
        >>> from hybridprior.denoisers import load_denoiser
        >>> same, y, rng = load_denoiser(lambda x, sigma: x), torch.rand(1, 3, 32, 32), torch.Generator().manual_seed(0)
        >>> loss = recorrupted_to_recorrupted_loss(same, y, y, 0.1, rng, FinetuneConfig())
        >>> 0.055 < float(loss) < 0.07  # (0.5 + 1 / 0.5)^2 sigma^2
        True
    """
    a = config.recorruption
    noise, view = sigma * torch.randn(y.shape, generator=rng).to(y), int(torch.randint(4, (), generator=rng))
    denoised = network.denoise(y + a * noise, math.sqrt(1 + a**2) * sigma, view=view)
    return (denoised - (y - noise / a)).square().mean()


def cross_scale_loss(
    network: Denoiser, y: torch.Tensor, x: torch.Tensor, sigma: float, rng: torch.Generator, config: FinetuneConfig
) -> torch.Tensor:
    """Return the squared error of denoising y at several noise levels, in units of sigma^2, a scalar.

    Example:
        >>> from hybridprior.denoisers import load_denoiser
        >>> same, y, rng = load_denoiser(lambda x, sigma: x), torch.rand(1, 3, 32, 32), torch.Generator().manual_seed(0)
        >>> loss = cross_scale_loss(same, y, y, 0.0, rng, FinetuneConfig())
        >>> 0.9 < float(loss) < 1.1
        True
    """
    turn, batch = int(torch.randint(4, (), generator=rng)), config.batch_size
    y = torch.rot90(y, turn, (2, 3)).expand(batch, -1, -1, -1)
    low, high = config.sigma_min, config.sigma_max
    level = (low + (high - low) * torch.rand(batch, generator=rng)).to(y)
    scale = level[:, None, None, None]
    denoised = network.denoise(y + scale * torch.randn(y.shape, generator=rng).to(y), level, view=0)
    return ((denoised - y) / scale).square().mean()


OBJECTIVES: dict[str, tuple[Objective, ...]] = {
    "denoising": (internal_adaptation_loss, recorrupted_to_recorrupted_loss),
    "cross_scale": (cross_scale_loss,),
}
"""The objectives of fine-tuning, in their order, by the name in `FusionStrategy.finetuning`."""
