"""The noise level sigma, estimated from the measurements.

Chen, Zhu, Heng, "An Efficient Statistical Method for Image Noise Level Estimation", ICCV 2015: the least eigenvalues of
the covariance of small patches are equal to the noise's variance, since clean patches lie in a subspace of few
dimensions. The largest eigenvalues are dropped until the mean of the rest is their median.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import torch
import torch.nn.functional as F

from hybridprior.fidelities import SIGMA_FLOOR

__all__ = [
    "Grain",
    "channel_sigmas",
    "estimate_sigma",
    "flattest_sigma",
    "grain",
    "noise_correlation",
    "robust_sigma",
]

PATCH = 8
"""Largest side of a patch, in pixels."""

ENOUGH = 4
"""Least number of patches per dimension of their space."""

FLATTEST = 20
"""Least number of patches for an estimate of the correlation."""

EMPTY = 1e-4
"""Standard deviation below which a patch is constant."""

FLAT = 0.02
"""Share of the patches that count as the flattest."""

TEXTURED = 1.5
"""Ratio of the variance of the flattest patches to that of the noise above which they have texture."""

MIN_PATCHES = 100
"""Least number of patches for percentiles."""

CLIPPED = 0.05
"""Largest share of black or white pixels in a patch that is used."""

NORMAL = 0.6745
"""Median of the absolute value of a standard normal variable."""

MANY = 50_000
"""Approximate largest number of patches."""


def estimate_sigma(y: torch.Tensor, known: torch.Tensor | None = None) -> float:
    """Return the standard deviation of white noise in y, in units of intensity, at least `SIGMA_FLOOR`.

    `SIGMA_FLOOR` is returned where there are too few patches: a very small image, or many missing pixels.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        known: 1 where a pixel was measured, in a shape that expands to y's; patches with a missing pixel are left out.

    Example:
        >>> sigma = estimate_sigma(0.5 + 0.1 * torch.randn(1, 3, 64, 64))
        >>> 0.09 < sigma < 0.11
        True
    """
    if y.ndim != 4 or min(y.shape[-2:]) < 4:
        return SIGMA_FLOOR
    side, step = _geometry(y.shape[1], y.shape[-2], y.shape[-1])
    patches = F.unfold(y.cpu().double(), side, stride=step)[0]
    if known is not None:
        whole = F.unfold(known.expand_as(y).cpu().double(), side, stride=step)[0]
        patches = patches[:, whole.amin(dim=0) > 0.5]
    if patches.shape[1] < ENOUGH * patches.shape[0]:
        return SIGMA_FLOOR
    values = torch.linalg.eigvalsh(torch.cov(patches))
    for count in range(len(values), 0, -1):
        rest = values[:count]
        if rest.mean() <= rest.median():
            break
    return max(float(rest.mean().clamp_min(0).sqrt()), SIGMA_FLOOR)


def channel_sigmas(y: torch.Tensor, known: torch.Tensor | None = None) -> tuple[float, ...]:
    """Return the standard deviation of white noise in each channel of y, at least `SIGMA_FLOOR`.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        known: 1 where a pixel was measured, in a shape that expands to y's.

    Example:
        >>> len(channel_sigmas(torch.rand(1, 3, 64, 64)))
        3
    """
    marks = None if known is None else known.expand_as(y)
    channels = range(y.shape[1])
    return tuple(estimate_sigma(y[:, c : c + 1], None if marks is None else marks[:, c : c + 1]) for c in channels)


def robust_sigma(y: torch.Tensor, known: torch.Tensor | None = None) -> float:
    """Return the standard deviation of the noise without its outliers, in units of intensity.

    The median of the finest diagonal wavelet coefficients: Donoho and Johnstone, "Ideal Spatial Adaptation by Wavelet
    Shrinkage", Biometrika 1994. A few per cent of outliers hardly change it. Texture counts as noise.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        known: 1 where a pixel was measured, in a shape that expands to y's; squares with a missing pixel are left out.

    Example:
        >>> sigma = robust_sigma(0.5 + 0.1 * torch.randn(1, 3, 64, 64))
        >>> 0.09 < sigma < 0.11
        True
    """
    if y.ndim != 4 or min(y.shape[-2:]) < 4:
        return SIGMA_FLOOR
    diagonal = (y[..., 1:, 1:] - y[..., 1:, :-1] - y[..., :-1, 1:] + y[..., :-1, :-1]) / 2
    if known is not None:
        diagonal = diagonal[-F.max_pool2d(-known.expand_as(y).float(), 2, 1) > 0.5]
    return max(float(diagonal.abs().median()) / NORMAL, SIGMA_FLOOR) if diagonal.numel() else SIGMA_FLOOR


def noise_correlation(y: torch.Tensor, sigma: float, known: torch.Tensor | None = None) -> float:
    """Return the correlation of the noise of neighbouring pixels: 0 for white noise, 1 for equal values.

    It is estimated from the flattest patches, less a plane each. Where even these have more contrast than the noise, 0
    is returned.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        sigma: Standard deviation of the noise, in units of intensity.
        known: 1 where a pixel was measured, in a shape that expands to y's; patches with a missing pixel are left out.

    Example:
        >>> abs(noise_correlation(0.5 + 0.1 * torch.randn(1, 3, 64, 64), sigma=0.1)) < 0.1
        True
    """
    patches = _patches(y, known)
    flat = patches[: max(FLATTEST, len(patches) // 10)]
    if len(patches) < FLATTEST or float(flat.square().mean()) > TEXTURED * sigma**2:
        return 0.0
    return _correlation(flat)


def flattest_sigma(y: torch.Tensor) -> float:
    """Return the standard deviation of white noise in the flattest patches of y, an upper limit for uniform noise.

    A patch less a plane has PATCH^2 - 3 = k degrees of freedom, so that its mean square has the variance
    2 sigma^4 / k. The mean of the least of them is corrected by that of a truncated normal distribution. Clipped and
    constant patches are left out; infinity is returned where there are too few others.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].

    Example:
        >>> sigma = flattest_sigma(0.5 + 0.1 * torch.randn(1, 3, 128, 128))
        >>> 0.08 < sigma < 0.12
        True
    """
    patches = _patches(y, ((y > 0) & (y < 1)).to(y), clipped=True)
    patches = patches[patches.square().mean(dim=(1, 2)) > EMPTY**2]
    if len(patches) < MIN_PATCHES:
        return math.inf
    count = max(FLATTEST, round(FLAT * len(patches)))
    free, normal, share = PATCH**2 - 3, NormalDist(), min(count / len(patches), 0.5)
    by_chance = 1 - math.sqrt(2 / free) * normal.pdf(normal.inv_cdf(share)) / share
    variance = float(patches[:count].square().sum(dim=(1, 2)).mean()) / free / by_chance
    return max(math.sqrt(variance), SIGMA_FLOOR)


class Grain(NamedTuple):
    """The residual of the flattest patches, white or correlated."""

    sigma: float
    """Its standard deviation, in [0, 1]: a little less than that of the noise, since the flattest patches are used."""
    correlation: float
    """Correlation of neighbouring pixels: 0 for white noise, 1 for equal values."""
    evenness: float
    """Standard deviation of the 2nd percentile of the patches over that of the 10th: near 1 for uniform noise, less for
    texture."""


def grain(y: torch.Tensor) -> Grain:
    """Return the residual of the flattest patches of y; zeros where too few patches are not clipped.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].

    Example:
        >>> grain(0.5 + 0.1 * torch.randn(1, 3, 128, 128)).evenness > 0.8
        True
    """
    patches = _patches(y, ((y > 0) & (y < 1)).to(y), clipped=True)
    if len(patches) < MIN_PATCHES:
        return Grain(0.0, 0.0, 0.0)
    level = patches.square().mean(dim=(1, 2)).sqrt()
    low, high = (float(level[round(share * (len(level) - 1))]) for share in (0.02, 0.1))
    flat = patches[: len(patches) // 10]
    return Grain(float(flat.square().mean().sqrt()), _correlation(flat), low / high if high > 0 else 0.0)


def _patches(y: torch.Tensor, known: torch.Tensor | None, *, clipped: bool = False) -> torch.Tensor:
    """Return the patches of all channels less a plane each, `(N, PATCH, PATCH)`, the flattest first.

    Patches with a missing pixel are left out; where `known` marks pixels that are not `clipped`, a few may be.
    """
    empty = torch.zeros(0, PATCH, PATCH, dtype=torch.float64)
    if y.ndim != 4 or min(y.shape[-2:]) < 2 * PATCH:
        return empty
    step = max(PATCH // 2, math.isqrt(y.shape[-2] * y.shape[-1] // MANY))

    def cut(part: torch.Tensor) -> torch.Tensor:
        return F.unfold(part.cpu().double().transpose(0, 1), PATCH, stride=step).transpose(0, 1).flatten(1)

    patches = cut(y)
    if known is not None:
        marks = cut(known.expand_as(y))
        patches = patches[:, marks.mean(0) > 1 - CLIPPED if clipped else marks.amin(0) > 0.5]
    if patches.shape[1] == 0:
        return empty
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, PATCH, dtype=torch.float64)] * 2, indexing="ij")
    plane = torch.stack([torch.ones(PATCH**2), rows.flatten(), columns.flatten()], 1).to(patches)
    plane = torch.linalg.qr(plane).Q
    rest = patches - plane @ (plane.T @ patches)
    ordered: torch.Tensor = rest[:, rest.square().sum(0).argsort()].T.reshape(-1, PATCH, PATCH)
    return ordered


def _correlation(flat: torch.Tensor) -> float:
    """Return the mean product of neighbouring pixels in patches, relative to their mean square."""
    across, down = flat[:, :, 1:] * flat[:, :, :-1], flat[:, 1:] * flat[:, :-1]
    return float((across.mean() + down.mean()) / 2 / flat.square().mean().clamp_min(1e-30))


def _geometry(channels: int, height: int, width: int) -> tuple[int, int]:
    """Return the side of the patches and the distance between them, by the number of pixels."""
    places = height * width
    sides = range(min(PATCH, height, width), 2, -1)
    side = next((side for side in sides if places > 2 * ENOUGH * channels * side * side), 3)
    return side, max(1, math.isqrt(places // MANY))
