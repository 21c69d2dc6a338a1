"""The operator A of an image, from the options of `hprior restore` and the image's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hybridprior.analysis.jpeg import file_steps
from hybridprior.errors import InputError, ShapeError
from hybridprior.io.files import ImageData, read_image
from hybridprior.io.image import ORIENTATION
from hybridprior.operators import BayerMosaic, Blur, Crop, Downsample, Identity, Jpeg, Mask, Operator
from hybridprior.operators.external import load_operator
from hybridprior.operators.kernels import make_psf

from ..files import Item, beside

if TYPE_CHECKING:
    import torch

    from .request import Request

__all__ = ["compressed", "operator_of"]


def operator_of(request: Request, item: Item, source: ImageData) -> Operator:
    """Return the operator of one image.

    Args:
        request: The request.
        item: The files of the image.
        source: The image.

    Raises:
        InputError: A mask, a kernel or an image that cannot be used.
        ShapeError: A mask of another size.
    """
    if request.operator is not None:
        return load_operator(request.operator)
    if request.task == "sr":
        return Downsample(request.factor, request.kernel)
    if request.task == "deblur":
        assert request.blur is not None  # the command requires it
        return Blur(make_psf(request.blur), request.boundary)
    if request.task == "demosaic":
        return _mosaic(request, item, source)
    if request.task == "inpaint" and request.outpaint:
        return Crop(request.outpaint)
    if request.task == "inpaint":
        return Mask(_known(request, item, source))
    if request.task == "dejpeg" and compressed(item.source):
        return Jpeg.of_file(item.source, source.pixels)
    return Identity()


def compressed(path: Path) -> bool:
    """Return whether a file is a JPEG whose blocks are aligned with the image as it is read."""
    from PIL import Image

    if file_steps(path) is None:
        return False
    with Image.open(path) as image:
        return image.mode in ("L", "RGB") and image.getexif().get(ORIENTATION, 1) == 1


def _mosaic(request: Request, item: Item, source: ImageData) -> Operator:
    if source.pixels.shape[1] != 1:
        raise InputError(
            f"'{item.source}' is in colour; demosaic needs the sensor's mosaic, a grey image with one value per pixel."
        )
    return BayerMosaic(request.bayer)


def _known(request: Request, item: Item, source: ImageData) -> torch.Tensor:
    """Return 1 where a pixel is known, `(1, 1, H, W)`."""
    path = beside(request.mask, item, what="mask")
    if path is None:
        alpha = source.alpha
        if alpha is None or bool((alpha > 0.5).all()):
            raise InputError(f"'{item.source}' has no transparent region; mark the pixels to fill in with --mask.")
        return alpha
    mask = read_image(path)
    white = mask.pixels.mean(dim=1, keepdim=True) > 0.5
    known = white if request.mask_keeps else ~white
    if known.shape[-2:] != source.pixels.shape[-2:]:
        (h, w), (a, b) = known.shape[-2:], source.pixels.shape[-2:]
        raise ShapeError(f"The mask '{path}' is {w} x {h}, but '{item.source}' is {b} x {a}; the sizes must be equal.")
    return known.float()
