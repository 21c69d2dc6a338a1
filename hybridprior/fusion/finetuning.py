"""A pretrained f_theta: theta starts at the denoiser's weights, and goes on on the one image.

The global prior is in theta's start, the local one in its optimisation. No clean image is needed. Where A = 1 there
are two lessons. The first is what the denoiser made of the image, with n drawn anew at each step: theta learns

    E |D_theta(x + n; sigma) - x|^2,  x = D(y; sigma)

(Vaksman, Elad, Milanfar, "LIDIA", CVPR Workshops 2020), so that what x repeats is known by heart. The second is y
itself: y + a n and y - n / a have independent noise, and the minimum over theta of

    E |D_theta(y + a n; sqrt(1 + a^2) sigma) - (y - n / a)|^2

is the denoiser of this image (Pang et al., "Recorrupted-to-Recorrupted", CVPR 2021), which may put back what x has
lost. Where A makes the image smaller, y is a clean image of the same things at another scale, and theta learns to
denoise that,

    E |D_theta(y + s n; s) - y|^2 / s^2,  s uniform up to where plug-and-play begins

(Tirer and Giryes, "Super-Resolution via Image-Adapted Denoising CNNs", IEEE SPL 2019; after Shocher, Cohen and Irani,
"Zero-Shot Super-Resolution", CVPR 2018). Elsewhere there is nothing to learn from: on an image with holes, what
plug-and-play made of it taught the wrong things as often as the right ones.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

import torch

from hybridprior._internal.random import stream
from hybridprior.denoisers import Denoiser
from hybridprior.fidelities import Gaussian
from hybridprior.problem import Problem

__all__ = ["DenoiserFinetuner"]

LARGEST = 10_000_000
"""Parameters above which a network takes too long to go on."""

A = 0.5
"""a, as Pang et al. have it."""

LEVELS = (1 / 255, 50 / 255)
"""s on the image at another scale, from and to, in units of intensity."""

BATCH = 4
"""Noise levels in a step there."""

PATCH = 256
"""Side of the part of the image that a step looks at, drawn anew each time."""

EVERY = 20
"""Steps between two looks of the judge."""

PATIENCE = 2
"""Looks without a better image after which a lesson ends."""

Restored = Callable[[Denoiser, Problem], torch.Tensor]
Objective = Callable[[Denoiser, torch.Tensor, torch.Tensor, float, torch.Generator], torch.Tensor]
"""Makes the loss of D_theta on a part of y, x there, sigma and random numbers."""


class DenoiserFinetuner:
    """The denoiser, tuned to one image for as many steps as its judge liked."""

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        steps: int,
        rate: float,
        seed: int,
        restored: Restored,
        raise_if_interrupted: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the denoiser as the start.

        Args:
            denoiser: It is copied.
            steps: The most steps of a lesson.
            rate: Adam's step size.
            seed: Of the noise.
            restored: Makes the image `(1, C, H, W)` of a denoiser and measurements.
            raise_if_interrupted: Called at each step; it raises to break off.
        """
        self.denoiser, self.most, self.rate, self.seed = denoiser, steps, rate, seed
        self.restored, self.raise_if_interrupted = restored, raise_if_interrupted
        self.steps: tuple[int, ...] = ()
        """The steps of each lesson that were best."""
        self.network = denoiser
        """The network after these."""
        self.found: torch.Tensor | None = None
        """The judge's image, once the lessons are over."""
        self.over = False

    def is_applicable(self, problem: Problem) -> bool:
        """Return whether there are weights to tune, not too many, and something to tune them on."""
        gaussian = isinstance(problem.fidelity, Gaussian)
        operator = problem.operator
        paired = operator.is_identity if problem.noisy else operator.downscale is not None
        return (
            gaussian and paired and self.most > 0 and 0 < sum(p.numel() for p in self.denoiser.parameters()) <= LARGEST
        )

    def best_image(self, problem: Problem, validation: Problem) -> torch.Tensor | None:
        """Return the image `(1, C, H, W)` at the steps that the judge liked best; None if that is the start.

        The lessons are taken once; asked again, the answer is the same.

        Args:
            problem: Measurements for which it is `possible`.
            validation: Others, whose noise is independent.
        """
        if self.over:
            return self.found
        network, start = copy.deepcopy(self.denoiser), self.restored(self.denoiser, problem)
        found, least, self.steps = start, float(validation.error(start)), ()
        for objective in _objectives(problem):
            best, steps, since = copy.deepcopy(network), 0, 0
            for step in self._training_steps(network, objective, self.most, problem, start):
                if step % EVERY and step < self.most:
                    continue
                image = self.restored(network, problem)
                error = float(validation.error(image))
                since = 0 if error < least else since + 1
                if error < least:
                    found, least, best, steps = image, error, copy.deepcopy(network), step
                if since == PATIENCE:
                    break
            network, self.steps = best, (*self.steps, steps)
        self.network, self.over = network, True
        self.found = found if any(self.steps) else None
        return self.found

    def refit(self, problem: Problem) -> torch.Tensor:
        """Return the image `(1, C, H, W)` of all the measurements.

        Where A = 1 the network stays as the lessons left it: with y in place of its noisier part they end where they
        did. A small image without holes is another one to learn from, and the lesson begins anew.

        Args:
            problem: The measurements.
        """
        if problem.operator.is_identity:
            return self.restored(self.network, problem)
        network = copy.deepcopy(self.denoiser)
        for objective, steps in zip(_objectives(problem), self.steps, strict=True):
            for _ in self._training_steps(network, objective, steps, problem, problem.y):
                pass
        return self.restored(network, problem)

    def _training_steps(
        self, network: Denoiser, objective: Objective, steps: int, problem: Problem, start: torch.Tensor
    ) -> Iterator[int]:
        """Yield the number of each step on the network, until one has no gradient."""
        optimiser = torch.optim.Adam(network.requires_grad_(True).parameters(), lr=self.rate)
        rng = stream(self.seed, "tuned")
        for step in range(1, steps + 1):
            self.raise_if_interrupted()
            with torch.enable_grad():
                loss = objective(network, *_part(problem, start, rng), problem.fidelity.sigma, rng)
            if not loss.requires_grad or not bool(torch.isfinite(loss)):
                return
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            yield step


def _objectives(problem: Problem) -> tuple[Objective, ...]:
    """Return what there is to learn from, in the order in which it is."""
    return (
        (internal_adaptation_loss, recorrupted_to_recorrupted_loss)
        if problem.operator.is_identity
        else (cross_scale_loss,)
    )


def _part(problem: Problem, start: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a part of y and what the denoiser made of it, which where A is not 1 is y again."""
    y = problem.filled()
    x = start if start.shape == y.shape else y
    rows, columns = (min(PATCH, side) for side in y.shape[-2:])
    top = int(torch.randint(y.shape[-2] - rows + 1, (), generator=rng))
    left = int(torch.randint(y.shape[-1] - columns + 1, (), generator=rng))
    part = (..., slice(top, top + rows), slice(left, left + columns))
    return y[part], x[part]


def internal_adaptation_loss(
    network: Denoiser, y: torch.Tensor, x: torch.Tensor, sigma: float, rng: torch.Generator
) -> torch.Tensor:
    """Return the error on what the denoiser made of the image, with noise like y's."""
    noise, look = sigma * torch.randn(x.shape, generator=rng).to(x), int(torch.randint(4, (), generator=rng))
    return (network.denoise(x + noise, sigma, look=look) - x).square().mean()


def recorrupted_to_recorrupted_loss(
    network: Denoiser, y: torch.Tensor, x: torch.Tensor, sigma: float, rng: torch.Generator
) -> torch.Tensor:
    """Return the error of the one recorruption, denoised, against the other."""
    noise, look = sigma * torch.randn(y.shape, generator=rng).to(y), int(torch.randint(4, (), generator=rng))
    found = network.denoise(y + A * noise, math.sqrt(1 + A**2) * sigma, look=look)
    return (found - (y - noise / A)).square().mean()


def cross_scale_loss(
    network: Denoiser, y: torch.Tensor, x: torch.Tensor, sigma: float, rng: torch.Generator
) -> torch.Tensor:
    """Return the error on the small image itself, turned, with noise of several levels."""
    turn = int(torch.randint(4, (), generator=rng))
    y = torch.rot90(y, turn, (2, 3)).expand(BATCH, -1, -1, -1)
    low, high = LEVELS
    level = (low + (high - low) * torch.rand(BATCH, generator=rng)).to(y)
    scale = level[:, None, None, None]
    found = network.denoise(y + scale * torch.randn(y.shape, generator=rng).to(y), level, look=0)
    return ((found - y) / scale).square().mean()
