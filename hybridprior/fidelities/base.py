"""The fidelity E(A x; y): the negative log-likelihood of the measurements, in nats.

A fidelity is registered in `FIDELITIES` by the name of its noise. Gaussian noise makes E quadratic for a linear A, as
plug-and-play requires; with other noise R enters by its gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch

from hybridprior._internal.registry import Registry
from hybridprior.errors import ConfigError

__all__ = ["CLEAN", "FIDELITIES", "ROBUST", "SIGMA_FLOOR", "SIGMA_MOST", "Fidelity", "checked_sigma", "weighted_sum"]

SIGMA_FLOOR = 0.5 / 255
"""The least sigma, in units of intensity: the rounding of an eight-bit image, half a grey level."""

CLEAN = 1.5 / 255
"""sigma up to which measurements count as free of noise, in units of intensity."""

SIGMA_MOST = 4.0
"""The greatest sigma that is accepted, in units of intensity."""


class Fidelity(Protocol):
    """The interface of a fidelity."""

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, or the nearest equivalent, in units of intensity."""
        ...

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E in nats, a scalar, up to a constant that does not depend on the prediction."""
        ...


FIDELITIES: Registry[Callable[[float, float], Fidelity]] = Registry("noise model")
"""Name -> function of sigma and the mean intensity of y, both in [0, 1], that returns a fidelity."""

ROBUST = ("laplace", "huber")
"""Fidelities whose sigma is that of the noise without its outliers."""


def checked_sigma(sigma: float, name: str = "sigma") -> float:
    """Return sigma, at least `SIGMA_FLOOR`; raise `ConfigError` if it is negative, not finite or too large.

    Example:
        >>> checked_sigma(0.1)
        0.1
    """
    if not math.isfinite(sigma) or sigma < 0:
        raise ConfigError(f"{name} is a finite number, 0 or more, not {sigma}.")
    if sigma > SIGMA_MOST:
        raise ConfigError(f"{name} is in units of intensity, [0, 1], not {sigma:g}; divide a level of 0-255 by 255.")
    return max(float(sigma), SIGMA_FLOOR)


def weighted_sum(values: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of the values times their weights, a scalar; None for weights of 1.

    Example:
        >>> weighted_sum(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.5]))
        tensor(2.)
    """
    return values.sum() if weights is None else (values * weights).sum()
