"""Test images: a clean one degraded by the conventions of the literature.

Noise is white, Gaussian, not clipped, and drawn from a CPU generator with the stated seed.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import torch

from hybridprior.errors import ConfigError, unknown_name
from hybridprior.io.image import from_pillow, to_pil
from hybridprior.operators import BayerMosaic, Blur, Downsample, Identity, Jpeg, Mask, Operator
from hybridprior.operators.kernels import make_psf
from hybridprior.presets import TASKS

__all__ = ["Degradation", "degrade", "jpeg_file"]


@dataclass(frozen=True)
class Degradation:
    """How a clean image is degraded."""

    task: str = "denoise"
    """"denoise", "sr", "inpaint", "deblur", "dejpeg" or "demosaic"."""
    sigma: float = 0.0
    """Standard deviation of the noise, in [0, 1]."""
    scale: int = 4
    """sr: how many times smaller."""
    kernel: str = "lanczos2"
    """sr: the low-pass filter."""
    missing: float = 0.5
    """inpaint: share of the pixels that go missing, at random."""
    blur: str = "gaussian:2"
    """deblur: the kernel, as `hybridprior.operators.kernels.make_psf` takes it."""
    boundary: str = "circular"
    """deblur: what lies beyond the frame, as `Blur` takes it; "circular" is the convention of published tables."""
    quality: int = 20
    """dejpeg: the JPEG file's, 1 to 95."""
    bayer: str = "RGGB"
    """demosaic: the pattern."""
    seed: int = 0
    """Of the generator of noise and of missing pixels."""

    @property
    def nominal_sigma(self) -> float | None:
        """What a restoration is told of the noise: sigma, but for JPEG, whose own noise nobody knows."""
        return None if self.task == "dejpeg" else self.sigma

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a task that there is not, or numbers out of their range."""
        if self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ConfigError(f"sigma is a number, 0 or more, not {self.sigma}.")
        if not 0 < self.missing < 1:
            raise ConfigError(f"missing is a share between 0 and 1, not {self.missing}.")

    @property
    def label(self) -> str:
        """The condition in words: "sigma 25", "x4", "50 % missing", and what departs from the usual."""
        noise = f"sigma {255 * self.sigma:.4g}"
        words = {
            "denoise": [noise],
            "sr": [f"x{self.scale}", *([] if self.kernel == Degradation.kernel else [self.kernel])],
            "inpaint": [f"{100 * self.missing:.4g} % missing"],
            "deblur": [self.blur, *([] if self.boundary == Degradation.boundary else [self.boundary])],
            "dejpeg": [f"quality {self.quality}"],
            "demosaic": [self.bayer],
        }[self.task]
        return ", ".join([*words, noise] if self.sigma and self.task != "denoise" else words)


def degrade(x: torch.Tensor, how: Degradation) -> tuple[torch.Tensor, Operator]:
    """Return the measurements of a clean image and the operator that made them.

    Args:
        x: `(1, C, H, W)` in [0, 1]; for "sr" its sides are multiples of the scale.
        how: The degradation.

    Raises:
        ConfigError: An image that the scale does not divide, or without colours for a mosaic.
    """
    rng = torch.Generator().manual_seed(how.seed)
    if how.task == "inpaint":
        mask = Mask((torch.rand((1, 1, *x.shape[-2:]), generator=rng) >= how.missing).float())
        return mask(_noisy(x, how.sigma, rng)), mask
    if how.task == "dejpeg":
        return _compressed(x, how)
    operator = _operator(x, how)
    return _noisy(operator(x), how.sigma, rng), operator


def _operator(x: torch.Tensor, how: Degradation) -> Operator:
    if how.task == "sr":
        if x.shape[-2] % how.scale or x.shape[-1] % how.scale:
            raise ConfigError(
                f"An image of {x.shape[-1]} x {x.shape[-2]} is no multiple of {how.scale}; crop it first."
            )
        return Downsample(how.scale, how.kernel)
    if how.task == "deblur":
        return Blur(make_psf(how.blur), how.boundary)
    if how.task == "demosaic":
        if x.shape[1] != 3:
            raise ConfigError("A mosaic is made of an image in colour, and this one is grey.")
        return BayerMosaic(how.bayer)
    return Identity()


def jpeg_file(x: torch.Tensor, how: Degradation, *, icc: bytes | None = None, exif: bytes | None = None) -> bytes:
    """Return the JPEG file that `degrade` reads for "dejpeg".

    Args:
        x: `(1, C, H, W)` in [0, 1].
        how: The degradation.
        icc: A colour profile for the file.
        exif: An EXIF block for it.
    """
    file, rng = io.BytesIO(), torch.Generator().manual_seed(how.seed)
    given = {name: value for name, value in (("icc_profile", icc), ("exif", exif)) if value}
    to_pil(_noisy(x, how.sigma, rng)).save(file, "JPEG", quality=how.quality, **given)
    return file.getvalue()


def _compressed(x: torch.Tensor, how: Degradation) -> tuple[torch.Tensor, Operator]:
    """Return an image after JPEG, and the operator that knows its tables."""
    from PIL import Image

    file = io.BytesIO(jpeg_file(x, how))
    y = from_pillow(Image.open(file)).pixels
    return y, Jpeg.of_file(file, y)


def _noisy(y: torch.Tensor, sigma: float, rng: torch.Generator) -> torch.Tensor:
    return y + sigma * torch.randn(y.shape, generator=rng) if sigma else y
