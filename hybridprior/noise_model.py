"""The noise model of an image: level as a function of intensity, spatial and channel correlation, JPEG quantisation.

The simplest model is white Gaussian noise: `NoiseModel.white(sigma)`. `hybridprior.analysis.estimate_noise` estimates
the model of an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from hybridprior.errors import ConfigError

__all__ = ["LAGS", "NoiseModel", "quantisation"]

LAGS = (1, 2, 4)
"""Distances in pixels, along rows and columns, at which the correlation is known."""

WINDOW = 5
"""Side of the window for the local mean of the intensity, on which the level depends."""


@dataclass(frozen=True)
class NoiseModel:
    """The distribution of an image's noise."""

    intensities: tuple[float, ...] = (0.5,)
    """Intensities at which the level is given, ascending, in [0, 1]."""
    levels: tuple[float, ...] = (0.0,)
    """Standard deviation at each of them, in units of intensity. It is interpolated linearly and constant beyond."""
    correlation: tuple[float, ...] = (0.0,) * len(LAGS)
    """Correlation of the noise at two pixels for each of `LAGS`; zeros for white noise."""
    channel_correlation: float = 0.0
    """Mean correlation of the noise in two channels; 0 for independent channels."""
    quantisation: float = 0.0
    """Standard deviation of the quantisation error of JPEG coefficients, in units of intensity; 0 for none."""
    sigma: float = 0.0
    """Root of the mean variance of the noise over the image."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        values = (*self.levels, self.quantisation, self.sigma)
        if len(self.intensities) != len(self.levels) or not self.levels:
            raise ConfigError("A NoiseModel needs one level for each intensity, and at least one.")
        if list(self.intensities) != sorted(set(self.intensities)):
            raise ConfigError("The intensities of a NoiseModel must ascend.")
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ConfigError("The levels of a NoiseModel must be numbers of at least 0, in units of intensity.")
        if len(self.correlation) != len(LAGS):
            raise ConfigError(f"A NoiseModel needs one correlation for each of the lags {LAGS}.")

    @classmethod
    def white(cls, sigma: float) -> NoiseModel:
        """Return white Gaussian noise.

        Args:
            sigma: Standard deviation, in units of intensity.

        Example:
            >>> from hybridprior.noise_model import NoiseModel
            >>> NoiseModel.white(25 / 255).is_white
            True
        """
        return cls(levels=(float(sigma),), sigma=float(sigma))

    @property
    def is_white(self) -> bool:
        """Whether pixels and channels are independent, and JPEG did not quantise the image."""
        return not any(self.correlation) and not self.channel_correlation and not self.quantisation

    @property
    def is_uniform_white(self) -> bool:
        """Whether the noise is white and of the same level everywhere."""
        return self.is_white and len(self.levels) == 1

    def scaled(self, factor: float) -> NoiseModel:
        """Return noise of the same kind with another level.

        Args:
            factor: What the level is multiplied by, 0 or more.
        """
        levels = tuple(factor * level for level in self.levels)
        return replace(self, levels=levels, sigma=factor * self.sigma)

    def level_map(self, y: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation at each pixel of noisy images.

        Args:
            y: `(B, C, H, W)`, intensity in [0, 1].

        Returns:
            `(B, 1, H, W)`, or `(B, 1, 1, 1)` where the level is the same everywhere.
        """
        levels = torch.tensor(self.levels, dtype=torch.float32, device=y.device)
        if len(self.levels) == 1:
            return levels.reshape(1, 1, 1, 1).expand(len(y), 1, 1, 1)
        knots = torch.tensor(self.intensities, dtype=torch.float32, device=y.device)
        mean = local_mean(y).clamp(knots[0], knots[-1])
        above = torch.searchsorted(knots, mean.contiguous()).clamp(1, len(knots) - 1)
        share = (mean - knots[above - 1]) / (knots[above] - knots[above - 1])
        level: torch.Tensor = levels[above - 1].lerp(levels[above], share)
        return level

    def planes(self, level: torch.Tensor) -> torch.Tensor:
        """Return the other inputs of a conditioned denoiser, `(B, len(LAGS) + 2, H, W)`, which are 0 for white noise.

        Args:
            level: The result of `level_map`.
        """
        shares = [level * share for share in (*self.correlation, self.channel_correlation)]
        return torch.cat([*shares, torch.full_like(level, self.quantisation)], 1)

    def covariance(self, reach: int = 9) -> torch.Tensor:
        """Return the spatial correlation `(2 reach + 1, 2 reach + 1)`, which is 1 in the centre.

        It is interpolated between the lags, and decreases exponentially beyond the largest one.

        Args:
            reach: Largest lag.
        """
        offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
        distance = (offset[:, None] ** 2 + offset[None] ** 2).sqrt()
        knots, values = [0.0, *map(float, LAGS)], [1.0, *self.correlation]
        found = torch.zeros_like(distance)
        for low, high, start, end in zip(knots, knots[1:], values, values[1:], strict=False):
            share = (distance - low) / (high - low)
            found = torch.where((distance >= low) & (distance <= high), start + (end - start) * share, found)
        tail = values[-1] * torch.exp(-(distance - knots[-1]) / 2)
        return torch.where(distance > knots[-1], tail, found)

    def sample(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Return noise for clean images, in their shape. It does not include the quantisation of JPEG.

        Args:
            x: Clean images `(B, C, H, W)`, intensity in [0, 1].
            rng: Random generator on the CPU.

        Example:
            >>> import torch
            >>> from hybridprior.noise_model import NoiseModel
            >>> noise = NoiseModel.white(0.1).sample(torch.zeros(1, 3, 64, 64), torch.Generator().manual_seed(0))
            >>> round(float(noise.std()), 2)
            0.1
        """
        noise = torch.randn(x.shape, generator=rng)
        if any(self.correlation):
            noise = self._correlated(noise)
        if self.channel_correlation and x.shape[1] > 1:
            count = x.shape[1]
            share = min(max(self.channel_correlation, -0.99 / (count - 1)), 1.0)
            matrix = torch.full((count, count), share).fill_diagonal_(1.0).double()
            values, vectors = torch.linalg.eigh(matrix)
            root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
            noise = torch.einsum("ij,njhw->nihw", root.float(), noise)
        return noise.to(x) * self.level_map(x)

    def _correlated(self, noise: torch.Tensor) -> torch.Tensor:
        """Apply the spatial correlation of the model to white noise, by a filter in Fourier space."""
        height, width = noise.shape[-2:]
        reach = max(1, min(9, (min(height, width) - 1) // 2))
        kernel = torch.zeros(height, width, dtype=torch.float64)
        side = min(2 * reach + 1, height, width)
        kernel[:side, :side] = self.covariance(reach)[:side, :side]
        kernel = kernel.roll((-reach, -reach), (0, 1))
        power = torch.fft.fft2(kernel).real.clamp_min(0)
        power = power / power.mean()
        filtered: torch.Tensor = torch.fft.ifft2(torch.fft.fft2(noise.double()) * power.sqrt()).real.float()
        return filtered


def local_mean(y: torch.Tensor) -> torch.Tensor:
    """Return the mean intensity over channels and a window of `WINDOW` pixels, `(B, 1, H, W)`."""
    mean = y.float().mean(1, keepdim=True)
    found: torch.Tensor = F.avg_pool2d(F.pad(mean, (WINDOW // 2,) * 4, mode="replicate"), WINDOW, 1)
    return found


def quantisation(quality: float) -> float:
    """Return the standard deviation of the quantisation error of the DC coefficient of luma in JPEG.

    Args:
        quality: From 1 to 100, in the scale of the Independent JPEG Group.

    Example:
        >>> from hybridprior.noise_model import quantisation
        >>> round(255 * quantisation(50), 2)
        4.62
    """
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    return max(scale * 16, 1.0) / math.sqrt(12) / 255
