"""Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hybridprior.fidelities.base import FIDELITIES, checked_sigma, weighted_sum

__all__ = ["Gaussian"]


@dataclass(frozen=True)
class Gaussian:
    """White Gaussian noise: E = |A x - y|^2 / (2 sigma^2)."""

    sigma: float
    """Standard deviation of the noise in units of intensity, [0, 1]; raised to `SIGMA_FLOOR` where it is less."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a sigma that is no finite number, or negative."""
        object.__setattr__(self, "sigma", checked_sigma(self.sigma))

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar.

        Args:
            prediction: A x, in y's shape.
            y: The measurements.
            weights: How much each measurement counts, in y's shape; None counts each once.
        """
        return weighted_sum((prediction - y).square(), weights) / (2 * self.sigma**2)


FIDELITIES.register("gaussian")(lambda sigma, mean: Gaussian(sigma))
