"""Photographs to learn from: a folder held in memory, and patches drawn from it.

A patch may come from a shrunk photograph: what shrinks is sharper, freer of noise and of compression, and fuller of
detail, and the learned prior should know images of every scale.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F

from hybridprior.errors import HybridPriorError, InputError
from hybridprior.io.files import read_image

__all__ = ["Photographs", "find_photographs", "read_names"]

log = logging.getLogger(__name__)

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}

LUMA = (0.299, 0.587, 0.114)


def find_photographs(folder: Path, *, without: Path | None = None) -> list[Path]:
    """Return the images in a folder and in the folders below it, sorted.

    Args:
        folder: Where to look.
        without: A folder in it that is left out.

    Raises:
        InputError: No such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if without is not None:
        found = [path for path in found if without.resolve() not in path.resolve().parents]
    if not found:
        raise InputError(f"There is no image in '{folder}'.")
    return found


def read_names(path: Path) -> list[str]:
    """Return the file names that a text file lists, one a line.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read as a list of file names: {error}.") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


class Photographs:
    """Eight-bit colour photographs in memory."""

    def __init__(self, paths: Sequence[Path], *, smallest: int = 64) -> None:
        """Read the images; one that cannot be read, or is too small, is left out with a warning.

        Args:
            paths: The files.
            smallest: Least length of a side.

        Raises:
            InputError: None of them can be used.
        """
        with ThreadPoolExecutor() as pool:
            read = list(pool.map(_read, paths))
        self.images = [image for image in read if image is not None and min(image.shape[-2:]) >= smallest]
        if len(self.images) < len(paths):
            log.warning("%d of %d images left out", len(paths) - len(self.images), len(paths))
        if not self.images:
            raise InputError(f"None of the {len(paths)} images can be read and has sides of {smallest} or more.")

    @classmethod
    def of(cls, images: Sequence[torch.Tensor]) -> Photographs:
        """Return photographs that are in memory already.

        Args:
            images: Each `(1, 3, H, W)`, intensity in [0, 1].
        """
        made = cls.__new__(cls)
        made.images = [(image[0].clamp(0, 1) * 255).round().to(torch.uint8) for image in images]
        return made

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self.images)

    def patches(
        self, count: int, size: int, rng: torch.Generator, *, shrink: float = 3.0, grey: float = 0.15
    ) -> torch.Tensor:
        """Return patches `(count, 3, size, size)`, intensity in [0, 1], turned and mirrored at random.

        Args:
            count: How many.
            size: Side of a patch.
            rng: The generator of random numbers.
            shrink: A patch's photograph is shrunk by up to this factor; a third of them are not shrunk.
            grey: Share of patches whose three channels are the same.
        """
        return torch.stack([self._patch(size, rng, shrink, grey) for _ in range(count)])

    def _patch(self, size: int, rng: torch.Generator, shrink: float, grey: float) -> torch.Tensor:
        pick, scale, top, left, mirror, turn, colour = torch.rand(7, generator=rng).tolist()
        image = self.images[int(pick * len(self))]
        height, width = image.shape[-2:]
        factor = math.exp(max(0.0, scale * 1.5 - 0.5) * math.log(shrink))
        side = min(round(size * factor), height, width)
        y, x = int(top * (height - side + 1)), int(left * (width - side + 1))
        patch = image[:, y : y + side, x : x + side].float() / 255
        if side != size:
            patch = F.interpolate(patch[None], (size, size), mode="bicubic", antialias=True)[0].clamp_(0, 1)
        patch = torch.rot90(patch.flip(-1) if mirror < 0.5 else patch, int(turn * 4), (-2, -1))
        if colour < grey:
            weights = torch.tensor(LUMA)[:, None, None]
            patch = (patch * weights).sum(0, keepdim=True).expand(3, -1, -1)
        return patch


def centre(image: torch.Tensor, side: int) -> torch.Tensor:
    """Return the middle of an image, `side` in each direction or the whole side where it is shorter."""
    height, width = image.shape[-2:]
    h, w = min(side, height), min(side, width)
    top, left = (height - h) // 2, (width - w) // 2
    return image[..., top : top + h, left : left + w]


def split(paths: Sequence[Path], held: Collection[str], *, folder: Path | None = None) -> tuple[list[Path], list[Path]]:
    """Return the photographs to train on, and those to validate with.

    Args:
        paths: All photographs.
        held: The second kind: paths in the folder, else file names, or the ends of paths from a folder on.
        folder: Where all of them are.

    Raises:
        InputError: A name that no photograph has, or nothing left to train on.
    """
    judging: set[Path] = set()
    for name in held:
        exact = {path for path in paths if folder is not None and path == folder / name}
        named = exact or {path for path in paths if f"/{path.as_posix()}".endswith(f"/{name.lstrip('/')}")}
        if not named:
            raise InputError(f"There is no photograph '{name}' to hold out.")
        judging |= named
    training = [path for path in paths if path not in judging]
    if not training:
        raise InputError("All photographs are held out; there is nothing to train on.")
    return training, [path for path in paths if path in judging]


def _read(path: Path) -> torch.Tensor | None:
    try:
        pixels = read_image(path).pixels[0]
    except HybridPriorError as error:
        log.warning("%s", error)
        return None
    if len(pixels) not in (1, 3):
        log.warning("'%s' has %d channels and is left out", path, len(pixels))
        return None
    return (pixels.expand(3, -1, -1).clamp(0, 1) * 255).round().to(torch.uint8)
