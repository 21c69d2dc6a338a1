"""Training data: the photographs of a folder in memory, and random patches of them.

Some patches come from downscaled photographs, which are sharper and have less noise and fewer compression artefacts.
The prior also needs images of several scales.
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
        folder: The folder.
        without: A folder in it that is excluded.

    Raises:
        InputError: The folder does not exist or contains no image.
    """
    if not folder.is_dir():
        raise InputError(f"The folder '{folder}' does not exist; give an existing one.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if without is not None:
        found = [path for path in found if without.resolve() not in path.resolve().parents]
    if not found:
        raise InputError(f"There is no image in '{folder}'; supported are {', '.join(sorted(SUFFIXES))}.")
    return found


def read_names(path: Path) -> list[str]:
    r"""Return the file names in a text file, one on each line. Lines that start with "#" are comments.

    Args:
        path: The text file.

    Raises:
        InputError: The file cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from hybridprior.training.data import read_names
        >>> size = Path("names.txt").write_text("# validation\na.png\nb.png\n")
        >>> read_names(Path("names.txt"))
        ['a.png', 'b.png']
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read as a list of file names: {error}.") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


class Photographs:
    """Eight-bit colour photographs in memory."""

    def __init__(self, paths: Sequence[Path], *, smallest: int = 64) -> None:
        """Read the images. An image that cannot be read or is too small is skipped with a warning.

        Args:
            paths: The files.
            smallest: Smallest side in pixels.

        Raises:
            InputError: No image can be used.
        """
        with ThreadPoolExecutor() as pool:
            read = list(pool.map(_read, paths))
        self.images = [image for image in read if image is not None and min(image.shape[-2:]) >= smallest]
        if len(self.images) < len(paths):
            log.warning("%d of %d images skipped", len(paths) - len(self.images), len(paths))
        if not self.images:
            raise InputError(
                f"None of the {len(paths)} images can be read and has sides of at least {smallest} pixels."
            )

    @classmethod
    def of(cls, images: Sequence[torch.Tensor]) -> Photographs:
        """Return photographs that are already in memory.

        Args:
            images: Each `(1, 3, H, W)`, intensity in [0, 1].
        """
        made = cls.__new__(cls)
        made.images = [(image[0].clamp(0, 1) * 255).round().to(torch.uint8) for image in images]
        return made

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self.images)

    def patches(
        self, count: int, size: int, rng: torch.Generator, *, shrink: float = 3.0, grey: float = 0.15
    ) -> torch.Tensor:
        """Return patches `(count, 3, size, size)`, intensity in [0, 1], with random rotations and reflections.

        Args:
            count: Number of patches.
            size: Side of a patch in pixels.
            rng: Random generator.
            shrink: Largest factor by which a photograph is downscaled; a third of them are not.
            grey: Fraction of patches with three equal channels.

        Example:
            >>> import torch
            >>> from hybridprior.training import Photographs
            >>> photographs = Photographs.of([torch.rand(1, 3, 80, 80)])
            >>> photographs.patches(2, 64, torch.Generator().manual_seed(0)).shape
            torch.Size([2, 3, 64, 64])
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
    """Return the centre crop of an image, `side` pixels in each direction, or the whole side if it is shorter."""
    height, width = image.shape[-2:]
    h, w = min(side, height), min(side, width)
    top, left = (height - h) // 2, (width - w) // 2
    return image[..., top : top + h, left : left + w]


def split(
    paths: Sequence[Path], validation: Collection[str], *, folder: Path | None = None
) -> tuple[list[Path], list[Path]]:
    """Return the training photographs and the validation photographs.

    Args:
        paths: All photographs.
        validation: Names of the validation photographs: paths in the folder, file names, or the last parts of paths.
        folder: The folder of all photographs.

    Raises:
        InputError: No photograph has a given name, or no photograph is left for the training.

    Example:
        >>> from pathlib import Path
        >>> from hybridprior.training.data import split
        >>> training, validation = split([Path("a/1.png"), Path("a/2.png")], ["2.png"])
        >>> [path.name for path in training], [path.name for path in validation]
        (['1.png'], ['2.png'])
    """
    chosen: set[Path] = set()
    for name in validation:
        exact = {path for path in paths if folder is not None and path == folder / name}
        named = exact or {path for path in paths if f"/{path.as_posix()}".endswith(f"/{name.lstrip('/')}")}
        if not named:
            raise InputError(f"There is no photograph '{name}' for the validation; check the list of names.")
        chosen |= named
    training = [path for path in paths if path not in chosen]
    if not training:
        raise InputError("All photographs are validation photographs; leave some for the training.")
    return training, [path for path in paths if path in chosen]


def _read(path: Path) -> torch.Tensor | None:
    try:
        pixels = read_image(path).pixels[0]
    except HybridPriorError as error:
        log.warning("%s", error)
        return None
    if len(pixels) not in (1, 3):
        log.warning("'%s' has %d channels and is skipped", path, len(pixels))
        return None
    return (pixels.expand(3, -1, -1).clamp(0, 1) * 255).round().to(torch.uint8)
