"""The noise of an image, estimated from the image itself: `estimate_noise(y) -> NoiseModel`.

A small network gives level, correlation and quantisation at every position with an uncertainty
(`hybridprior.analysis.estimator`). They are pooled with the inverse square of the uncertainty as weight, the level
separately for bins of intensity. Where the result is white noise, the eigenvalues of the covariance of patches, which
are more exact then, replace the level (`hybridprior.noise.estimate_sigma`).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from hybridprior.analysis.estimator import CELL, load_noise_network
from hybridprior.analysis.noise import estimate_sigma
from hybridprior.denoisers.weights import shipped_file
from hybridprior.noise_model import LAGS, NoiseModel

__all__ = ["estimate_noise"]

BINS = 8
"""Bins of intensity, at most."""

SIDE = 256
"""Side of the crops that a large image is sampled by."""

CROPS = 16
"""Crops of a large image."""

WHITE = 0.12
"""Correlation of neighbours below which noise is white."""

COARSE = 0.35 / 255
"""Quantisation below which JPEG is not worth mentioning."""

AGREED = 1.35
"""Ratio of the two estimates of the level up to which they agree."""

SMALLEST = 16
"""Side of an image below which nothing is estimated."""


@torch.no_grad()
def estimate_noise(y: torch.Tensor) -> NoiseModel:
    """Return the noise of an image.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1]. Channels other than three are estimated one by one and averaged.

    Returns:
        The model; level 0 for an image of fewer than 16 x 16 pixels.

    Example:
        >>> import torch
        >>> model = estimate_noise(0.5 + 0.1 * torch.randn(1, 3, 64, 64))
        >>> 0.08 < model.sigma < 0.12
        True
    """
    if y.ndim != 4 or min(y.shape[-2:]) < SMALLEST:
        return NoiseModel()
    image = y.detach().float().cpu()
    image = image if image.shape[1] == 3 else image.transpose(0, 1).expand(-1, 3, -1, -1)
    crops = torch.cat(_crops(image))
    location, scale, mean = _parameters(crops)
    grey = bool((crops == crops[:, :1]).all())
    weights = torch.exp(-2 * scale)
    shares = [_pooled(location[:, index], weights[:, index]) for index in range(1, location.shape[1])]
    correlation, channels, rest = shares[: len(LAGS)], shares[len(LAGS)], shares[-1]
    quantised = math.expm1(max(rest, 0.0)) / 255
    intensities, levels, sigma = _curve(location[:, 0], weights[:, 0], mean)
    if correlation[0] < WHITE and quantised < COARSE:
        exact = estimate_sigma(y)
        if 1 / AGREED < exact / max(sigma, 1e-6) < AGREED:
            return NoiseModel.white(exact)
        return NoiseModel(intensities, levels, sigma=sigma)
    return NoiseModel(
        intensities,
        levels,
        correlation=tuple(correlation),
        channel_correlation=1.0 if grey else min(1.0, channels),
        quantisation=quantised if quantised >= COARSE else 0.0,
        sigma=sigma,
    )


def _crops(image: torch.Tensor) -> list[torch.Tensor]:
    """Return crops of one size, spread evenly over a large image, or the image cut to whole cells."""
    height, width = (side // CELL * CELL for side in image.shape[-2:])
    if height * width <= CROPS * SIDE**2 or min(height, width) < SIDE:
        return [image[..., :height, :width]]
    rows = max(1, round(math.sqrt(CROPS * height / width)))
    columns = max(1, CROPS // rows)
    tops = torch.linspace(0, height - SIDE, rows).long().tolist()
    lefts = torch.linspace(0, width - SIDE, columns).long().tolist()
    return [image[..., top : top + SIDE, left : left + SIDE] for top in tops for left in lefts]


def _parameters(crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return locations and logarithms of scales, `(B, OUTPUTS, H / 8, W / 8)`, and the intensity of each cell."""
    network = load_noise_network(shipped_file("noise"))
    parts = [network(crop[None]) for crop in crops]
    location, scale = (torch.cat(part) for part in zip(*parts, strict=True))
    return location, scale, F.avg_pool2d(crops.mean(1, keepdim=True), CELL)[:, 0]


def _pooled(values: torch.Tensor, weights: torch.Tensor) -> float:
    return float((values * weights).sum() / weights.sum())


def _curve(
    logarithm: torch.Tensor, weights: torch.Tensor, mean: torch.Tensor
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Return intensities, the level at each, and the root of the mean variance."""
    values, weights, mean = logarithm.flatten(), weights.flatten(), mean.flatten()
    overall = _pooled(values, weights)
    order = mean.argsort()
    intensities: list[float] = []
    levels: list[float] = []
    shares: list[int] = []
    total = float(weights.sum())
    for part in order.chunk(BINS):
        place = float(mean[part].mean())
        if intensities and place - intensities[-1] < 0.02:
            continue
        own = float(weights[part].sum())
        # A bin with little weight is shrunk towards the level of the whole image.
        trust = own / (own + 0.25 * total / BINS)
        level = trust * _pooled(values[part], weights[part]) + (1 - trust) * overall
        intensities.append(place)
        levels.append(math.exp(level) / 255)
        shares.append(len(part))
    sigma = math.sqrt(sum(share * level**2 for share, level in zip(shares, levels, strict=True)) / sum(shares))
    return tuple(intensities), tuple(levels), sigma
