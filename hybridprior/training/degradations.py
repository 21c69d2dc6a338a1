"""Degradations for the training of a denoiser: white noise, the noise of a camera, and JPEG.

The noise of a camera is simulated by `hybridprior.training.camera`. As in Zhang et al., "Practical Blind Denoising via
Swin-Conv-UNet and Data Synthesis", 2022 (SCUNet), photographs are resized and compressed by JPEG, sometimes twice with
different block grids. The level of white Gaussian noise is log-normal as in Karras et al. (NeurIPS 2022).

`conditions()` computes the other inputs of the network: a map of the local standard deviation, and planes for the
correlation of the noise and the quantisation of JPEG, which are 0 for white noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from hybridprior.noise_model import LAGS, local_mean, quantisation
from hybridprior.training.camera import Camera, CameraConfig
from hybridprior.training.compression import jpeg

__all__ = [
    "PLANES",
    "DegradationConfig",
    "Sample",
    "add_white_noise",
    "conditions",
    "correlations",
    "degrade",
]

PLANES = len(LAGS) + 2
"""Number of planes: correlation at each lag, correlation of the channels, quantisation."""

LUMA = (0.299, 0.587, 0.114)

SIGMA_LEAST = 0.5 / 255

BLOCK = 8


@dataclass(frozen=True)
class DegradationConfig:
    """Fractions of the degradations, and the ranges of their parameters."""

    camera: float = 0.0
    """Fraction of patches with the noise of a camera."""
    jpeg: float = 0.0
    """Fraction of patches with JPEG only. The rest has white Gaussian noise."""
    sigma_median: float = 25 / 255
    """Median of the levels of white noise, in units of intensity."""
    sigma_spread: float = 1.0
    """Standard deviation of the logarithm of the levels of white noise."""
    compressed: float = 0.6
    """Fraction of the photographs of a camera that are compressed."""
    quality: tuple[int, int] = (30, 98)
    """Range of the JPEG quality of a camera."""
    twice: float = 0.2
    """Fraction of the compressed photographs that are compressed twice, with different block grids."""
    jpeg_quality: tuple[int, int] = (5, 95)
    """Range of the JPEG quality without a camera."""
    subsampled: float = 0.5
    """Fraction of JPEGs with chroma subsampling (4:2:0)."""
    uncertainty: float = 0.25
    """Standard deviation of the error of the logarithm of the level in the input; there is no error for white noise."""
    camera_config: CameraConfig = field(default_factory=CameraConfig)
    """Ranges of the parameters of the camera."""


@dataclass(frozen=True)
class Sample:
    """Clean and degraded patches, and the other inputs of the network."""

    clean: torch.Tensor
    """`(B, 3, H, W)`, intensity in [0, 1]."""
    noisy: torch.Tensor
    """`(B, 3, H, W)`."""
    level: torch.Tensor
    """Local standard deviation of the noise, `(B, 1, H, W)` or `(B, 1, 1, 1)`."""
    planes: torch.Tensor
    """`(B, PLANES, 1, 1)` or `(B, PLANES, H, W)`, 0 for white noise."""


Draw = Callable[[int, int], torch.Tensor]
"""Draws clean patches `(B, 3, S, S)`, intensity in [0, 1], given B and S."""


def degrade(draw: Draw, count: int, size: int, rng: torch.Generator, config: DegradationConfig) -> Sample:
    """Return a batch of patches, each with one of the degradations.

    Args:
        draw: Draws clean patches.
        count: Number of patches.
        size: Side of the patches.
        rng: Random generator.
        config: Fractions and ranges.

    Example:
        >>> import torch
        >>> from hybridprior.training.degradations import DegradationConfig, degrade
        >>> def draw(count, size):
        ...     return torch.rand(count, 3, size, size)
        >>> degrade(draw, 2, 32, torch.Generator().manual_seed(0), DegradationConfig()).noisy.shape
        torch.Size([2, 3, 32, 32])
    """
    cameras, jpegs = _counts(count, config, rng)
    whites = count - cameras - jpegs
    parts = []
    if cameras:
        parts.append(_photographed(draw, cameras, size, rng, config))
    if jpegs:
        parts.append(_compressed(draw(jpegs, size + BLOCK), size, rng, config))
    if whites:
        clean = draw(whites, size)
        parts.append(add_white_noise(clean, rng, median=config.sigma_median, spread=config.sigma_spread))
    level = [part.level.expand(-1, -1, size, size) for part in parts]
    planes = [part.planes.expand(-1, -1, size, size) for part in parts]
    return Sample(
        torch.cat([part.clean for part in parts]),
        torch.cat([part.noisy for part in parts]),
        torch.cat(level),
        torch.cat(planes),
    )


def add_white_noise(clean: torch.Tensor, rng: torch.Generator, *, median: float, spread: float) -> Sample:
    """Return patches with white Gaussian noise; the noise of a grey patch is grey.

    Args:
        clean: Clean patches `(B, 3, H, W)`, intensity in [0, 1].
        rng: Random generator.
        median: Median of the levels, in units of intensity.
        spread: Standard deviation of the logarithm of the levels.

    Example:
        >>> import torch
        >>> from hybridprior.training.degradations import add_white_noise
        >>> rng = torch.Generator().manual_seed(0)
        >>> sample = add_white_noise(torch.rand(1, 3, 64, 64), rng, median=0.1, spread=0.0)
        >>> round(float(sample.level), 2), round(float((sample.noisy - sample.clean).std()), 2)
        (0.1, 0.1)
    """
    grey = (clean == clean[:, :1]).flatten(1).all(1)
    noise = torch.randn(clean.shape, generator=rng)
    noise[grey] = noise[grey, :1].expand(-1, 3, -1, -1)
    logarithm = torch.randn((len(clean), 1, 1, 1), generator=rng) * spread + math.log(median)
    sigma = logarithm.exp().clamp(SIGMA_LEAST, 1)
    return Sample(clean, clean + sigma * noise, sigma, torch.zeros(len(clean), PLANES, 1, 1))


def conditions(
    noisy: torch.Tensor, noise: torch.Tensor, quantised: torch.Tensor | float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the level map `(B, 1, H, W)` and the planes `(B, PLANES, H, W)` of known noise.

    The variance is a quadratic function of the local mean, fitted to the squared noise. The planes are the correlations
    times the level, so that they are proportional to the noise.

    Args:
        noisy: Noisy images `(B, C, H, W)`, intensity in [0, 1].
        noise: Their noise.
        quantised: Standard deviation of the quantisation error of JPEG, `(B, 1, 1, 1)`, see `quantisation`.
    """
    mean = local_mean(noisy)
    square = noise.square().mean(1, keepdim=True)
    average = square.mean((2, 3), keepdim=True)
    offset = mean - mean.mean((2, 3), keepdim=True)
    basis = torch.cat([offset, offset**2 - (offset**2).mean((2, 3), keepdim=True)], 1).flatten(2)
    gram = basis @ basis.transpose(1, 2) / basis.shape[-1] + 1e-3 * torch.eye(2)
    target = (basis * (square - average).flatten(2)).mean(2, keepdim=True)
    fit = (basis * torch.linalg.solve(gram, target)).sum(1).reshape(square.shape)
    level = (average + fit).clamp(min=average / 16, max=average * 16).clamp_min(1e-10).sqrt()
    shares = torch.cat([*correlations(noise)], 1)
    rest = torch.as_tensor(quantised, dtype=noisy.dtype).expand(len(noisy), 1, 1, 1)
    planes = torch.cat([level * shares, rest.expand(-1, -1, *level.shape[-2:])], 1)
    return level, planes


def correlations(noise: torch.Tensor) -> list[torch.Tensor]:
    """Return the correlation of the noise at each of `LAGS` and that of the channels, each `(B, 1, 1, 1)`."""
    square = noise.square().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
    found = []
    for lag in LAGS:
        across = (noise[..., lag:] * noise[..., :-lag]).mean((1, 2, 3), keepdim=True)
        down = (noise[..., lag:, :] * noise[..., :-lag, :]).mean((1, 2, 3), keepdim=True)
        found.append((across + down) / 2 / square)
    if noise.shape[1] == 1:
        return [*found, torch.ones_like(square)]
    pairs = noise.mean(1, keepdim=True).square().mean((1, 2, 3), keepdim=True)
    count = noise.shape[1]
    return [*found, (count * pairs / square - 1) / (count - 1)]


def _counts(count: int, config: DegradationConfig, rng: torch.Generator) -> tuple[int, int]:
    """Return the numbers of patches with a camera and with JPEG only; their expectations are the given fractions."""
    first, second = torch.rand(2, generator=rng).tolist()
    cameras = min(count, int(count * config.camera + first))
    return cameras, min(count - cameras, int(count * config.jpeg + second))


def _photographed(draw: Draw, count: int, size: int, rng: torch.Generator, config: DegradationConfig) -> Sample:
    camera = Camera(count, rng, config.camera_config)
    clean = draw(count, round((size + BLOCK) / camera.scale) // 2 * 2 + 2 * Camera.margin)
    truth, noisy = (_centre(image, size + BLOCK) for image in camera.photograph(clean, rng))
    grey = (clean == clean[:, :1]).flatten(1).all(1)
    weights = torch.tensor(LUMA)[:, None, None]
    for image in (truth, noisy):
        image[grey] = (image[grey] * weights).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    quantised = torch.zeros(count, 1, 1, 1)
    draws = torch.rand((count, 6), generator=rng).tolist()
    for index, (pick, *rest) in enumerate(draws):
        if pick < config.compressed:
            noisy[index], quantised[index] = _jpeg_at(noisy[index], rest, config.quality, config)
    top, left = (int(value * BLOCK) for value in torch.rand(2, generator=rng).tolist())
    truth, noisy = (image[..., top : top + size, left : left + size] for image in (truth, noisy))
    return _with_conditions(truth, noisy, quantised, rng, config)


def _compressed(truth: torch.Tensor, size: int, rng: torch.Generator, config: DegradationConfig) -> Sample:
    noisy, quantised = truth.clone(), torch.zeros(len(truth), 1, 1, 1)
    for index, draws in enumerate(torch.rand((len(truth), 5), generator=rng).tolist()):
        noisy[index], quantised[index] = _jpeg_at(noisy[index], draws, config.jpeg_quality, config)
    top, left = (int(value * BLOCK) for value in torch.rand(2, generator=rng).tolist())
    truth, noisy = (image[..., top : top + size, left : left + size] for image in (truth, noisy))
    return _with_conditions(truth, noisy, quantised, rng, config)


def _jpeg_at(
    x: torch.Tensor, draws: list[float], qualities: tuple[int, int], config: DegradationConfig
) -> tuple[torch.Tensor, float]:
    """Return an image after JPEG, once or twice, and the quantisation error of the lower quality."""
    low, high = qualities
    quality, subsampled = round(low + (high - low) * draws[0]), draws[1] < config.subsampled
    after, coarsest = jpeg(x, quality, subsampled=subsampled), quality
    if draws[2] < config.twice:
        shift = 1 + int(draws[3] * (BLOCK - 1))
        second = round(low + (high - low) * draws[4])
        rolled = jpeg(after.roll((shift, shift), (1, 2)), second, subsampled=subsampled)
        after, coarsest = rolled.roll((-shift, -shift), (1, 2)), min(quality, second)
    return after, quantisation(coarsest)


def _with_conditions(
    clean: torch.Tensor, noisy: torch.Tensor, quantised: torch.Tensor, rng: torch.Generator, config: DegradationConfig
) -> Sample:
    """Return the sample with conditions that have the random errors of an estimate."""
    level, planes = conditions(noisy, noisy - clean, quantised)
    error = torch.randn((len(clean), 1, 1, 1), generator=rng) * config.uncertainty
    level = (level * error.exp()).clamp(SIGMA_LEAST / 2, 1)
    shares = torch.randn((len(clean), PLANES - 1, 1, 1), generator=rng) * 0.2 * config.uncertainty
    planes = planes * error.exp()
    planes[:, :-1] += level * shares
    factor = torch.randn((len(clean), 1, 1, 1), generator=rng) * config.uncertainty
    planes[:, -1:] = quantised * factor.exp()
    return Sample(clean, noisy, level, planes)


def _centre(x: torch.Tensor, side: int) -> torch.Tensor:
    top, left = ((length - side) // 2 for length in x.shape[-2:])
    return x[..., top : top + side, left : left + side]
