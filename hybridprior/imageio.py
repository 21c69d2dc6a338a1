"""Pictures in and out of memory: tensors, arrays, Pillow, and files of every common kind and depth.

Eight-bit files go through Pillow; sixteen-bit PNG and every deeper TIFF through imagecodecs and tifffile, since Pillow has
no sixteen-bit colour. The depth is the file's own and never guessed from its brightest pixel.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from hybridprior.errors import InputError, OutputError, ShapeError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["SUFFIXES", "Picture", "as_tensor", "read_picture", "to_pil", "write_atomically", "write_picture"]

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

DEPTHS = {"PNG": ("uint8", "uint16"), "TIFF": ("uint8", "uint16", "float32")}
ORIENTATION = 0x0112
PLAUSIBLE = (-4.0, 5.0)


@dataclass(frozen=True)
class Picture:
    """A picture with what its file says about it."""

    pixels: torch.Tensor
    """`(1, C, H, W)` float32, [0, 1] for integer files, upright."""
    alpha: torch.Tensor | None = None
    """`(1, 1, H, W)` float32 in [0, 1], where the file has one."""
    depth: str = "uint8"
    """Type of the file's numbers: "uint8", "uint16" or "float32"."""
    icc: bytes | None = None
    """The colour profile."""
    exif: bytes | None = None
    """The EXIF block, its orientation set to upright."""


def as_tensor(y: torch.Tensor | np.ndarray | Image.Image) -> torch.Tensor:
    """Return a picture as a float32 tensor `(1, C, H, W)`.

    Args:
        y: A floating tensor `(1, C, H, W)`, `(C, H, W)` or `(H, W)`, measurements of any other shape; an array
            `(H, W)` or `(H, W, C)`, floating or of unsigned integers; or a picture of Pillow without transparency.

    Raises:
        InputError: A type or a mode that has no plain reading.
        ShapeError: No pixels, or an array that is no picture.
    """
    if isinstance(y, torch.Tensor):
        if not y.is_floating_point():
            raise InputError(f"A tensor holds intensities in [0, 1] as floating numbers, not {y.dtype}.")
        tensor = y.detach().float()
        tensor = tensor.reshape((1,) * (4 - tensor.ndim) + tensor.shape) if tensor.ndim in (2, 3) else tensor
    elif isinstance(y, np.ndarray):
        if y.ndim not in (2, 3):
            raise ShapeError(f"An array has the shape (H, W) or (H, W, C), not {y.shape}.")
        tensor = _channels_first(_unit(y))
    elif hasattr(y, "getbands"):
        if set(y.getbands()) & {"A", "a"} or y.mode == "PA" or "transparency" in y.info:
            raise InputError("The picture has transparency: restore picture.convert('RGB') and put alpha back.")
        tensor = _decoded(y).pixels
    else:
        raise InputError(f"A picture is a tensor, an array or a Pillow picture, not {type(y).__name__}.")
    if tensor.numel() == 0:
        raise ShapeError(f"The picture has no pixels: {tuple(tensor.shape)}.")
    return tensor


def to_pil(x: torch.Tensor) -> Image.Image:
    """Return a picture as an eight-bit grey or RGB picture of Pillow.

    Args:
        x: `(1, C, H, W)`, C of 1 or 3; clipped to [0, 1].

    Raises:
        ShapeError: Another number of channels.
    """
    from PIL import Image

    if x.ndim != 4 or x.shape[0] != 1 or x.shape[1] not in (1, 3):
        raise ShapeError(f"A Pillow picture is grey or RGB, (1, 1 or 3, H, W), not {tuple(x.shape)}.")
    array = _quantised(x[0].permute(1, 2, 0).cpu().numpy(), "uint8")
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Return the picture in a file, upright, its alpha apart.

    Palettes become colours, CMYK becomes RGB. Of a file with several frames the first is read, and a warning logged.

    Args:
        path: A file in any format of Pillow or tifffile.

    Raises:
        InputError: No such file, not a picture, truncated, far too large, or with numbers that are no intensities.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder, not a picture.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = _deep(path)
            if picture is None:
                with Image.open(path) as image:
                    if getattr(image, "n_frames", 1) > 1:
                        log.warning("'%s' has several frames; the first is read", path)
                    picture = _decoded(image)
    except FileNotFoundError:
        raise InputError(f"There is no file '{path}'.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"'{path}' unpacks to too many pixels to be a safe picture; crop it first.") from error
    except UnidentifiedImageError:
        raise InputError(f"'{path}' is not a picture in a known format, or is damaged.") from None
    except PermissionError:
        raise InputError(f"'{path}' may not be read.") from None
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error
    except MemoryError:
        raise InputError(f"'{path}' does not fit into memory; crop it first.") from None
    except Exception as error:  # decoders raise errors of every family on damaged files
        raise InputError(f"'{path}' cannot be read: it is truncated or damaged ({_first_line(error)}).") from error
    return picture


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture, whole or not at all.

    The suffix decides the format; the picture's depth is kept where the format has it, and the next lower one used else.

    Args:
        path: A name that ends in one of `SUFFIXES`.
        picture: What to write; clipped to [0, 1] unless written as float32.

    Raises:
        OutputError: An unknown suffix, or a place that cannot be written.
        ShapeError: Channels that the format does not have.
    """
    path = Path(path)
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise OutputError(f"'{path.name}' has no suffix of a picture that can be written: {', '.join(SUFFIXES)}.")
    fitting = DEPTHS.get(kind, ("uint8",))
    depth = picture.depth if picture.depth in fitting else fitting[-1]
    array = picture.pixels[0].permute(1, 2, 0).cpu().numpy()
    if array.shape[-1] not in (1, 3) and kind != "TIFF":
        raise ShapeError(f"A picture with {array.shape[-1]} channels can only be written as TIFF.")
    if picture.alpha is not None and kind not in ("JPEG", "BMP"):
        array = np.concatenate([array, picture.alpha[0].permute(1, 2, 0).cpu().numpy()], axis=-1)
    array = array.astype(np.float32) if depth == "float32" else _quantised(array, depth)
    extra = picture.alpha is not None and kind not in ("JPEG", "BMP")
    write_atomically(path, _encoded(array, kind, picture, extra))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file by way of a temporary one beside it, so that no half of it is ever seen.

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
            os.chmod(name, 0o666 & ~umask)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror or error}.") from error


def _decoded(image: Image.Image) -> Picture:
    """Return what Pillow has decoded as a picture."""
    orientation = int(image.getexif().get(ORIENTATION, 1) or 1)
    exif, icc = _upright_exif(image), image.info.get("icc_profile")
    if image.mode in ("P", "PA") or "transparency" in image.info:
        transparent = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"):
        icc = None if image.mode in ("CMYK", "LAB") else icc
        image = image.convert("L" if image.mode == "1" else "RGB")
    array = np.asarray(image)
    if array.dtype == np.int32:  # Pillow's "I": sixteen bits in thirty-two
        array = array.astype(np.uint16) if 0 <= array.min() and array.max() < 2**16 else array
    alpha = image.mode in ("LA", "RGBA")
    return _assembled(array, alpha=alpha, orientation=orientation, icc=icc, exif=exif)


def _deep(path: Path) -> Picture | None:
    """Return the picture in a sixteen-bit PNG or a TIFF that is not eight-bit, or None for any other file."""
    with path.open("rb") as file:
        head = file.read(33)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10":
        return _deep_png(path)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _deep_tiff(path)
    return None


def _deep_png(path: Path) -> Picture:
    import imagecodecs
    from PIL import Image

    with Image.open(path) as image:  # checks the size before anything is unpacked
        orientation = int(image.getexif().get(ORIENTATION, 1) or 1)
        exif, icc = _upright_exif(image), image.info.get("icc_profile")
    array = imagecodecs.png_decode(path.read_bytes())
    alpha = array.ndim == 3 and array.shape[-1] in (2, 4)
    return _assembled(array, alpha=alpha, orientation=orientation, icc=icc, exif=exif)


def _deep_tiff(path: Path) -> Picture | None:
    import tifffile
    from PIL import Image

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if not isinstance(page, tifffile.TiffPage) or page.dtype is None:
            raise InputError("the TIFF has no picture in it")
        if page.dtype == np.uint8 and page.samplesperpixel in (1, 3, 4):
            return None
        if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 2**62):
            raise Image.DecompressionBombError
        if len(file.pages) > 1:
            log.warning("'%s' has several pages; the first is read", path)
        array = page.asarray()
        if page.axes.startswith("S"):
            array = np.moveaxis(array, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind == "u":
            array = np.iinfo(array.dtype).max - array
        alpha = any(extra in (1, 2) for extra in page.extrasamples)
        tag = page.tags.get(ORIENTATION)
        orientation = int(tag.value) if tag else 1
        return _assembled(array, alpha=alpha, orientation=orientation, icc=page.iccprofile, exif=None)


def _assembled(array: np.ndarray, *, alpha: bool, orientation: int, icc: bytes | None, exif: bytes | None) -> Picture:
    depth = {1: "uint8", 2: "uint16"}.get(array.dtype.itemsize, "float32") if array.dtype.kind == "u" else "float32"
    tensor = _channels_first(_oriented(_unit(array), orientation))
    if depth == "float32":
        finite = tensor[torch.isfinite(tensor)]
        if finite.numel() and not PLAUSIBLE[0] <= float(finite.min()) <= float(finite.max()) <= PLAUSIBLE[1]:
            low, high = float(finite.min()), float(finite.max())
            raise InputError(f"floating pictures have intensity in [0, 1]; this one goes from {low:.3g} to {high:.3g}")
    if not torch.isfinite(tensor).all():
        raise InputError("it has pixels that are NaN or infinite; mask them out or repair them first")
    if alpha:
        return Picture(tensor[:, :-1].contiguous(), tensor[:, -1:].contiguous(), depth, icc, exif)
    return Picture(tensor, None, depth, icc, exif)


def _unit(array: np.ndarray) -> np.ndarray:
    """Return an array as float32, unsigned integers divided by their type's greatest."""
    if array.dtype.kind == "u":
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype.kind == "b":
        return array.astype(np.float32)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    raise InputError(f"Pictures have unsigned or floating numbers, not {array.dtype}.")


def _channels_first(array: np.ndarray) -> torch.Tensor:
    array = array[..., None] if array.ndim == 2 else array
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]


def _oriented(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return the array turned upright, by EXIF's orientation 1 to 8."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


def _upright_exif(image: Image.Image) -> bytes | None:
    exif = image.getexif()
    if not len(exif):
        return None
    exif[ORIENTATION] = 1
    return exif.tobytes()


def _quantised(array: np.ndarray, depth: str) -> np.ndarray:
    top = np.iinfo(depth).max
    return np.rint(np.clip(array, 0, 1).astype(np.float64) * top).astype(depth)


def _encoded(array: np.ndarray, kind: str, picture: Picture, alpha: bool) -> bytes:
    """Return the bytes of a file of `kind`."""
    buffer = io.BytesIO()
    if kind == "TIFF":
        import tifffile

        flat = array[..., 0] if array.shape[-1] == 1 else array
        colour = array.shape[-1] - alpha == 3
        tifffile.imwrite(
            buffer,
            flat,
            photometric="rgb" if colour else "minisblack",
            planarconfig="contig" if flat.ndim == 3 else None,
            extrasamples=["unassalpha"] if alpha else None,
            iccprofile=picture.icc,
            metadata=None,
        )
    elif array.dtype == np.uint16:
        import imagecodecs

        buffer.write(_with_icc(imagecodecs.png_encode(array), picture.icc))
    else:
        from PIL import Image

        flat = array[..., 0] if array.shape[-1] == 1 else array
        options = {"icc_profile": picture.icc, "exif": picture.exif}
        quality = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
        given = {name: value for name, value in options.items() if value and kind != "BMP"}
        Image.fromarray(flat).save(buffer, format=kind, **given, **quality)
    return buffer.getvalue()


def _with_icc(png: bytes, icc: bytes | None) -> bytes:
    """Return the PNG with a colour profile after its header."""
    if not icc:
        return png
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(icc)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:120].rstrip(".")
