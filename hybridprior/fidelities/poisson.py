"""Poisson noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hybridprior.errors import ConfigError
from hybridprior.fidelities.base import FIDELITIES, SIGMA_FLOOR, weighted_sum

__all__ = ["Poisson"]

DARK = 1 / 255
"""Intensity below which the mean decays exponentially, so that it is never 0 and every pixel has a gradient."""


@dataclass(frozen=True)
class Poisson:
    """Poisson noise: peak y has the Poisson distribution of mean peak A x.

    E = peak sum (A x - y log A x), less its minimum, so that noise alone gives about 0.5 per measurement.

    Example:
        >>> round(Poisson(peak=30).sigma, 3)
        0.129
    """

    peak: float
    """Photons (or counts) at intensity 1."""
    level: float = 0.5
    """The intensity at which `sigma` is given."""

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
        """Return the variance of each measurement's noise, in units of intensity squared.

        Args:
            prediction: The means of the measurements, A x.
        """
        return prediction.clamp_min(0) / self.peak

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`. Intensity below 0 in y counts as 0."""
        y = y.clamp_min(0)
        below = (prediction - DARK).clamp_max(0) / DARK
        mean, log = prediction.clamp_min(DARK) * below.exp(), prediction.clamp_min(DARK).log() + below
        return self.peak * weighted_sum(mean - y - y * log + torch.special.xlogy(y, y), weights)


FIDELITIES.register("poisson")(lambda sigma, mean: _poisson(sigma, max(mean, DARK)))


def _poisson(sigma: float, mean: float) -> Poisson:
    """Return Poisson noise of this sigma at the mean intensity."""
    return Poisson(mean / max(sigma, SIGMA_FLOOR) ** 2, mean)
