"""The white level of a file: the value that is intensity 1, if it is not the largest value of its type.

A 12-bit camera writes 16-bit files, and photon counts have no largest value.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hybridprior.io.files import ImageData, read_image

from ..console import note

__all__ = ["read_in_units", "unit"]

MAX_VALUE = {"uint8": 255, "uint16": 65535, "float32": 1}
"""Largest value of a type."""

DARK = 1 / 8
"""A 16-bit file whose largest value is below this fraction of the range probably has another white level."""


def unit(white: float | None, depth: str) -> float:
    """Return the white level as a fraction of the largest value of a type.

    Args:
        white: The white level in the units of the file; the largest value if None.
        depth: "uint8", "uint16" or "float32".
    """
    return 1.0 if white is None else white / MAX_VALUE[depth]


def read_in_units(path: Path, white: float | None, *, finite: bool = True) -> ImageData:
    """Return the image in a file with white at 1; print a note if the white level is probably another.

    Args:
        path: The file.
        white: The white level in the units of the file.
        finite: Whether NaN and infinite pixels raise an error; with `white` the restoration checks them.
    """
    image = read_image(path, finite=finite and white is None)
    most = float(image.pixels.max())
    if white is None and image.depth == "uint16" and 0 < most < DARK:
        most, top = round(most * MAX_VALUE["uint16"]), MAX_VALUE["uint16"]
        note(f"The largest value in '{path}' is {most}; if white is less than {top}, set it, as in --white 4095.")
    return dataclasses.replace(image, pixels=image.pixels / unit(white, image.depth))
