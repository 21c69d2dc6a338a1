"""The noise of an image, estimated from the image itself: `estimate_noise(y) -> NoiseModel`.

A small network gives level, correlation and quantisation at every position with an uncertainty
(`hybridprior.analysis.estimator`). They are pooled with the inverse square of the uncertainty as weight, the level
separately for bins of intensity. Where the result is white noise, the eigenvalues of the covariance of patches, which
are more exact then, replace the level (`estimate_sigma`). The level is at most what the flattest patches allow.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F

from hybridprior.analysis.estimator import CELL, load_noise_network
from hybridprior.analysis.noise import estimate_sigma, grain
from hybridprior.denoisers.weights import shipped_file
from hybridprior.noise_model import LAGS, NoiseModel, quantisation

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

EDGE = 1 / 255
"""Distance from black and white within which a pixel counts as clipped."""

MOST_CLIPPED = 0.05
"""Share of clipped pixels up to which a patch shows its noise."""

ENOUGH = 20
"""Patches, at least."""

FLATTEST = 0.03
"""Share of the patches that are the flattest."""

SCALES = (1, 2, 4)
"""Factors of reduction at which flat patches are sought."""

LEAST_SHARE = 0.25
"""Standard deviation in the flattest patches, in units of the level, at the least: noise is everywhere. On pairs of
real photographs it is 0.4 to 0.8 for strong noise and 0.04 to 0.6 for weak noise after JPEG."""


LEAST_SHARE_SMOOTHED = 0.1
"""The same where the camera smoothed the noise and JPEG removed most of it from flat regions."""

DEMOSAICKED, SMOOTHED = 0.25, 0.4
"""Correlation of neighbours in the flattest patches: up to the first it is that of demosaicking, from the second on the
camera smoothed the noise."""

SMOOTH_CORRELATION = ((0.31, 0.77), (-0.13, 1.03), (-0.115, 0.73))
"""Offset and slope of the correlation at each of `LAGS` over that of neighbours in the flattest patches, fitted to
pairs of real photographs."""

SMOOTH_CHANNELS = (0.09, 1.1)
"""The same for the correlation of the channels."""


@torch.no_grad()
def estimate_noise(y: torch.Tensor, *, jpeg_quality: int | None = None) -> NoiseModel:
    """Return the noise of an image.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1]. Channels other than three are estimated one by one and averaged.
        jpeg_quality: From 1 to 100, where the errors of JPEG at this quality are to be described, too.

    Returns:
        The model; level 0 for an image of fewer than 16 x 16 pixels, and for one that has flat regions without noise.

    Example:
        >>> import torch
        >>> rng = torch.Generator().manual_seed(0)
        >>> model = estimate_noise(0.5 + 0.1 * torch.randn(1, 3, 64, 64, generator=rng))
        >>> model.is_white, 0.09 < model.sigma < 0.11
        (True, True)
    """
    if y.ndim != 4 or min(y.shape[-2:]) < SMALLEST:
        return NoiseModel()
    image = y.detach().float().cpu()
    image = image if image.shape[1] == 3 else image.transpose(0, 1).expand(-1, 3, -1, -1)
    crops = torch.cat(_crops(image))
    model = _estimated(crops, grey=bool((crops == crops[:, :1]).all()))
    if jpeg_quality is not None:
        return dataclasses.replace(model, quantisation=quantisation(jpeg_quality))
    smoothness = grain(image.mean(1, keepdim=True)[:1]).correlation
    smoothed = min(max((smoothness - DEMOSAICKED) / (SMOOTHED - DEMOSAICKED), 0.0), 1.0)
    least = LEAST_SHARE + smoothed * (LEAST_SHARE_SMOOTHED - LEAST_SHARE)
    scales = SCALES if smoothed > 0 else SCALES[:1]  # JPEG leaves coarse noise where it removed the fine one
    model = model.scaled(min(1.0, flattest_level(y, scales=scales) / max(least * model.sigma, 1e-9)))
    if model.correlation[0] >= WHITE or model.quantisation:
        model = _with_smoothness(model, smoothness, smoothed)
    if model.correlation[0] < WHITE and not model.quantisation:
        exact = estimate_sigma(y)
        if 1 / AGREED < exact / max(model.sigma, 1e-6) < AGREED:
            return NoiseModel.white(exact)
        return NoiseModel(model.intensities, model.levels, sigma=model.sigma)
    return model


def _with_smoothness(model: NoiseModel, smoothness: float, share: float) -> NoiseModel:
    """Return the model with correlations that the flattest patches show, where these are smoother than demosaicking.

    Args:
        model: What the network says.
        smoothness: Correlation of neighbours in the flattest patches less a plane.
        share: What these count, in [0, 1].
    """
    shown = [offset + slope * smoothness for offset, slope in SMOOTH_CORRELATION]
    mixed = [old + share * (new - old) for old, new in zip(model.correlation, shown, strict=True)]
    offset, slope = SMOOTH_CHANNELS
    channels = model.channel_correlation
    if channels < 1:
        channels += share * (min(offset + slope * smoothness, 1.0) - channels)
    return dataclasses.replace(model, correlation=tuple(mixed), channel_correlation=channels)


def flattest_level(y: torch.Tensor, *, scales: tuple[int, ...] = (1,)) -> float:
    """Return the standard deviation in the flattest patches of an image; infinity where there are too few patches.

    Patches with clipped pixels show less noise than there is; they are left out unless nearly all have some.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        scales: Factors by which the image is reduced first; the largest of the results is returned.
    """
    planes = y.detach().float().cpu().transpose(0, 1)
    found = [_flattest(F.avg_pool2d(planes, scale)) for scale in scales if min(y.shape[-2:]) // scale >= 4 * CELL]
    return max(found, default=math.inf)


def _flattest(planes: torch.Tensor) -> float:
    mean = F.avg_pool2d(planes, CELL, CELL // 2)
    variance = (F.avg_pool2d(planes.square(), CELL, CELL // 2) - mean.square()).clamp_min(0)
    clipped = F.avg_pool2d(((planes <= EDGE) | (planes >= 1 - EDGE)).float(), CELL, CELL // 2)
    shown = variance[clipped < MOST_CLIPPED]
    if shown.numel() < ENOUGH:  # a drawing on white has constant patches, and a dark noisy image has none
        shown = variance.flatten()
    return math.sqrt(float(shown.sort().values[int(FLATTEST * (shown.numel() - 1))]))


def _estimated(crops: torch.Tensor, *, grey: bool) -> NoiseModel:
    """Return what the network says of crops `(B, 3, H, W)` of one image."""
    location, scale, mean = _parameters(crops)
    weights = torch.exp(-2 * scale)
    shares = [_pooled(location[:, index], weights[:, index]) for index in range(1, location.shape[1])]
    correlation, channels, rest = shares[: len(LAGS)], shares[len(LAGS)], shares[-1]
    intensities, levels, sigma = _curve(location[:, 0], weights[:, 0], mean)
    quantised = math.expm1(max(rest, 0.0)) / 255
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
