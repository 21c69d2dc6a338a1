"""Images in memory: tensors, arrays and Pillow images, converted to one form.

The depth of an image is that of its data type.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from hybridprior.errors import InputError, ShapeError

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "ORIENTATION",
    "ImageData",
    "as_tensor",
    "assemble",
    "from_pillow",
    "plausible",
    "quantise",
    "to_pil",
    "upright_exif",
    "words_of",
]

log = logging.getLogger(__name__)

ORIENTATION = 0x0112
"""EXIF's tag."""

WORDS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""EXIF's description, make, model, software, date, artist and copyright."""

CAMERA, PLACE = 0x8769, 0x8825
"""EXIF's folders of the camera's settings and of the place."""

PLAUSIBLE = (-4.0, 5.0)
"""Least and greatest intensity of a floating image that is meant to lie in [0, 1], with noise of unknown level."""

MOST_CHANNELS = 8
"""Channels above which an image one, three or four pixels wide is taken for one whose axes are in another order."""

DEVIATIONS = 6
"""Standard deviations of known noise that may come on top."""


@dataclass(frozen=True)
class ImageData:
    """An image with the metadata of its file."""

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


def as_tensor(y: torch.Tensor | np.ndarray | Image.Image, *, image: bool = True) -> torch.Tensor:
    """Return an image as a float32 tensor `(1, C, H, W)`.

    Args:
        y: A floating tensor `(1, C, H, W)`, `(C, H, W)` or `(H, W)`, measurements of any other shape; an array
            `(H, W)` or `(H, W, C)`, floating or of unsigned integers; or an image of Pillow without transparency.
        image: Whether a tensor `(C, H, W)` or `(H, W)` is an image, and not measurements of that very shape.

    Raises:
        InputError: A type or a mode that has no plain reading.
        ShapeError: No pixels, or an array that is no image.
    """
    if isinstance(y, torch.Tensor):
        if not y.is_floating_point():
            raise InputError(f"A tensor holds intensities in [0, 1] as floating numbers, not {y.dtype}.")
        tensor = y.detach().float()
        if image and tensor.ndim == 3:
            _in_order(tensor.shape[0], tensor.shape[-1], "A tensor has the shape (C, H, W)", tensor.shape)
        tensor = tensor.reshape((1,) * (4 - tensor.ndim) + tensor.shape) if image and tensor.ndim in (2, 3) else tensor
    elif isinstance(y, np.ndarray):
        if y.ndim not in (2, 3):
            raise ShapeError(f"An array has the shape (H, W) or (H, W, C), not {y.shape}.")
        if y.ndim == 3:
            _in_order(y.shape[-1], y.shape[0], "An array has the shape (H, W, C)", y.shape)
        tensor = _channels_first(_unit(y))
    elif hasattr(y, "getbands"):
        if y.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in y.info:
            raise InputError("The image has transparency: restore image.convert('RGB') and put alpha back.")
        tensor = from_pillow(y).pixels
    else:
        raise InputError(f"An image is a tensor, an array or a Pillow image, not {type(y).__name__}.")
    if tensor.numel() == 0:
        raise ShapeError(f"The image has no pixels: {tuple(tensor.shape)}.")
    return tensor


def to_pil(x: torch.Tensor) -> Image.Image:
    """Return an image as an eight-bit grey or RGB image of Pillow.

    Args:
        x: `(1, C, H, W)`, C of 1 or 3; clipped to [0, 1].

    Raises:
        ShapeError: Another number of channels.
    """
    from PIL import Image

    if x.ndim != 4 or x.shape[0] != 1 or x.shape[1] not in (1, 3):
        raise ShapeError(f"A Pillow image is grey or RGB, (1, 1 or 3, H, W), not {tuple(x.shape)}.")
    array = quantise(x[0].permute(1, 2, 0).cpu().numpy(), "uint8")
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def from_pillow(pil: Image.Image) -> ImageData:
    """Return an image that Pillow opened."""
    pil.load()  # before its EXIF is looked at: Pillow turns a TIFF upright by itself
    orientation = int(pil.getexif().get(ORIENTATION, 1) or 1)
    exif, icc = upright_exif(pil), pil.info.get("icc_profile")
    if pil.mode in ("P", "PA") or "transparency" in pil.info:
        transparent = pil.mode == "PA" or "transparency" in pil.info
        pil = pil.convert("RGBA" if transparent else "RGB")
    elif pil.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"):
        icc = None if pil.mode in ("CMYK", "LAB") else icc
        pil = pil.convert("L" if pil.mode == "1" else "RGB")
    array = np.asarray(pil)
    if array.dtype == np.int32:  # Pillow's "I": sixteen bits in thirty-two
        array = array.astype(np.uint16) if array.min() >= 0 and array.max() < 2**16 else array
    alpha = pil.mode in ("LA", "RGBA")
    return assemble(array, alpha=alpha, orientation=orientation, icc=icc, exif=exif)


def assemble(array: np.ndarray, *, alpha: bool, orientation: int, icc: bytes | None, exif: bytes | None) -> ImageData:
    """Return decoded numbers as an image.

    Args:
        array: `(H, W)` or `(H, W, C)`, unsigned integers, booleans or floating numbers.
        alpha: Whether the last channel is one.
        orientation: EXIF's, 1 to 8.
        icc: The colour profile.
        exif: The EXIF block, its orientation set to upright.

    Raises:
        InputError: Numbers of another kind.
    """
    depth = {"bool": "uint8", "uint8": "uint8", "uint16": "uint16"}.get(array.dtype.name, "float32")
    tensor = _channels_first(_oriented(_unit(array), orientation))
    if alpha:
        return ImageData(tensor[:, :-1].contiguous(), tensor[:, -1:].contiguous(), depth, icc, exif)
    return ImageData(tensor, None, depth, icc, exif)


def quantise(array: np.ndarray, depth: str) -> np.ndarray:
    """Return an array in [0, 1] as unsigned integers of type `depth`, clipped and rounded."""
    top = np.iinfo(depth).max
    levels: np.ndarray = np.rint(np.clip(array, 0, 1).astype(np.float64) * top)
    return levels.astype(depth)


def upright_exif(pil: Image.Image) -> bytes | None:
    """Return a Pillow image's EXIF block with its orientation set to upright, if it has a block.

    Of a TIFF, whose own layout stands in the same tags, only the words, the camera's and the place's are taken.
    """
    try:
        return _upright(pil.getexif(), words_only=pil.format == "TIFF")
    except Exception as error:  # of whatever kind: cameras and programs write blocks that Pillow stumbles over
        log.warning("The image's EXIF block cannot be read, and is left out: %s", error)
        return None


def words_of(exif: bytes) -> bytes | None:
    """Return the part of an EXIF block that may stand in a TIFF, whose own layout has tags of the same numbers."""
    from PIL import Image

    theirs = Image.Exif()
    theirs.load(exif)
    return _upright(theirs, words_only=True)


def _upright(theirs: Image.Exif, *, words_only: bool) -> bytes | None:
    from PIL import Image

    ours = Image.Exif()
    for tag, value in theirs.items():
        if not words_only or tag in WORDS:
            ours[tag] = value
    for folder in (CAMERA, PLACE):
        if theirs.get_ifd(folder):
            ours._ifds[folder] = theirs.get_ifd(folder)
            ours[folder] = ours._ifds[folder]
    if not len(ours):
        return None
    ours[ORIENTATION] = 1
    return ours.tobytes()


def plausible(tensor: torch.Tensor, sigma: float = 0.0) -> None:
    """Raise `InputError` for numbers that are not intensities in [0, 1].

    Args:
        tensor: Of any shape; what is not finite is not looked at.
        sigma: Standard deviation of their noise, as far as it is known.
    """
    finite = tensor[torch.isfinite(tensor)]
    if not finite.numel():
        return
    low, high, more = float(finite.min()), float(finite.max()), DEVIATIONS * sigma
    if low < PLAUSIBLE[0] - more or high > PLAUSIBLE[1] + more:
        raise InputError(f"Floating images have intensity in [0, 1]; this one goes from {low:.3g} to {high:.3g}.")


def _in_order(channels: int, side: int, usual: str, shape: Sequence[int]) -> None:
    """Raise `ShapeError` where a side is as short as colours are many, and there are as many channels as pixels."""
    if side in (1, 3, 4) and channels > MOST_CHANNELS:
        raise ShapeError(f"{usual}, and {tuple(shape)} would have {channels} channels; are the axes in another order?")


def _unit(array: np.ndarray) -> np.ndarray:
    """Return an array as float32, unsigned integers divided by their type's greatest."""
    if array.dtype.kind == "u":
        unit: np.ndarray = array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
        return unit
    if array.dtype.kind in "bf":
        return array.astype(np.float32)
    raise InputError(f"Images have unsigned or floating numbers, not {array.dtype}.")


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
