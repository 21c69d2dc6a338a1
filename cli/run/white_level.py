"""White: which of a file's own numbers is intensity 1, where its type's greatest is not.

A camera of twelve bits writes sixteen, and counts of photons have no greatest number.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hybridprior.io.files import ImageData, read_image

from ..console import note

__all__ = ["read_in_units", "unit"]

FULL = {"uint8": 255, "uint16": 65535, "float32": 1}
"""The greatest number of a file, by its type."""

DARK = 1 / 8
"""Share of sixteen bits below which the greatest number is seldom white."""


def unit(white: float | None, depth: str) -> float:
    """Return what is white, as a share of the greatest number of a type.

    Args:
        white: In the file's own numbers; the greatest if not given.
        depth: "uint8", "uint16" or "float32".
    """
    return 1.0 if white is None else white / FULL[depth]


def read_in_units(path: Path, white: float | None, *, finite: bool = True) -> ImageData:
    """Return the image in a file, its white at 1; where that is not said and is doubtful, ask.

    Args:
        path: The file.
        white: In the file's own numbers.
        finite: Whether pixels that are NaN or infinite are refused; with `white` the restoration sees to that.
    """
    image = read_image(path, finite=finite and white is None)
    most = float(image.pixels.max())
    if white is None and image.depth == "uint16" and 0 < most < DARK:
        most, top = round(most * FULL["uint16"]), FULL["uint16"]
        note(f"'{path}' has no number above {most} of {top}; if white is less than {top}, say so, as in --white 4095.")
    return dataclasses.replace(image, pixels=image.pixels / unit(white, image.depth))
