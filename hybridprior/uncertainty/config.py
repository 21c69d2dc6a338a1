"""The configuration and the result of uncertainty, and running moments."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hybridprior.errors import ConfigError, unknown_name
from hybridprior.result import Uncertainty

__all__ = ["METHODS", "Moments", "Uncertainty", "UncertaintyConfig"]

METHODS = ("langevin", "ensemble")


@dataclass(frozen=True)
class UncertaintyConfig:
    """How samples are drawn and calibrated."""

    method: str = "langevin"
    """"langevin": iterates of one theta by Langevin dynamics; "ensemble": several theta, each from another seed."""
    samples: int = 160
    """Number of samples of "langevin"."""
    burn_in: int = 40
    """Iterates before the first sample of "langevin"."""
    learning_rate: float = 0.0005
    """Length of the gradient's part of a step of "langevin"."""
    members: int = 5
    """Number of theta of "ensemble"."""
    share: float = 0.2
    """Share of the information that recorruption leaves for validation, where the noise is Gaussian."""
    refit: float = 0.15
    """Steps of the refit of "langevin" on all measurements, as a share of the steps until the best."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if self.method not in METHODS:
            raise unknown_name("method of uncertainty", self.method, METHODS)
        if min(self.samples, self.members) < 2 or self.burn_in < 0:
            raise ConfigError("uncertainty: samples and members are 2 or more, burn_in 0 or more.")
        if not self.learning_rate > 0 or not 0 < self.share < 1:
            raise ConfigError("uncertainty: learning_rate is positive, and share lies in (0, 1).")
        if not self.refit >= 0:
            raise ConfigError("uncertainty: refit is 0 or more.")


class Moments:
    """Running mean and variance (Welford, Technometrics 1962).

    Example:
        >>> moments = Moments()
        >>> for value in (1.0, 2.0, 3.0):
        ...     moments.add(torch.tensor(value))
        >>> float(moments.mean), float(moments.variance)
        (2.0, 1.0)
    """

    def __init__(self) -> None:
        """Start without samples."""
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())

    def add(self, x: torch.Tensor) -> None:
        """Add a sample, of the same shape as the others."""
        self.count += 1
        x = x.detach().cpu().double()
        difference = x - self.mean
        self.mean = self.mean + difference / self.count
        self.squares = self.squares + difference * (x - self.mean)

    @property
    def variance(self) -> torch.Tensor:
        """The unbiased variance."""
        return self.squares / max(1, self.count - 1)
