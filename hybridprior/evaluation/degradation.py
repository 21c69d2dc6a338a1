"""Test images: a clean one degraded by the conventions of the literature.

Noise is white, Gaussian, not clipped, and drawn from a CPU generator with the stated seed.
"""

from __future__ import annotations

import io

import torch

from hybridprior.errors import ConfigError
from hybridprior.evaluation.config import Degradation
from hybridprior.io.image import from_pillow, to_pil
from hybridprior.operators import BayerMosaic, Blur, Downsample, Identity, Jpeg, Mask, Operator
from hybridprior.operators.kernels import make_psf

__all__ = ["Degradation", "degrade", "jpeg_file"]


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
