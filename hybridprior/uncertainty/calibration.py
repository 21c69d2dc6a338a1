"""Whether standard deviations tell the errors: against ground truth, and fitted to measurements where there is none.

Coverage: of the errors, the share p should lie within sqrt(2) erfinv(p) standard deviations (Kuleshov, Fenner, Ermon,
"Accurate Uncertainties for Deep Learning Using Calibrated Regression", ICML 2018). ENCE, the expected normalised
calibration error: mean over bins of |RMSE - RMV| / RMV (Levi et al., "Evaluating and Calibrating Uncertainty
Prediction in Regression Tasks", Sensors 2022), who also scale deviations by one number; the fit here is weighted least
squares of squared errors on variances, with a floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hybridprior.errors import ShapeError

__all__ = ["NOMINAL", "Calibration", "calibration", "fit_variance"]

NOMINAL = tuple(k / 20 for k in range(1, 20))
"""Coverages that are looked at."""

BINS = 10
"""Bins of as many pixels each, by standard deviation."""

ROUNDS = 30
"""Rounds of reweighting."""


@dataclass(frozen=True)
class Calibration:
    """How a map of standard deviations compares with the errors."""

    coverage: tuple[float, ...]
    """Share of the errors that lies within the interval that should hold the share `NOMINAL` of them."""
    error: float
    """Mean |coverage - nominal|: 0 is calibrated, and 0.5 the worst that there is."""
    spreads: tuple[float, ...]
    """Root mean variance of each bin, in units of intensity."""
    errors: tuple[float, ...]
    """Root mean squared error of each bin."""
    ence: float
    """Mean over bins of |RMSE - RMV| / RMV."""
    normalised: float
    """Mean of (error / standard deviation)^2; 1 is calibrated."""


def calibration(image: torch.Tensor, std: torch.Tensor, truth: torch.Tensor) -> Calibration:
    """Return how standard deviations compare with the errors against ground truth.

    Args:
        image: `(1, C, H, W)`.
        std: Its standard deviations, in the same shape; pixels that are right and certain (0) are left out.
        truth: The ground truth.

    Raises:
        ShapeError: The shapes differ.
    """
    if not image.shape == std.shape == truth.shape:
        raise ShapeError(f"Image, std and truth differ: {[tuple(x.shape) for x in (image, std, truth)]}.")
    error, spread = (image - truth).abs().flatten().double(), std.flatten().double()
    told = (error > 0) | (spread > 0)
    if bool(told.any()):
        error, spread = error[told], spread[told]
    spread = spread.clamp_min(1e-12)
    nominal = torch.tensor(NOMINAL, dtype=torch.float64)
    reach = math.sqrt(2) * torch.erfinv(nominal)
    ratio = error / spread
    coverage = torch.stack([(ratio <= limit).double().mean() for limit in reach])
    bins = [part for part in spread.argsort().tensor_split(BINS) if len(part)]
    spreads, errors = (torch.stack([x[part].square().mean().sqrt() for part in bins]) for x in (spread, error))
    return Calibration(
        coverage=tuple(coverage.tolist()),
        error=float((coverage - nominal).abs().mean()),
        spreads=tuple(spreads.tolist()),
        errors=tuple(errors.tolist()),
        ence=float(((errors - spreads).abs() / spreads).mean()),
        normalised=float(ratio.square().mean()),
    )


def fit_variance(
    variance: torch.Tensor, squared: torch.Tensor, noise: torch.Tensor, floor: torch.Tensor
) -> tuple[float, float]:
    """Return c >= 0 and f >= 0 such that c^2 variance + f^2 floor is nearest to squared errors.

    Each is weighed by the variance that it has where errors are Gaussian, 2 (c^2 variance + f^2 floor + noise)^2: the
    scoring of Fisher for Gaussian variances.

    Args:
        variance: What the samples say, of each measurement.
        squared: Estimates of the squared error without bias; single ones may be negative.
        noise: Standard deviation of these estimates' own noise, divided by sqrt(2).
        floor: What a unit variance of every pixel makes of each measurement.
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
    """Return the two coefficients, none negative, that bring `columns` nearest to `right`."""
    gram, product = columns.T @ columns, columns.T @ right
    both: torch.Tensor = torch.linalg.lstsq(gram, product[:, None], driver="gelsd").solution[:, 0]
    if bool((both >= 0).all()):
        return both
    alone = (product / gram.diagonal().clamp_min(1e-30)).clamp_min(0)
    gains = alone * product
    keep = torch.zeros(2, dtype=torch.float64)
    keep[gains.argmax()] = 1
    single: torch.Tensor = alone * keep
    return single
