"""Configuration of the training of a denoiser: batches, learning rate, noise levels and degradations.

The learning rate rises linearly in a warm-up and decays linearly at the end. The noise levels are log-normal as in
Karras et al. (NeurIPS 2022, table 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridprior.errors import ConfigError

__all__ = ["DEGRADATIONS", "TrainConfig"]

DEGRADATIONS = {"white": (0.0, 0.0), "camera": (0.6, 0.0), "jpeg": (0.0, 0.6), "mixed": (0.38, 0.2)}
"""Degradations by name: fractions of patches with the noise of a camera and with JPEG only; the rest is white noise."""


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of the training of a denoiser."""

    steps: int = 100_000
    """Number of batches."""
    batch: int = 16
    """Number of patches in a batch."""
    patch: int = 64
    """Side of a patch in pixels. In the last fifth of the steps it is doubled, with a quarter of the patches."""
    optimiser: str = "muon"
    """Name of an optimiser of timm."""
    learning_rate: float = 2e-3
    """Learning rate after the warm-up and before the decay."""
    weight_decay: float = 0.1
    """Weight decay in units of the learning rate. Without it the training diverges at rare images."""
    warmup: int = 500
    """Steps over which the learning rate rises from 0."""
    decay: float = 1.0
    """Fraction of the steps, at the end, over which the learning rate decays to 0."""
    ema_decay: float = 0.999
    """Decay of the EMA of the weights."""
    sigma_median: float = 25 / 255
    """m: median of the noise levels, in units of intensity."""
    sigma_spread: float = 1.0
    """s: standard deviation of the logarithm of the noise levels."""
    camera: float = 0.0
    """Fraction of patches with the noise of a camera."""
    jpeg: float = 0.0
    """Fraction of patches with JPEG only. The rest has white Gaussian noise."""
    shrink: float = 3.0
    """Largest factor by which photographs are downscaled."""
    grey: float = 0.15
    """Fraction of grey patches."""
    seed: int = 0
    """Seed of the initial weights, the patches and the noise."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if min(self.steps, self.batch) < 1 or self.patch < 16:
            raise ConfigError("steps and batch must be at least 1, and patch at least 16.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)) or not 0 <= self.decay <= 1:
            raise ConfigError("learning_rate must be positive, and decay in [0, 1].")
        if not 0 <= self.ema_decay < 1 or not 0 <= self.grey <= 1 or self.shrink < 1 or self.warmup < 0:
            raise ConfigError("ema_decay must be in [0, 1), grey in [0, 1], shrink at least 1 and warmup at least 0.")
        if min(self.camera, self.jpeg) < 0 or self.camera + self.jpeg > 1:
            raise ConfigError("camera and jpeg are fractions of the patches: at least 0, with a sum of at most 1.")
        if not (self.sigma_median > 0 and self.sigma_spread >= 0):
            raise ConfigError("sigma_median must be positive, and sigma_spread at least 0.")

    def finishing(self, step: int) -> bool:
        """Return whether a step, counted from 0, is in the last fifth of the training."""
        return step >= 0.8 * self.steps

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        Args:
            step: Number of the step.

        Example:
            >>> from hybridprior.training import TrainConfig
            >>> config = TrainConfig(steps=100, warmup=0, learning_rate=1.0)
            >>> config.rate(0), config.rate(75)
            (1.0, 0.25)
        """
        warm = min(1.0, (step + 1) / (self.warmup + 1))
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.learning_rate * min(warm, 1.0, left)
