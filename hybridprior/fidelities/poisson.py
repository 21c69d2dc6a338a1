"""Poisson noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hybridprior.errors import ConfigError
from hybridprior.fidelities.base import FIDELITIES, SIGMA_FLOOR, weighted_sum

__all__ = ["Poisson"]

DARK = 1 / 255
"""Intensity below which Poisson's means fall off exponentially: none is 0, and every pixel keeps a gradient."""


@dataclass(frozen=True)
class Poisson:
    """Photon noise: peak y has the Poisson distribution of mean peak A x.

    E = peak sum (A x - y log A x), less its least value, so that noise alone has about half a nat a measurement.
    """

    peak: float
    """Photons (or counts) at intensity 1."""
    level: float = 0.5
    """The intensity at which `sigma` is told."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a peak or a level that is not positive."""
        if not (math.isfinite(self.peak) and self.peak > 0):
            raise ConfigError(f"peak is the count at intensity 1, a positive number, not {self.peak}.")
        if not (math.isfinite(self.level) and self.level > 0):
            raise ConfigError(f"level is an intensity, a positive number, not {self.level}.")

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise at intensity `level`."""
        return max(math.sqrt(self.level / self.peak), SIGMA_FLOOR)

    def variance(self, prediction: torch.Tensor) -> torch.Tensor:
        """Return the variance of the noise where the measurements' means are A x.

        Args:
            prediction: A x.
        """
        return prediction.clamp_min(0) / self.peak

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`. Intensity below 0 in y counts as 0."""
        y = y.clamp_min(0)
        short = (prediction - DARK).clamp_max(0) / DARK
        mean, log = prediction.clamp_min(DARK) * short.exp(), prediction.clamp_min(DARK).log() + short
        return self.peak * weighted_sum(mean - y - y * log + torch.special.xlogy(y, y), weights)


FIDELITIES.register("poisson")(lambda sigma, mean: _photons(sigma, max(mean, DARK)))


def _photons(sigma: float, mean: float) -> Poisson:
    """Return photon noise that has this sigma at the mean intensity."""
    return Poisson(mean / max(sigma, SIGMA_FLOOR) ** 2, mean)
