"""Scale and floor of the standard deviations, fitted to squared errors at the validation measurements.

The squared error of A x at a validation measurement is estimated without bias from the residual and the known noise.
`fit_variance` then fits scale^2 variance + floor^2 to these estimates.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from hybridprior._internal.random import stream
from hybridprior.fidelities import SIGMA_FLOOR, Poisson
from hybridprior.problem import Problem, Split
from hybridprior.uncertainty.calibration import fit_variance
from hybridprior.uncertainty.config import Moments

__all__ = ["VarianceFit", "fit_to_validation"]

PROBE = 1e-2
"""Standard deviation of the noise by which the gain of A for independent pixels is measured."""


class VarianceFit(NamedTuple):
    """Standard deviations are sqrt(scale^2 variance + floor^2)."""

    scale: float
    """Factor of the samples' standard deviation."""
    floor: float
    """Standard deviation of every pixel besides, in units of intensity."""
    before: float
    """Mean squared error over mean variance of the samples; 1 is calibrated."""
    after: float
    """The same with scale and floor."""


@torch.no_grad()
def fit_to_validation(problem: Problem, split: Split, image: torch.Tensor, measured: Moments, seed: int) -> VarianceFit:
    """Return scale and floor.

    Args:
        problem: All measurements.
        split: Its training and validation parts.
        image: The image that the samples were drawn around, `(1, C, H, W)`.
        measured: Moments of A x over the samples.
        seed: Seed of the probe.

    Returns:
        The fit; scale 1 and floor 0 where there are fewer than two samples, after an interrupt.
    """
    if measured.count < 2:
        return VarianceFit(1.0, 0.0, math.nan, math.nan)
    image = image.to(problem.y)
    squared, noise, counted = _squared_errors(problem, split, problem.operator(image).cpu().double())
    variance, floor = measured.variance[counted], _pixel_gain(problem, image, seed)[counted]
    c, f = fit_variance(variance, squared, noise, floor)
    total = float(squared.mean())
    before, after = float(variance.mean()), float((c**2 * variance + f**2 * floor).mean())
    return VarianceFit(c, f, total / max(before, 1e-12), total / max(after, 1e-12))


def _squared_errors(
    problem: Problem, split: Split, predicted: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return estimates of the squared errors of A x, their noise as `fit_variance` takes it, and their positions.

    With d = -n / a, what recorruption added to y, |y + d - A x|^2 - d^2 - sigma^2 is an unbiased estimate with less
    variance than one that does not subtract the known d^2 (Oliveira, Lei, Tibshirani 2021).
    """
    validation, sigma = split.validation, problem.fidelity.sigma
    y = validation.y.cpu().double()
    weights = torch.ones_like(y) if validation.weights is None else validation.weights.cpu()
    counted = weights > 0
    squared = (y - predicted).square()
    if split.kind != "recorrupt":
        level = _noise_variance(problem, predicted)[counted]
        return squared[counted] - level, level.clamp_min(SIGMA_FLOOR**2), counted
    known = (y - problem.y.cpu()).square()
    noise = sigma**2 * math.sqrt(1 + 2 * (1 - split.fraction) / split.fraction)
    return (squared - known)[counted] - sigma**2, torch.full_like(y, noise)[counted], counted


def _noise_variance(problem: Problem, predicted: torch.Tensor) -> torch.Tensor:
    """Return the variance of each measurement's noise; of Poisson noise it is proportional to the mean."""
    if isinstance(problem.fidelity, Poisson):
        return problem.fidelity.variance(predicted)
    return torch.full_like(predicted, problem.fidelity.sigma**2)


def _pixel_gain(problem: Problem, x: torch.Tensor, seed: int) -> torch.Tensor:
    """Return the mean variance of the measurements for independent pixels of unit variance, in y's shape."""
    noise = PROBE * torch.randn(x.shape, generator=stream(seed, "passed")).to(x)
    change = (problem.operator(x + noise) - problem.operator(x)).double().cpu() / PROBE
    counted = torch.ones_like(change) if problem.weights is None else problem.weights.cpu()
    return torch.full_like(change, float((change.square() * counted).sum() / counted.sum()))
