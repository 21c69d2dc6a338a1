"""Noise with heavy tails or outliers: Laplace and Huber."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hybridprior.errors import ConfigError
from hybridprior.fidelities.base import FIDELITIES, checked_sigma, weighted_sum

__all__ = ["Huber", "Laplace"]


@dataclass(frozen=True)
class Laplace:
    """Noise with heavy tails: E = |A x - y|_1 / scale.

    Example:
        >>> Laplace(0.1)(torch.zeros(2), torch.tensor([0.1, 0.3]))
        tensor(4.)
    """

    scale: float
    """Mean absolute value of the noise, in units of intensity; at least `SIGMA_FLOOR`."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a scale that is negative, not finite or too large."""
        object.__setattr__(self, "scale", checked_sigma(self.scale, "scale"))

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, in units of intensity."""
        return math.sqrt(2) * self.scale

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`."""
        return weighted_sum((prediction - y).abs(), weights) / self.scale


@dataclass(frozen=True)
class Huber:
    """Gaussian noise with outliers, such as salt and pepper: quadratic up to a threshold, linear beyond.

    Huber, "Robust Estimation of a Location Parameter", 1964.

    Example:
        >>> Huber(0.1, threshold=1.0)(torch.zeros(2), torch.tensor([0.1, 0.3]))
        tensor(3.)
    """

    sigma: float
    """Standard deviation of the noise without outliers, in units of intensity; at least `SIGMA_FLOOR`."""
    threshold: float = 1.345
    """Residual from which E is linear, in units of sigma; 1.345 has an efficiency of 95 % without outliers."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        object.__setattr__(self, "sigma", checked_sigma(self.sigma))
        if not self.threshold > 0:
            raise ConfigError(f"threshold is positive, in units of sigma, not {self.threshold}.")

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`."""
        residual = (prediction - y).abs() / self.sigma
        clipped = residual.clamp_max(self.threshold)
        return weighted_sum(clipped * (residual - clipped / 2), weights)


FIDELITIES.register("laplace")(lambda sigma, mean: Laplace(sigma / math.sqrt(2)))
FIDELITIES.register("huber")(lambda sigma, mean: Huber(sigma))
