"""The noise level sigma, estimated from the measurements themselves.

Chen, Zhu, Heng, "An Efficient Statistical Method for Image Noise Level Estimation", ICCV 2015: the covariance of small
patches has the noise's variance as the common value of its least eigenvalues, because clean patches fill only a few
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
"""The side of a patch, at most."""

ENOUGH = 4
"""Patches a dimension of their space, at least."""

FLATTEST = 20
"""Patches, at least, that correlation is judged on."""

EMPTY = 1e-4
"""Standard deviation of a patch that has nothing in it."""

FLAT = 0.02
"""Share of the patches that are the flattest."""

TEXTURED = 1.5
"""Variance of the flattest patches, in units of the noise's, above which there is more than noise in them."""

PERCENT = 100
"""Patches, at least, whose percentiles are looked at."""

CLIPPED = 0.05
"""Share of black or white pixels up to which a patch still shows its noise."""

NORMAL = 0.6745
"""Median of the absolute value of a standard normal variable."""

MANY = 50_000
"""Patches, about, at most."""


def estimate_sigma(y: torch.Tensor, known: torch.Tensor | None = None) -> float:
    """Return the standard deviation of white noise in y, `SIGMA_FLOOR` at the least.

    Where patches are too few for an estimate (a tiny image, or one with a hole every few pixels) the floor is
    returned.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        known: 1 where a pixel was measured, in a shape that expands to y's; patches with a hole are left out.
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
    """Return the standard deviation of white noise in each channel of y, `SIGMA_FLOOR` at the least.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        known: 1 where a pixel was measured, in a shape that expands to y's.
    """
    marks = None if known is None else known.expand_as(y)
    channels = range(y.shape[1])
    return tuple(estimate_sigma(y[:, c : c + 1], None if marks is None else marks[:, c : c + 1]) for c in channels)


def robust_sigma(y: torch.Tensor, known: torch.Tensor | None = None) -> float:
    """Return the standard deviation of the bulk of the noise, which a few outliers in a hundred hardly move.

    The median of the finest diagonal wavelet's coefficients: Donoho and Johnstone, "Ideal Spatial Adaptation by Wavelet
    Shrinkage", Biometrika 1994. Texture counts as noise.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        known: 1 where a pixel was measured, in a shape that expands to y's; squares with a hole are left out.
    """
    if y.ndim != 4 or min(y.shape[-2:]) < 4:
        return SIGMA_FLOOR
    diagonal = (y[..., 1:, 1:] - y[..., 1:, :-1] - y[..., :-1, 1:] + y[..., :-1, :-1]) / 2
    if known is not None:
        diagonal = diagonal[-F.max_pool2d(-known.expand_as(y).float(), 2, 1) > 0.5]
    return max(float(diagonal.abs().median()) / NORMAL, SIGMA_FLOOR) if diagonal.numel() else SIGMA_FLOOR


def noise_correlation(y: torch.Tensor, sigma: float, known: torch.Tensor | None = None) -> float:
    """Return how much the noise of a pixel has in common with its neighbours': 0 for white noise, 1 for a copy.

    It is judged where the image itself is flattest, patch by patch after a plane was taken off; where even there it
    has more contrast than the noise, nothing is known and the answer is 0.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        sigma: Standard deviation of the noise.
        known: 1 where a pixel was measured, in a shape that expands to y's; patches with a hole are left out.
    """
    patches = _patches(y, known)
    flat = patches[: max(FLATTEST, len(patches) // 10)]
    if len(patches) < FLATTEST or float(flat.square().mean()) > TEXTURED * sigma**2:
        return 0.0
    return _correlation(flat)


def flattest_sigma(y: torch.Tensor) -> float:
    """Return the standard deviation of white noise in the flattest patches of y; more is not there if it is uniform.

    A patch less a plane has PATCH^2 - 3 = k degrees of freedom, so that its mean square varies by 2 / k of sigma^4;
    how small the least of them are by chance alone is that of a truncated normal distribution. Patches that are clipped
    or wholly of one value say nothing; infinity where there are too few others.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
    """
    patches = _patches(y, ((y > 0) & (y < 1)).to(y), clipped=True)
    patches = patches[patches.square().mean(dim=(1, 2)) > EMPTY**2]
    if len(patches) < PERCENT:
        return math.inf
    count = max(FLATTEST, round(FLAT * len(patches)))
    free, normal, share = PATCH**2 - 3, NormalDist(), min(count / len(patches), 0.5)
    by_chance = 1 - math.sqrt(2 / free) * normal.pdf(normal.inv_cdf(share)) / share
    variance = float(patches[:count].square().sum(dim=(1, 2)).mean()) / free / by_chance
    return max(math.sqrt(variance), SIGMA_FLOOR)


class Grain(NamedTuple):
    """What is left where the image itself is flattest, be it white or not."""

    sigma: float
    """Its standard deviation, in [0, 1]: a little less than the noise's, of which the least is looked at."""
    correlation: float
    """How much a pixel has in common with its neighbours: 0 for white noise, 1 for a copy."""
    evenness: float
    """Standard deviation of the 2nd percentile of the patches over that of the 10th: near 1 for noise, which is the
    same everywhere, and less for what the image itself has there."""


def grain(y: torch.Tensor) -> Grain:
    """Return what is left of y where it is flattest; all zeros where there are too few patches that are not clipped.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
    """
    patches = _patches(y, ((y > 0) & (y < 1)).to(y), clipped=True)
    if len(patches) < PERCENT:
        return Grain(0.0, 0.0, 0.0)
    level = patches.square().mean(dim=(1, 2)).sqrt()
    low, high = (float(level[round(share * (len(level) - 1))]) for share in (0.02, 0.1))
    flat = patches[: len(patches) // 10]
    return Grain(float(flat.square().mean().sqrt()), _correlation(flat), low / high if high > 0 else 0.0)


def _patches(y: torch.Tensor, known: torch.Tensor | None, *, clipped: bool = False) -> torch.Tensor:
    """Return the patches of all channels less a plane each, `(N, PATCH, PATCH)`, the flattest first.

    Patches with a hole are left out; with more than a few, where pixels are `clipped` and not missing.
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
    """Return the mean product of neighbours in patches, in units of their mean square."""
    across, down = flat[:, :, 1:] * flat[:, :, :-1], flat[:, 1:] * flat[:, :-1]
    return float((across.mean() + down.mean()) / 2 / flat.square().mean().clamp_min(1e-30))


def _geometry(channels: int, height: int, width: int) -> tuple[int, int]:
    """Return the side of the patches and the distance between them: large and many enough, but not more."""
    places = height * width
    sides = range(min(PATCH, height, width), 2, -1)
    side = next((side for side in sides if places > 2 * ENOUGH * channels * side * side), 3)
    return side, max(1, math.isqrt(places // MANY))
