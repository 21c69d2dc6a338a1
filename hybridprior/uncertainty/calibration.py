"""Calibration of standard deviations: measured against ground truth, and fitted where there is none.

Coverage: the share p of the errors should lie within sqrt(2) erfinv(p) standard deviations (Kuleshov, Fenner, Ermon,
"Accurate Uncertainties for Deep Learning Using Calibrated Regression", ICML 2018). ENCE, the expected normalised
calibration error, is the mean over bins of |RMSE - RMV| / RMV (Levi et al., "Evaluating and Calibrating Uncertainty
Prediction in Regression Tasks", Sensors 2022). They scale deviations by one number; the fit here is weighted least
squares of squared errors on variances, with a floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hybridprior.errors import ShapeError

__all__ = ["NOMINAL", "Calibration", "calibration", "fit_variance"]

NOMINAL = tuple(k / 20 for k in range(1, 20))
"""Nominal coverages that are compared with the measured ones."""

BINS = 10
"""Number of bins by standard deviation, with equal numbers of pixels."""

ROUNDS = 30
"""Iterations of reweighted least squares."""


@dataclass(frozen=True)
class Calibration:
    """Comparison of a map of standard deviations with the errors."""

    coverage: tuple[float, ...]
    """Measured share of the errors within the interval of each nominal coverage in `NOMINAL`."""
    error: float
    """Mean |coverage - nominal|: 0 is calibrated, 0.5 the worst value."""
    deviations: tuple[float, ...]
    """Root mean variance of each bin (RMV), in units of intensity."""
    errors: tuple[float, ...]
    """Root mean squared error of each bin (RMSE), in units of intensity."""
    ence: float
    """Mean over bins of |RMSE - RMV| / RMV."""
    normalised: float
    """Mean of (error / standard deviation)^2; 1 is calibrated."""


def calibration(image: torch.Tensor, std: torch.Tensor, truth: torch.Tensor) -> Calibration:
    """Return the calibration of standard deviations, measured against ground truth.

    Args:
        image: `(1, C, H, W)`, intensity in [0, 1].
        std: Its standard deviations, in the same shape; pixels where both error and deviation are 0 are left out.
        truth: The ground truth, in the same shape.

    Raises:
        ShapeError: The shapes differ.

    Example:
        >>> error = 0.1 * torch.randn(1, 1, 200, 200)
        >>> found = calibration(error, torch.full_like(error, 0.1), torch.zeros_like(error))
        >>> found.error < 0.02, 0.95 < found.normalised < 1.05
        (True, True)
    """
    if not image.shape == std.shape == truth.shape:
        raise ShapeError(
            f"image, std and truth must have the same shape, not {[tuple(x.shape) for x in (image, std, truth)]}."
        )
    error, deviation = (image - truth).abs().flatten().double(), std.flatten().double()
    counted = (error > 0) | (deviation > 0)
    if bool(counted.any()):
        error, deviation = error[counted], deviation[counted]
    deviation = deviation.clamp_min(1e-12)
    nominal = torch.tensor(NOMINAL, dtype=torch.float64)
    reach = math.sqrt(2) * torch.erfinv(nominal)
    ratio = error / deviation
    coverage = torch.stack([(ratio <= limit).double().mean() for limit in reach])
    bins = [part for part in deviation.argsort().tensor_split(BINS) if len(part)]
    deviations, errors = (torch.stack([x[part].square().mean().sqrt() for part in bins]) for x in (deviation, error))
    return Calibration(
        coverage=tuple(coverage.tolist()),
        error=float((coverage - nominal).abs().mean()),
        deviations=tuple(deviations.tolist()),
        errors=tuple(errors.tolist()),
        ence=float(((errors - deviations).abs() / deviations).mean()),
        normalised=float(ratio.square().mean()),
    )


def fit_variance(
    variance: torch.Tensor, squared: torch.Tensor, noise: torch.Tensor, floor: torch.Tensor
) -> tuple[float, float]:
    """Return c >= 0 and f >= 0 for which c^2 variance + f^2 floor is nearest to squared errors.

    The weight of each is the inverse of its variance for Gaussian errors, 2 (c^2 variance + f^2 floor + noise)^2:
    Fisher scoring for Gaussian variances.

    Args:
        variance: Variance of the samples at each measurement, `(N,)`.
        squared: Unbiased estimates of the squared error, `(N,)`; single ones may be negative.
        noise: Standard deviation of these estimates' own noise, divided by sqrt(2), `(N,)`.
        floor: Variance of each measurement for independent pixels of unit variance, `(N,)`.

    Example:
        >>> variance = torch.rand(100)
        >>> c, f = fit_variance(variance, 4 * variance, torch.zeros(100), torch.ones(100))
        >>> round(c, 2), round(f, 2)
        (2.0, 0.0)
    """
    columns = torch.stack([variance, floor], 1).double()
    squared, noise = squared.double(), noise.double()
    found = torch.tensor([1.0, 1e-6], dtype=torch.float64)
    for _ in range(ROUNDS):
        weight = (columns @ found + noise).clamp_min(1e-12).reciprocal()
        found = _least_squares(columns * weight[:, None], squared * weight)
    c, f = found.clamp_min(0).sqrt().tolist()
    return c, f


def _least_squares(columns: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the two coefficients of least squares of `right` on `columns`, none of them negative."""
    gram, product = columns.T @ columns, columns.T @ right
    both: torch.Tensor = torch.linalg.lstsq(gram, product[:, None], driver="gelsd").solution[:, 0]
    if bool((both >= 0).all()):
        return both
    single = (product / gram.diagonal().clamp_min(1e-30)).clamp_min(0)
    chosen = torch.zeros(2, dtype=torch.float64)
    chosen[(single * product).argmax()] = 1
    found: torch.Tensor = single * chosen
    return found
