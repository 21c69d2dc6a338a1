"""Images in files of more than eight bits: PNG by imagecodecs, TIFF by tifffile, since Pillow has no such colours."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from hybridprior.errors import InputError
from hybridprior.io.image import ORIENTATION, ImageData, assemble, upright_exif

__all__ = ["read_deep"]

log = logging.getLogger(__name__)

PLAIN = (0, 1, 2)
"""TIFF's photometry of grey (white or black is 0) and RGB."""


def read_deep(path: Path) -> ImageData | None:
    """Return the image in a sixteen-bit PNG, or in a TIFF that is deep or not upright; None for any other file.

    Args:
        path: The file.

    Raises:
        InputError: A TIFF without an image, or one that lies on its side and has other than plain colours.
    """
    with path.open("rb") as file:
        head = file.read(33)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10":
        return _deep_png(path)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _deep_tiff(path)
    return None


def _deep_png(path: Path) -> ImageData:
    import imagecodecs
    from PIL import Image

    with Image.open(path) as pil:  # checks the size before anything is unpacked
        orientation = int(pil.getexif().get(ORIENTATION, 1) or 1)
        exif, icc = upright_exif(pil), pil.info.get("icc_profile")
    array = imagecodecs.png_decode(path.read_bytes())
    alpha = array.ndim == 3 and array.shape[-1] in (2, 4)
    return assemble(array, alpha=alpha, orientation=orientation, icc=icc, exif=exif)


def _deep_tiff(path: Path) -> ImageData | None:
    import tifffile
    from PIL import Image

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if not isinstance(page, tifffile.TiffPage) or page.dtype is None:
            raise InputError("The TIFF has no image in it.")
        tag = page.tags.get(ORIENTATION)
        orientation = int(tag.value) if tag else 1
        # Pillow knows all colours, but what lies on its side does not come out upright.
        plain = page.bitspersample == 8 and page.photometric in PLAIN
        if page.bitspersample <= 8 and page.samplesperpixel in (1, 3, 4) and orientation < 5:
            return None
        if page.bitspersample <= 8 and not plain:
            raise InputError("The TIFF lies on its side and has neither plain grey nor RGB; save it upright.")
        if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 2**62):
            raise Image.DecompressionBombError
        if len(file.pages) > 1:
            log.warning("'%s' has several pages; the first is read", path)
        array = page.asarray()
        if page.axes.startswith("S"):
            array = np.moveaxis(array, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind == "u":
            array = (2**page.bitspersample - 1 - array).astype(array.dtype)
        if array.dtype == np.uint16 and page.bitspersample < 16:
            array = np.round(array * (65535 / (2**page.bitspersample - 1))).astype(np.uint16)
        alpha = any(extra in (1, 2) for extra in page.extrasamples)
        if tuple(page.extrasamples) == (tifffile.EXTRASAMPLE.ASSOCALPHA,):
            array = _straight(array)
        return assemble(array, alpha=alpha, orientation=orientation, icc=page.iccprofile, exif=None)


def _straight(array: np.ndarray) -> np.ndarray:
    """Return the image `(H, W, C)` with colours as they are: alpha, the last channel, was multiplied into them."""
    top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1.0
    alpha = array[..., -1:].astype(np.float64) / top
    colours = np.divide(array[..., :-1], alpha, out=np.zeros(array[..., :-1].shape), where=alpha > 0)
    colours = colours.clip(max=max(top, array[..., :-1].max()))  # next to no alpha tells next to nothing
    if array.dtype.kind == "u":
        colours = np.round(colours)
    return np.concatenate([colours.astype(array.dtype), array[..., -1:]], axis=-1)
