"""The fidelity E(A x; y): the negative log-likelihood of the measurements, in nats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from hybridprior.errors import ConfigError

__all__ = ["CLEAN", "SIGMA_FLOOR", "SIGMA_MOST", "Fidelity", "Gaussian"]

SIGMA_FLOOR = 0.5 / 255
"""The least sigma: no eight-bit picture is known better than to half a grey level."""

CLEAN = 1.5 / 255
"""sigma up to which measurements are clean enough to be fitted to the last step."""

SIGMA_MOST = 4.0
"""The greatest sigma that can be meant in units of intensity."""


class Fidelity(Protocol):
    """What the solver asks of a fidelity."""

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, or what comes nearest, in [0, 1]."""
        ...

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar, up to a constant that does not depend on the prediction."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """White Gaussian noise: E = |A x - y|^2 / (2 sigma^2)."""

    sigma: float
    """Standard deviation of the noise in units of intensity, [0, 1]; raised to `SIGMA_FLOOR` where it is less."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a sigma that is no finite number, or negative."""
        if not math.isfinite(self.sigma) or self.sigma < 0:
            raise ConfigError(f"sigma is a number, 0 or more, not {self.sigma}.")
        if self.sigma > SIGMA_MOST:
            raise ConfigError(
                f"sigma is in units of intensity, [0, 1], not {self.sigma:g}; is it {self.sigma:g} / 255?"
            )
        object.__setattr__(self, "sigma", max(float(self.sigma), SIGMA_FLOOR))

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar.

        Args:
            prediction: A x, in y's shape.
            y: The measurements.
            weights: How much each measurement counts, in y's shape; None counts each once.
        """
        squared = (prediction - y).square()
        total = squared.sum() if weights is None else (squared * weights).sum()
        return total / (2 * self.sigma**2)
