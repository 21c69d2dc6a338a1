"""Futility stopping: the network is stopped when more of its steps would not improve the fused image.

Where A = 1 and the noise is Gaussian, the baseline is one pass of the fine-tuned denoiser, and on most photographs a
network does not come near it. Every fifty steps, stacking with two candidates (Wolpert 1992; Breiman 1996),

    min |w r_network + (1 - w) r_baseline|^2 over w in [0, 1],

gives the network's weight and the error of the fused image on the validation measurements. The network is stopped if
its weight is small, the fused image did not improve over the last hundred steps, and the network came hardly nearer to
the baseline. Else it goes on until `heldout` stops it.

A denoiser leaves 4 to 15 % of sigma^2 as error, so that the default `min_gain` is 0.3 to 1 % of the error, or some
hundredths of a decibel. `max_distance_ratio` is one decibel: on line drawings and skylines a network takes a thousand
steps, and is far from the baseline for most of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from hybridprior.fusion.config import FutilityConfig
from hybridprior.problem import Problem
from hybridprior.result import Step
from hybridprior.stopping import Verdict
from hybridprior.stopping.heldout import Heldout

__all__ = ["FutilityStopping"]


class FutilityStopping(Heldout):
    """`heldout`, which also stops a network that cannot improve the fused image.

    Example:
        >>> from hybridprior.operators import Identity
        >>> truth, noise = torch.full((1, 1, 32, 32), 0.5), torch.randn(1, 1, 32, 32)
        >>> train, validation = Problem.make(truth, Identity(), sigma=0.1).recorrupt(0.2, seed=0)
        >>> rule = FutilityStopping(truth, validation, sigma=0.1)
        >>> steps = [Step(n, truth + noise, truth, 0.0, 0.0, 1 / n, 0, 0.0) for n in range(1, 401)]
        >>> next(step.number for step in steps if rule.update(step).stop)
        200
    """

    def __init__(
        self, baseline: torch.Tensor, validation: Problem, *, sigma: float, config: FutilityConfig | None = None
    ) -> None:
        """Compute the baseline's residual.

        Args:
            baseline: The denoiser's image of the training measurements, `(1, C, H, W)`.
            validation: The validation measurements.
            sigma: Standard deviation of y's noise, in units of intensity.
            config: The thresholds; the defaults if not given.
        """
        super().__init__()
        self.validation, self.limits = validation, config or FutilityConfig()
        self.min_gain = self.limits.min_gain * sigma**2
        self.residual = self._residual(baseline)
        self.errors: list[float] = []
        """The fused image's squared residual at each check."""
        self.distances: list[float] = []
        """The squared distance of the two images at each check."""

    def update(self, step: Step) -> Verdict:
        """Rank by the step's own validation error; stop as `heldout` does, or where more steps are futile."""
        verdict, limits = super().update(step), self.limits
        if step.number % limits.check_every:
            return verdict
        weight = self._check(step.image)
        # Steps that were rolled back have no check.
        if step.number < limits.min_steps or weight >= limits.min_weight or len(self.errors) <= limits.window:
            return verdict
        no_gain = self.errors[-1 - limits.window] - self.errors[-1] < self.min_gain
        no_nearer = self.distances[-1] > limits.max_distance_ratio * self.distances[-1 - limits.window]
        return dataclasses.replace(verdict, stop=verdict.stop or (no_gain and no_nearer))

    def _check(self, image: torch.Tensor) -> float:
        """Return the network's stacking weight; store the fused image's error and the distance of the two images."""
        with torch.no_grad():
            difference = self._residual(image) - self.residual
            distance = float(difference.square().sum())
            w = min(max(-float((difference * self.residual).sum()) / max(distance, 1e-30), 0.0), 1.0)
            error = float((self.residual + w * difference).square().sum())
        self.errors.append(error / self.validation.count)
        self.distances.append(distance / self.validation.count)
        return w

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        """Return the residual of an image, times the square root of the measurements' weights."""
        residual: torch.Tensor = self.validation.operator(x.to(self.validation.y)) - self.validation.y
        return residual if self.validation.weights is None else residual * self.validation.weights.sqrt()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of `heldout`, and the checks."""
        return {**super().state_dict(), "errors": list(self.errors), "distances": list(self.distances)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of another rule.

        Args:
            state: What `state_dict` returned.
        """
        super().load_state_dict(state)
        self.errors, self.distances = list(state["errors"]), list(state["distances"])
