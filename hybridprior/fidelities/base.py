"""The fidelity E(A x; y): the negative log-likelihood of the measurements, in nats.

A fidelity is known by the noise it expects, by name in `FIDELITIES`. Gaussian noise makes E quadratic, which
plug-and-play on pixels and the denoiser's look at the measurements need; with the others R enters by its gradient.
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
"""The least sigma: no eight-bit image is known better than to half a grey level."""

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


FIDELITIES: Registry[Callable[[float, float], Fidelity]] = Registry("noise model")
"""Name -> function of sigma and of the mean intensity of y, both in [0, 1]."""

ROBUST = ("laplace", "huber")
"""Fidelities whose sigma is that of the bulk of the noise, without its outliers."""


def checked_sigma(sigma: float, name: str = "sigma") -> float:
    """Return sigma, `SIGMA_FLOOR` at the least."""
    if not math.isfinite(sigma) or sigma < 0:
        raise ConfigError(f"{name} is a number, 0 or more, not {sigma}.")
    if sigma > SIGMA_MOST:
        raise ConfigError(f"{name} is in units of intensity, [0, 1], not {sigma:g}; is it {sigma:g} / 255?")
    return max(float(sigma), SIGMA_FLOOR)


def weighted_sum(values: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of the values, each times its weight; None weighs each by 1."""
    return values.sum() if weights is None else (values * weights).sum()
