"""Images in files of every common kind and depth.

Eight-bit files go through Pillow; sixteen-bit PNG and every deeper TIFF through imagecodecs and tifffile, since Pillow
has no sixteen-bit colour.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import tempfile
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridprior.errors import InputError, OutputError, ShapeError
from hybridprior.io.deep import read_deep
from hybridprior.io.image import (
    ImageData,
    from_pillow,
    plausible,
    quantise,
    words_of,
)

__all__ = ["SUFFIXES", "ImageData", "check_format", "read_image", "write_atomically", "write_image"]

log = logging.getLogger(__name__)

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
"""The file names that can be written, and their formats."""

SIDES = {"WEBP": 16383, "JPEG": 65500}
OPAQUE = ("JPEG", "BMP")
MOST_EXIF = 65533 - len(b"Exif\0\0")
DEPTHS = {"PNG": ("uint8", "uint16"), "TIFF": ("uint8", "uint16", "float32")}


def read_image(path: str | os.PathLike[str], *, finite: bool = True) -> ImageData:
    """Return the image in a file, upright, with a separate alpha channel.

    Palettes become colours, CMYK becomes RGB. Of a file with several frames the first is read, and a warning logged.

    Args:
        path: A file in any format of Pillow or tifffile.
        finite: Whether pixels that are NaN, infinite or no intensities are refused.

    Raises:
        InputError: No such file, not an image, truncated, far too large, or with numbers that are no intensities.

    Example:
        >>> import tempfile
        >>> from hybridprior.data import demo_image
        >>> image = read_image(demo_image())
        >>> image.pixels.shape
        torch.Size([1, 3, 192, 256])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_image(f"{folder}/copy.png", image)
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder, not an image.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = read_deep(path)
            if image is None:
                with Image.open(path) as pil:
                    if getattr(pil, "n_frames", 1) > 1:
                        log.warning("'%s' has several frames; the first is read", path)
                    image = from_pillow(pil)
        plausible(image.pixels if finite else torch.empty(0))
    except FileNotFoundError:
        raise InputError(f"There is no file '{path}'.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"'{path}' unpacks to too many pixels to be a safe image; crop it first.") from error
    except UnidentifiedImageError:
        raise InputError(f"'{path}' is not an image in a known format, or is damaged.") from None
    except PermissionError:
        raise InputError(f"'{path}' may not be read.") from None
    except InputError as error:
        raise InputError(f"'{path}' cannot be used. {error}") from error
    except MemoryError:
        raise InputError(f"'{path}' does not fit into memory; crop it first.") from None
    except Exception as error:  # decoders raise errors of every family on damaged files
        raise InputError(f"'{path}' cannot be read: it is truncated or damaged ({_first_line(error)}).") from error
    if finite and not torch.isfinite(image.pixels).all():
        raise InputError(f"'{path}' has pixels that are NaN or infinite; mask them out or repair them first.")
    return image


def write_image(path: str | os.PathLike[str], image: ImageData) -> None:
    """Write an image completely or not at all.

    The suffix decides the format; the image's depth is kept where the format has it, else the next lower depth.

    Args:
        path: A name that ends in one of `SUFFIXES`.
        image: What to write; clipped to [0, 1] unless written as float32.

    Raises:
        OutputError: An unknown suffix, or a place that cannot be written.
        ShapeError: Channels that the format does not have.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_image(f"{folder}/grey.png", ImageData(torch.full((1, 1, 8, 8), 0.5)))
        ...     read_image(f"{folder}/grey.png").pixels.shape
        torch.Size([1, 1, 8, 8])
    """
    path = Path(path)
    kind = check_format(path, image.pixels.shape)
    fitting = DEPTHS.get(kind, ("uint8",))
    depth = image.depth if image.depth in fitting else fitting[-1]
    array = image.pixels[0].permute(1, 2, 0).cpu().numpy()
    if image.alpha is not None and kind in OPAQUE:
        log.warning("'%s': %s has no transparency, and the image's is left out", path, kind)
    elif image.alpha is not None:
        array = np.concatenate([array, image.alpha[0].permute(1, 2, 0).cpu().numpy()], axis=-1)
    array = array.astype(np.float32) if depth == "float32" else quantise(array, depth)
    extra = image.alpha is not None and kind not in OPAQUE
    try:
        data = _encoded(np.ascontiguousarray(array), kind, image, extra)
    except (ValueError, OSError, RuntimeError) as error:
        raise OutputError(f"'{path}' cannot be written as {kind}: {_first_line(error)}.") from error
    write_atomically(path, data)


def check_format(path: Path, shape: Sequence[int]) -> str:
    """Return the format that a file's suffix names.

    Args:
        path: The file to be written.
        shape: `(1, C, H, W)` of the image.

    Raises:
        OutputError: An unknown suffix, or sides that the format cannot hold.
        ShapeError: Channels that the format does not have.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise OutputError(f"'{path.name}' has no suffix of an image that can be written: {', '.join(SUFFIXES)}.")
    if shape[1] not in (1, 3) and kind != "TIFF":
        raise ShapeError(f"An image with {shape[1]} channels can only be written as TIFF, not as '{path.name}'.")
    if max(shape[2:]) > SIDES.get(kind, 2**31):
        raise OutputError(f"{kind} holds images up to {SIDES[kind]} pixels a side; write '{path.stem}' as PNG or TIFF.")
    return kind


def write_atomically(path: Path, data: bytes) -> None:
    """Write a temporary file in the same folder and rename it, so that no partial file is left.

    Args:
        path: Where to; its folder must exist.
        data: What.

    Raises:
        OutputError: The place cannot be written, or is full.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}.") from error


def _encoded(array: np.ndarray, kind: str, image: ImageData, alpha: bool) -> bytes:
    """Return the bytes of a file of `kind`."""
    buffer = io.BytesIO()
    colours = array.shape[-1] - alpha
    if kind == "TIFF" and (array.dtype != np.uint8 or colours not in (1, 3)):
        import tifffile

        flat = array[..., 0] if array.shape[-1] == 1 else array
        tifffile.imwrite(
            buffer,
            flat,
            photometric="rgb" if colours == 3 else "minisblack",
            planarconfig="contig" if flat.ndim == 3 else None,
            extrasamples=["unassalpha"] if alpha else None,
            iccprofile=image.icc,
            metadata=None,
        )
    elif array.dtype == np.uint16:
        import imagecodecs

        png = bytes(imagecodecs.png_encode(array))
        buffer.write(_with_chunks(png, image.icc, image.exif))
    else:
        from PIL import Image

        flat = array[..., 0] if array.shape[-1] == 1 else array
        options = {"icc_profile": image.icc, "exif": _fitting(image.exif, kind)}
        qualities: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
        quality = qualities.get(kind, {})
        given = {name: value for name, value in options.items() if value and kind != "BMP"}
        Image.fromarray(flat).save(buffer, format=kind, **given, **quality)
    return buffer.getvalue()


def _fitting(exif: bytes | None, kind: str) -> bytes | None:
    """Return the part of an EXIF block that a file of `kind` can hold."""
    if exif is not None and kind == "TIFF":
        return words_of(exif)
    if exif is not None and kind == "JPEG" and len(exif) > MOST_EXIF:
        log.warning("The EXIF block is too long for a JPEG, and is left out.")
        return None
    return exif


def _with_chunks(png: bytes, icc: bytes | None, exif: bytes | None) -> bytes:
    """Return the PNG with a colour profile and an EXIF block after its header."""
    bodies = [b"iCCP" + b"ICC profile\0\0" + zlib.compress(icc)] if icc else []
    bodies += [b"eXIf" + exif.removeprefix(b"Exif\0\0")] if exif else []
    chunks = [struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in bodies]
    return png[:33] + b"".join(chunks) + png[33:]


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:120].rstrip(".")
