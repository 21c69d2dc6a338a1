"""The fidelity E(A x; y): the negative log-likelihood of the measurements, in nats.

A fidelity is known by the noise it expects, by name in `FIDELITIES`. Gaussian noise makes E quadratic, which
plug-and-play on pixels and the denoiser's look at the measurements need; with the others R enters by its gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from hybridprior.errors import ConfigError
from hybridprior.registry import Registry

__all__ = ["CLEAN", "FIDELITIES", "SIGMA_FLOOR", "SIGMA_MOST", "Fidelity", "Gaussian", "Huber", "Laplace", "Poisson"]

SIGMA_FLOOR = 0.5 / 255
"""The least sigma: no eight-bit picture is known better than to half a grey level."""

CLEAN = 1.5 / 255
"""sigma up to which measurements are clean enough to be fitted to the last step."""

SIGMA_MOST = 4.0
"""The greatest sigma that can be meant in units of intensity."""

DARK = 1 / 255
"""Intensity below which Poisson's means fall off exponentially: none is 0, and every pixel keeps a gradient."""


class Fidelity(Protocol):
    """What the solver asks of a fidelity."""

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, or what comes nearest, in [0, 1]."""
        ...

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar, up to a constant that does not depend on the prediction."""
        ...


FIDELITIES: Registry[Callable[[float, float], Fidelity]] = Registry("noise model")
"""Name -> function of sigma and of the mean intensity of y, both in [0, 1]."""

ROBUST = ("laplace", "huber")
"""Fidelities whose sigma is that of the bulk of the noise, without its outliers."""


@dataclass(frozen=True)
class Gaussian:
    """White Gaussian noise: E = |A x - y|^2 / (2 sigma^2)."""

    sigma: float
    """Standard deviation of the noise in units of intensity, [0, 1]; raised to `SIGMA_FLOOR` where it is less."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a sigma that is no finite number, or negative."""
        object.__setattr__(self, "sigma", _checked(self.sigma))

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar.

        Args:
            prediction: A x, in y's shape.
            y: The measurements.
            weights: How much each measurement counts, in y's shape; None counts each once.
        """
        return _sum((prediction - y).square(), weights) / (2 * self.sigma**2)


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
        return self.peak * _sum(mean - y - y * log + torch.special.xlogy(y, y), weights)


@dataclass(frozen=True)
class Laplace:
    """Noise with heavy tails: E = |A x - y|_1 / scale."""

    scale: float
    """Mean absolute value of the noise, in units of intensity; raised to `SIGMA_FLOOR` where it is less."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a scale that is no finite number, or negative."""
        object.__setattr__(self, "scale", _checked(self.scale, "scale"))

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise."""
        return math.sqrt(2) * self.scale

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`."""
        return _sum((prediction - y).abs(), weights) / self.scale


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
        object.__setattr__(self, "sigma", _checked(self.sigma))
        if not self.threshold > 0:
            raise ConfigError(f"threshold is positive, in units of sigma, not {self.threshold}.")

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar; see `Gaussian`."""
        far = (prediction - y).abs() / self.sigma
        near = far.clamp_max(self.threshold)
        return _sum(near * (far - near / 2), weights)


FIDELITIES.register("gaussian")(lambda sigma, mean: Gaussian(sigma))
FIDELITIES.register("poisson")(lambda sigma, mean: _photons(sigma, max(mean, DARK)))
FIDELITIES.register("laplace")(lambda sigma, mean: Laplace(sigma / math.sqrt(2)))
FIDELITIES.register("huber")(lambda sigma, mean: Huber(sigma))


def _photons(sigma: float, mean: float) -> Poisson:
    """Return photon noise that has this sigma at the mean intensity."""
    return Poisson(mean / max(sigma, SIGMA_FLOOR) ** 2, mean)


def _checked(sigma: float, name: str = "sigma") -> float:
    """Return sigma, `SIGMA_FLOOR` at the least."""
    if not math.isfinite(sigma) or sigma < 0:
        raise ConfigError(f"{name} is a number, 0 or more, not {sigma}.")
    if sigma > SIGMA_MOST:
        raise ConfigError(f"{name} is in units of intensity, [0, 1], not {sigma:g}; is it {sigma:g} / 255?")
    return max(float(sigma), SIGMA_FLOOR)


def _sum(values: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    return values.sum() if weights is None else (values * weights).sum()
