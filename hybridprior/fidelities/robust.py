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
    """Noise with heavy tails: E = |A x - y|_1 / scale."""

    scale: float
    """Mean absolute value of the noise, in units of intensity; raised to `SIGMA_FLOOR` where it is less."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a scale that is no finite number, or negative."""
        object.__setattr__(self, "scale", checked_sigma(self.scale, "scale"))

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise."""
        return math.sqrt(2) * self.scale

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`."""
        return weighted_sum((prediction - y).abs(), weights) / self.scale


@dataclass(frozen=True)
class Huber:
    """Gaussian noise with outliers, such as salt and pepper: quadratic up to a threshold, linear beyond.

    Huber, "Robust Estimation of a Location Parameter", 1964.
    """

    sigma: float
    """Standard deviation of the bulk of the noise in units of intensity; raised to `SIGMA_FLOOR` where it is less."""
    threshold: float = 1.345
    """Where an outlier begins, in units of sigma; 1.345 keeps 95 % of the efficiency where there is none."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        object.__setattr__(self, "sigma", checked_sigma(self.sigma))
        if not self.threshold > 0:
            raise ConfigError(f"threshold is positive, in units of sigma, not {self.threshold}.")

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`."""
        far = (prediction - y).abs() / self.sigma
        near = far.clamp_max(self.threshold)
        return weighted_sum(near * (far - near / 2), weights)


FIDELITIES.register("laplace")(lambda sigma, mean: Laplace(sigma / math.sqrt(2)))
FIDELITIES.register("huber")(lambda sigma, mean: Huber(sigma))
