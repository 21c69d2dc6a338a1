"""A pretrained f_theta: theta starts at the denoiser's weights, and goes on on the one picture.

The global prior is in theta's start, the local one in its optimisation. No clean picture is needed. Where A = 1, with n
drawn anew at each step, y + a n and y - n / a have independent noise, so that the minimum over theta of

    E |D_theta(y + a n; sqrt(1 + a^2) sigma) - (y - n / a)|^2

is the denoiser of this picture (Pang et al., "Recorrupted-to-Recorrupted", CVPR 2021). Where A makes the picture
smaller, y is a clean picture of the same things at another scale, and theta learns to denoise that,

    E |D_theta(y + s n; s) - y|^2 / s^2,  s uniform up to where plug-and-play begins

(Tirer and Giryes, "Super-Resolution via Image-Adapted Denoising CNNs", IEEE SPL 2019; after Shocher, Cohen and Irani,
"Zero-Shot Super-Resolution", CVPR 2018). Elsewhere there is no such pair: on a picture with holes, learning from what
plug-and-play made of it gained as often as it lost.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch

from hybridprior.denoisers import Denoiser
from hybridprior.fidelity import Gaussian
from hybridprior.operators import Identity, Resample
from hybridprior.problem import Problem
from hybridprior.seeds import stream

__all__ = ["Tuned"]

LARGEST = 10_000_000
"""Parameters above which a network takes too long to go on."""

A = 0.5
"""a, as Pang et al. have it."""

LEVELS = (1 / 255, 50 / 255)
"""s on the picture at another scale, from and to, in units of intensity."""

BATCH = 4
"""Noise levels in a step there."""

EVERY, SELDOM = 10, 20
"""Steps between two looks of the judge where A = 1, and where each takes all of plug-and-play."""

PATIENCE = 2
"""Looks without a better picture after which it ends."""

Restored = Callable[[Denoiser, Problem], torch.Tensor]


class Tuned:
    """The denoiser, tuned to one picture for as many steps as its judge liked."""

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        steps: int,
        rate: float,
        seed: int,
        restored: Restored,
        look_up: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the denoiser as the start.

        Args:
            denoiser: It is copied.
            steps: The most steps.
            rate: Adam's step size.
            seed: Of the noise.
            restored: Makes the picture `(1, C, H, W)` of a denoiser and measurements.
            look_up: Called at each step; it raises to break off.
        """
        self.denoiser, self.most, self.rate, self.seed = denoiser, steps, rate, seed
        self.restored, self.look_up = restored, look_up
        self.steps = 0
        """The steps that were best."""

    def possible(self, problem: Problem) -> bool:
        """Return whether there are weights to tune, not too many, and something to tune them on."""
        gaussian = isinstance(problem.fidelity, Gaussian)
        paired = gaussian and isinstance(problem.operator, Identity if problem.noisy else Resample)
        return paired and self.most > 0 and 0 < sum(p.numel() for p in self.denoiser.parameters()) <= LARGEST

    def judged(self, problem: Problem, judge: Problem) -> torch.Tensor | None:
        """Return the picture `(1, C, H, W)` at the step that the judge liked best; None if that is the start.

        Args:
            problem: Measurements for which it is `possible`.
            judge: Others, whose noise is independent.
        """
        network, optimiser, rng = self._begun()
        every, best = EVERY if isinstance(problem.operator, Identity) else SELDOM, math.inf
        found: torch.Tensor | None = None
        since = self.steps = 0
        for step in range(self.most + 1):
            if step % every == 0:
                picture = self.restored(network, problem)
                error = float(judge.error(picture))
                since = 0 if error < best else since + 1
                if error < best:
                    best, found, self.steps = error, picture, step
                if since == PATIENCE:
                    break
            if not self._step(network, optimiser, rng, problem):
                break
        return found if self.steps else None

    def again(self, problem: Problem) -> torch.Tensor:
        """Return the picture `(1, C, H, W)` of other measurements after as many steps as were best.

        Args:
            problem: The measurements.
        """
        network, optimiser, rng = self._begun()
        for _ in range(self.steps):
            self._step(network, optimiser, rng, problem)
        return self.restored(network, problem)

    def _begun(self) -> tuple[Denoiser, torch.optim.Optimizer, torch.Generator]:
        network = copy.deepcopy(self.denoiser).requires_grad_(True)
        return network, torch.optim.Adam(network.parameters(), lr=self.rate), stream(self.seed, "tuned")

    def _step(
        self, network: Denoiser, optimiser: torch.optim.Optimizer, rng: torch.Generator, problem: Problem
    ) -> bool:
        """Take a step; return False if the network has no gradient."""
        self.look_up()
        with torch.enable_grad():
            lesson = _recorrupted if isinstance(problem.operator, Identity) else _of_another_scale
            loss = lesson(network, problem, rng)
        if not loss.requires_grad or not bool(torch.isfinite(loss)):
            return False
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return True


def _recorrupted(network: Denoiser, problem: Problem, rng: torch.Generator) -> torch.Tensor:
    """Return the error of the one recorruption, denoised, against the other."""
    y, sigma = problem.y, problem.fidelity.sigma
    noise = sigma * torch.randn(y.shape, generator=rng).to(y)
    x = network.denoise(y + A * noise, math.sqrt(1 + A**2) * sigma, look=int(torch.randint(4, (), generator=rng)))
    return (x - (y - noise / A)).square().mean()


def _of_another_scale(network: Denoiser, problem: Problem, rng: torch.Generator) -> torch.Tensor:
    """Return the error on the small picture itself, turned, with noise of several levels."""
    turn = int(torch.randint(4, (), generator=rng))
    y = torch.rot90(problem.filled(), turn, (2, 3)).expand(BATCH, -1, -1, -1)
    low, high = LEVELS
    level = (low + (high - low) * torch.rand(BATCH, generator=rng)).to(y)
    scale = level[:, None, None, None]
    x = network.denoise(y + scale * torch.randn(y.shape, generator=rng).to(y), level, look=0)
    return ((x - y) / scale).square().mean()
