"""Images as data URIs, small enough that a page of many stays a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hybridprior.errors import InputError
from hybridprior.evaluation.report.page import Shown

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from hybridprior.io.image import ImageData

__all__ = ["LONGEST", "ROOM", "Album", "embed"]

LONGEST = 1024
"""Longest side of an embedded image, in pixels."""

ROOM = 4_000_000
"""Pixels of a page up to which images are embedded without loss."""

QUALITY = 92
"""Of WebP, where the page's images are more than that."""


def embed(
    image: ImageData | torch.Tensor,
    name: str,
    *,
    group: str = "",
    note: str = "",
    lossless: bool = True,
    longest: int = LONGEST,
) -> Shown:
    """Return an image that a page can show.

    Args:
        image: An image, or its pixels `(1, C, H, W)`, intensity in [0, 1], clipped. Of other than one or three
            channels the mean is shown.
        name: What it is called.
        group: The degradation that it belongs to.
        note: A few words under it.
        lossless: Whether as PNG, and not as WebP.
        longest: Longest side in pixels; a larger image is shrunk.
    """
    from hybridprior.io.image import ImageData

    image = image if isinstance(image, ImageData) else ImageData(image)
    pil = _image(image)
    full = pil.size
    if max(full) > longest:
        scale = longest / max(full)
        pil = pil.resize((max(1, round(full[0] * scale)), max(1, round(full[1] * scale))))
    kind, options = ("PNG", {"optimize": True}) if lossless else ("WEBP", {"quality": QUALITY})
    if image.icc:
        options["icc_profile"] = image.icc  # type: ignore[assignment]
    buffer = io.BytesIO()
    pil.save(buffer, kind, **options)
    return Shown(
        name=name,
        source=f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}",
        width=pil.width,
        height=pil.height,
        group=group,
        shrunk_from=None if pil.size == full else full,
        note=note,
    )


def _image(image: ImageData) -> Image.Image:
    """Return the image as one of Pillow with eight bits, its transparency put back."""
    from PIL import Image

    from hybridprior.io.image import to_pil

    pixels = image.pixels if image.pixels.shape[1] in (1, 3) else image.pixels.mean(1, keepdim=True)
    pil = to_pil(pixels.nan_to_num())
    if image.alpha is not None:
        alpha = to_pil(image.alpha)
        pil = Image.merge("LA" if pil.mode == "L" else "RGBA", [*pil.split(), alpha])
    return pil


class Album:
    """The images of a page that lie in files, and what is said about those that do not."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Look at how much there will be to embed.

        Args:
            paths: The files, those that are not there included.
        """
        pixels = sum(_pixels(path) for path in set(paths))
        self.lossless = pixels <= ROOM
        self.longest = LONGEST if pixels <= 10 * ROOM else LONGEST // 2
        self.missing: list[str] = []
        """Sentences about what cannot be shown."""

    def take(self, path: Path, name: str, *, group: str = "", note: str = "") -> Shown | None:
        """Return the image in a file, or None, and say so, where it cannot be read.

        Args:
            path: The file.
            name: What the image is called.
            group: The degradation that it belongs to.
            note: A few words under it.
        """
        from hybridprior.io.files import read_image

        try:
            image = read_image(path, finite=False)
        except InputError as error:
            self.missing.append(str(error))
            return None
        return embed(image, name, group=group, note=note, lossless=self.lossless, longest=self.longest)


def _pixels(path: Path) -> int:
    """Return how many pixels of a file are going to be embedded; none of one that Pillow cannot open."""
    from PIL import Image

    try:
        with Image.open(path) as pil:
            width, height = int(pil.size[0]), int(pil.size[1])
    except Exception:  # decoders raise errors of every family on damaged files
        return 0
    longest = max(width, height, LONGEST)
    return (width * LONGEST // longest) * (height * LONGEST // longest)
