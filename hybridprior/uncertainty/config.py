"""How uncertain an image is: the choices, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from hybridprior.errors import ConfigError, unknown_name

__all__ = ["METHODS", "Moments", "Uncertainty", "UncertaintyConfig"]

METHODS = ("langevin", "ensemble")

FLAT = 0.01
"""The samples' part of the variance, beside that of every pixel, below which it does not count."""


@dataclass(frozen=True)
class UncertaintyConfig:
    """How samples are drawn and calibrated."""

    method: str = "langevin"
    """"langevin": one theta wanders; "ensemble": several, each from a seed of its own."""
    samples: int = 160
    """Iterates that count, of one theta."""
    burn_in: int = 40
    """Iterates before those."""
    learning_rate: float = 0.0005
    """Length of the gradient's part of a step."""
    members: int = 5
    """Thetas of an ensemble."""
    share: float = 0.2
    """Share of the information that calibrates, where there is noise to part."""

    refit: float = 0.15
    """Steps on all measurements, as a share of those until the best: of "langevin" alone."""

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


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Standard deviations of the image's errors, fitted to measurements that it has not seen."""

    std: torch.Tensor
    """`(1, C, H, W)`, in units of intensity: sqrt(scale^2 raw^2 + floor^2)."""
    raw: torch.Tensor
    """`(1, C, H, W)`, the spread of the samples as they are."""
    scale: float
    """Factor of the samples' spread."""
    floor: float
    """Standard deviation that every pixel has besides, in units of intensity."""
    before: float
    """Mean squared error over mean variance at the measurements that calibrate, without the fit; 1 is calibrated."""
    after: float
    """The same with it."""
    method: str
    """Where the samples came from."""
    samples: int
    """How many there were."""

    @property
    def flat(self) -> bool:
        """Whether the samples' spread has so little to say that all pixels are as good as equal."""
        return self.scale**2 * float(self.raw.double().square().mean()) < FLAT * self.floor**2

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, without the maps."""
        return {
            "method": self.method,
            "samples": self.samples,
            "scale": self.scale,
            "floor": self.floor,
            "normalised_before": self.before,
            "normalised_after": self.after,
            "std_mean": float(self.std.mean()),
            "std_max": float(self.std.max()),
        }


class Moments:
    """Running mean and variance (Welford, Technometrics 1962)."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())

    def add(self, x: torch.Tensor) -> None:
        """Take one more sample."""
        self.count += 1
        x = x.detach().cpu().double()
        off = x - self.mean
        self.mean = self.mean + off / self.count
        self.squares = self.squares + off * (x - self.mean)

    @property
    def variance(self) -> torch.Tensor:
        """The variance without bias."""
        return self.squares / max(1, self.count - 1)
