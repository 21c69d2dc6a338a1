"""Pictures as data URIs, small enough that a page of many stays a page."""

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

    from hybridprior.io.image import Picture

__all__ = ["LONGEST", "ROOM", "Album", "embed"]

LONGEST = 1024
"""Longest side of an embedded picture, in pixels."""

ROOM = 4_000_000
"""Pixels of a page up to which pictures are embedded without loss."""

QUALITY = 92
"""Of WebP, where the page's pictures are more than that."""


def embed(
    picture: Picture | torch.Tensor,
    name: str,
    *,
    group: str = "",
    note: str = "",
    lossless: bool = True,
    longest: int = LONGEST,
) -> Shown:
    """Return a picture that a page can show.

    Args:
        picture: A picture, or its pixels `(1, C, H, W)`, intensity in [0, 1], clipped. Of other than one or three
            channels the mean is shown.
        name: What it is called.
        group: The degradation that it belongs to.
        note: A few words under it.
        lossless: Whether as PNG, and not as WebP.
        longest: Longest side in pixels; a larger picture is shrunk.
    """
    from hybridprior.io.image import Picture

    picture = picture if isinstance(picture, Picture) else Picture(picture)
    image = _image(picture)
    full = image.size
    if max(full) > longest:
        scale = longest / max(full)
        image = image.resize((max(1, round(full[0] * scale)), max(1, round(full[1] * scale))))
    kind, options = ("PNG", {"optimize": True}) if lossless else ("WEBP", {"quality": QUALITY})
    if picture.icc:
        options["icc_profile"] = picture.icc  # type: ignore[assignment]
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Shown(
        name=name,
        source=f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}",
        width=image.width,
        height=image.height,
        group=group,
        shrunk_from=None if image.size == full else full,
        note=note,
    )


def _image(picture: Picture) -> Image.Image:
    """Return the picture as one of Pillow with eight bits, its transparency put back."""
    from PIL import Image

    from hybridprior.io.image import to_pil

    pixels = picture.pixels if picture.pixels.shape[1] in (1, 3) else picture.pixels.mean(1, keepdim=True)
    image = to_pil(pixels.nan_to_num())
    if picture.alpha is not None:
        alpha = to_pil(picture.alpha)
        image = Image.merge("LA" if image.mode == "L" else "RGBA", [*image.split(), alpha])
    return image


class Album:
    """The pictures of a page that lie in files, and what is said about those that do not."""

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
        """Return the picture in a file, or None, and say so, where it cannot be read.

        Args:
            path: The file.
            name: What the picture is called.
            group: The degradation that it belongs to.
            note: A few words under it.
        """
        from hybridprior.io.files import read_picture

        try:
            picture = read_picture(path, finite=False)
        except InputError as error:
            self.missing.append(str(error))
            return None
        return embed(picture, name, group=group, note=note, lossless=self.lossless, longest=self.longest)


def _pixels(path: Path) -> int:
    """Return how many pixels of a file are going to be embedded; none of one that Pillow cannot open."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = int(image.size[0]), int(image.size[1])
    except Exception:  # decoders raise errors of every family on damaged files
        return 0
    longest = max(width, height, LONGEST)
    return (width * LONGEST // longest) * (height * LONGEST // longest)
