"""A pretrained f_theta: theta starts at the denoiser's weights, and goes on on the one picture.

The global prior is in theta's start, the local one in its optimisation. With n drawn anew at each step, y + a n and
y - n / a have independent noise, so that the minimum over theta of

    E |D_theta(y + a n; sqrt(1 + a^2) sigma) - (y - n / a)|^2

is the denoiser of this picture, and no clean one is needed (Pang et al., "Recorrupted-to-Recorrupted", CVPR 2021).
Where A is not 1 there is no such pair, and fitting E(A D_theta(u); y) moved the picture by hundredths of a decibel.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch

from hybridprior.denoisers import Denoiser
from hybridprior.problem import Problem
from hybridprior.seeds import stream

__all__ = ["Tuned"]

LARGEST = 10_000_000
"""Parameters above which a network takes too long to go on."""

A = 0.5
"""a, as Pang et al. have it."""

EVERY = 10
"""Steps between two looks of the judge."""

PATIENCE = 2
"""Looks without a better picture after which it ends."""


class Tuned:
    """The denoiser, tuned to one picture for as many steps as its judge liked."""

    def __init__(self, denoiser: Denoiser, *, steps: int, rate: float, seed: int, look_up: Callable[[], None]) -> None:
        """Take the denoiser as the start.

        Args:
            denoiser: It is copied.
            steps: The most steps.
            rate: Adam's step size.
            seed: Of the noise.
            look_up: Called at each step; it raises to break off.
        """
        self.denoiser, self.most, self.rate, self.seed, self.look_up = denoiser, steps, rate, seed, look_up
        self.steps = 0
        """The steps that were best."""

    @property
    def possible(self) -> bool:
        """Whether there are weights to tune, and not too many."""
        return self.most > 0 and 0 < sum(p.numel() for p in self.denoiser.parameters()) <= LARGEST

    def judged(self, problem: Problem, judge: Problem) -> torch.Tensor | None:
        """Return the picture `(1, C, H, W)` at the step that the judge liked best; None if that is the start.

        Args:
            problem: Measurements with A = 1 and noise.
            judge: Others, whose noise is independent.
        """
        network, optimiser, noise = self._begun()
        sigma, best = problem.fidelity.sigma, math.inf
        found: torch.Tensor | None = None
        since = self.steps = 0
        for step in range(self.most + 1):
            if step % EVERY == 0:
                with torch.no_grad():
                    picture = network.denoise(problem.y, sigma)
                error = float(judge.error(picture))
                since = 0 if error < best else since + 1
                if error < best:
                    best, found, self.steps = error, picture, step
                if since == PATIENCE:
                    break
            if not self._step(network, optimiser, noise, problem):
                break
        return found if self.steps else None

    def again(self, problem: Problem) -> torch.Tensor:
        """Return the picture `(1, C, H, W)` of other measurements after as many steps as were best.

        Args:
            problem: The measurements.
        """
        network, optimiser, noise = self._begun()
        for _ in range(self.steps):
            self._step(network, optimiser, noise, problem)
        with torch.no_grad():
            return network.denoise(problem.y, problem.fidelity.sigma)

    def _begun(self) -> tuple[Denoiser, torch.optim.Optimizer, torch.Generator]:
        network = copy.deepcopy(self.denoiser).requires_grad_(True)
        return network, torch.optim.Adam(network.parameters(), lr=self.rate), stream(self.seed, "tuned")

    def _step(
        self, network: Denoiser, optimiser: torch.optim.Optimizer, rng: torch.Generator, problem: Problem
    ) -> bool:
        """Take a step; return False if the network has no gradient."""
        self.look_up()
        y, sigma = problem.y, problem.fidelity.sigma
        noise = sigma * torch.randn(y.shape, generator=rng).to(y)
        with torch.enable_grad():
            x = network.denoise(
                y + A * noise, math.sqrt(1 + A**2) * sigma, look=int(torch.randint(4, (), generator=rng))
            )
            loss = (x - (y - noise / A)).square().mean()
        if not loss.requires_grad or not bool(torch.isfinite(loss)):
            return False
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return True
