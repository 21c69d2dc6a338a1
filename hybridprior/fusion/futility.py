"""When the local prior is out of the race: more of its steps would bring the fusion nothing.

Where A = 1 and there is noise, the global prior is one pass of the denoiser, tuned to the image, and on most
photographs a network that starts from nothing never comes near. Every fifty steps the best mean of both on evidence,

    min |w r_local + (1 - w) r_global|^2 over w in [0, 1],

which is stacking with two candidates (Wolpert 1992; Breiman 1996), says what the local prior is worth. Where its share
is small, a hundred steps made the mean no better, and brought the network hardly nearer to the denoiser, it is stopped;
elsewhere it goes on as `heldout` has it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from hybridprior.problem import Problem
from hybridprior.result import Step
from hybridprior.stopping import Verdict
from hybridprior.stopping.heldout import Heldout

__all__ = ["FutilityStopping"]

EVERY = 50
"""Steps between two looks."""

SPAN = 2
"""Looks over which the mean has to get better, or the network nearer."""

FEWEST = 200
"""Steps before which nobody is out: the network begins with a grey image."""

SHARE = 0.2
"""w from which the local prior is believed, and goes on."""

WORTH = 1 / 2000
"""Fall of the mean's squared error that is worth the steps, in units of sigma^2. A denoiser leaves 4 to 15 % of
sigma^2, so that this is 0.3 to 1 % of the error, or some hundredths of a decibel."""

SLOW = 0.8
"""Squared distance from the denoiser's image, of what it was, above which the network has all but arrived where it
goes. One decibel: line drawings and skylines take a network a thousand steps, and it is far off for most of them."""


class FutilityStopping(Heldout):
    """`heldout`, which also ends where the other prior has won."""

    def __init__(self, baseline: torch.Tensor, validation: Problem, *, sigma: float) -> None:
        """Take the other prior's image.

        Args:
            baseline: What the global prior made of the measurements that the local one sees, `(1, C, H, W)`.
            validation: The measurements that judge.
            sigma: Standard deviation of y's noise.
        """
        super().__init__()
        self.validation, self.worth = validation, WORTH * sigma**2
        self.residual = self._residual(baseline)
        self.errors: list[float] = []
        """The mean's squared residual at each look."""
        self.distances: list[float] = []
        """The squared distance of the two images at each look."""

    def update(self, step: Step) -> Verdict:
        """Rank by the step's own error; stop as `heldout` does, or where more steps are worth nothing."""
        verdict = super().update(step)
        if step.number % EVERY:
            return verdict
        share = self._look(step.image)
        if step.number < FEWEST or share >= SHARE or len(self.errors) <= SPAN:  # a step that was taken back has no look
            return verdict
        idle = self.errors[-1 - SPAN] - self.errors[-1] < self.worth
        arrived = self.distances[-1] > SLOW * self.distances[-1 - SPAN]
        return dataclasses.replace(verdict, stop=verdict.stop or (idle and arrived))

    def _look(self, image: torch.Tensor) -> float:
        """Return w of the best mean, and remember its squared residual and how far apart the two images are."""
        with torch.no_grad():
            apart = self._residual(image) - self.residual
            distance = float(apart.square().sum())
            w = min(max(-float((apart * self.residual).sum()) / max(distance, 1e-30), 0.0), 1.0)
            error = float((self.residual + w * apart).square().sum())
        self.errors.append(error / self.validation.count)
        self.distances.append(distance / self.validation.count)
        return w

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        """Return the residual of an image, by the root of how much each measurement counts."""
        residual: torch.Tensor = self.validation.operator(x.to(self.validation.y)) - self.validation.y
        return residual if self.validation.weights is None else residual * self.validation.weights.sqrt()

    def state_dict(self) -> dict[str, Any]:
        """Return what `heldout` remembers, and the looks."""
        return {**super().state_dict(), "errors": list(self.errors), "distances": list(self.distances)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over another rule's memory."""
        super().load_state_dict(state)
        self.errors, self.distances = list(state["errors"]), list(state["distances"])
