"""The photograph that ships with the package; its source is in `NOTICE.md`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["demo_image"]


def demo_image() -> Path:
    """Return the path of the demo's photograph, 256 x 192 pixels, CC0.

    Example:
        >>> from hybridprior.data import demo_image
        >>> demo_image().name
        'otter.png'
    """
    return Path(str(files("hybridprior.data") / "otter.png"))
