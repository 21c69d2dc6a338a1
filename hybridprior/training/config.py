"""How a denoiser is trained: the batches, the step sizes and the noise levels.

The step size rises over a warm-up and falls over the last share of the steps. The noise levels are log-normal, as by
Karras et al. (NeurIPS 2022, table 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridprior.errors import ConfigError

__all__ = ["DEGRADATIONS", "TrainConfig"]

DEGRADATIONS = {"white": (0.0, 0.0), "camera": (0.6, 0.0), "jpeg": (0.0, 0.6), "mixed": (0.38, 0.2)}
"""Recipes by name: the share of patches with a camera's noise and that with JPEG alone; the rest is white noise."""


@dataclass(frozen=True)
class TrainConfig:
    """How a denoiser is trained."""

    steps: int = 100_000
    """Batches."""
    batch: int = 16
    """Patches of a batch."""
    patch: int = 64
    """Side of a patch; twice that, with a quarter of the patches, in the last fifth of the steps."""
    optimiser: str = "muon"
    """One of timm's optimisers."""
    learning_rate: float = 2e-3
    """Step size, after the warm-up and before the decay."""
    weight_decay: float = 0.1
    """Decay of the weights, in units of the step size; without it the network explodes on rare images."""
    warmup: int = 500
    """Steps over which the step size grows from 0."""
    decay: float = 1.0
    """Share of the steps, the last ones, over which the step size falls to 0."""
    average: float = 0.999
    """Decay of the exponential average of the weights."""
    sigma_median: float = 25 / 255
    """m: half of the noise levels drawn are less, in units of intensity."""
    sigma_spread: float = 1.0
    """s: standard deviation of the noise levels' logarithm."""
    camera: float = 0.0
    """Share of patches with the noise of a camera."""
    jpeg: float = 0.0
    """Share of patches with JPEG alone; the rest has white Gaussian noise."""
    shrink: float = 3.0
    """Photographs are shrunk by up to this factor."""
    grey: float = 0.15
    """Share of grey patches."""
    seed: int = 0
    """Seed of the weights' start, the patches and the noise."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if min(self.steps, self.batch) < 1 or self.patch < 16:
            raise ConfigError("steps and batch are 1 or more, and patch is 16 or more.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)) or not 0 <= self.decay <= 1:
            raise ConfigError("learning_rate is positive, and decay lies in [0, 1].")
        if not 0 <= self.average < 1 or not 0 <= self.grey <= 1 or self.shrink < 1 or self.warmup < 0:
            raise ConfigError("average lies in [0, 1), grey in [0, 1]; shrink is 1 or more, warmup 0 or more.")
        if min(self.camera, self.jpeg) < 0 or self.camera + self.jpeg > 1:
            raise ConfigError("camera and jpeg are shares of the patches: 0 or more, and together 1 at most.")
        if not (self.sigma_median > 0 and self.sigma_spread >= 0):
            raise ConfigError("sigma_median is positive, and sigma_spread 0 or more.")

    def finishing(self, step: int) -> bool:
        """Return whether a step, counted from 0, is one of the last fifth."""
        return step >= 0.8 * self.steps

    def rate(self, step: int) -> float:
        """Return the step size of a step, counted from 0."""
        warm = min(1.0, (step + 1) / (self.warmup + 1))
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.learning_rate * min(warm, 1.0, left)
