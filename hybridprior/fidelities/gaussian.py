"""Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hybridprior.fidelities.base import FIDELITIES, checked_sigma, weighted_sum

__all__ = ["Gaussian"]


@dataclass(frozen=True)
class Gaussian:
    """White Gaussian noise: E = |A x - y|^2 / (2 sigma^2).

    Example:
        >>> Gaussian(0.1)(torch.zeros(2), torch.tensor([0.1, 0.0]))
        tensor(0.5000)
    """

    sigma: float
    """Standard deviation of the noise in units of intensity; at least `SIGMA_FLOOR`."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a sigma that is negative, not finite or too large."""
        object.__setattr__(self, "sigma", checked_sigma(self.sigma))

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar.

        Args:
            prediction: A x, in y's shape.
            y: The measurements.
            weights: Weight of each measurement, in y's shape; None for 1.
        """
        return weighted_sum((prediction - y).square(), weights) / (2 * self.sigma**2)


FIDELITIES.register("gaussian")(lambda sigma, mean: Gaussian(sigma))
