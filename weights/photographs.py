"""Make the training photographs again from the packages that `SOURCES.tsv` and `VALIDATION.tsv` name.

    python -m hybridprior.weights.photographs -o photographs

Three kinds of source are named:

- `NAME@SUITE` is a package of Debian. It is downloaded with `apt-get download` and unpacked with `dpkg-deb`.
- `NAME@SUITE` with the path `.../carved/STEM.jpg` is the largest JPEG stream in the package's file `STEM.edj`.
- `git:OWNER/NAME` is a git repository. The photograph is found by its file name, in which spaces became underscores.

A photograph is converted to RGB without its colour profile, shrunk by a whole factor with a box filter, resized to the
size in the table with a Lanczos filter where the two differ, and saved as JPEG of quality 95, 4:4:4.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath

from PIL import Image

from hybridprior.errors import HybridPriorError, InputError, OutputError
from hybridprior.io.files import write_atomically

from .packages import GIT, Sources, carved, package_folders

__all__ = ["Photograph", "all_photographs", "main", "make", "read_table", "resized"]

TABLES = Path(__file__).parent
FIELDS = ("file", "width", "height", "source_package", "licence", "path_in_source")
NAMED_IN_A_MESSAGE = 5


@dataclass(frozen=True)
class Photograph:
    """A row of the table: a file of the training set, its size, and where it comes from."""

    file: str
    width: int
    height: int
    source: str
    """`NAME@SUITE`, a package of Debian, or `git:OWNER/NAME`, a git repository."""
    licence: str
    path: str

    def line(self) -> str:
        """Return the line of the table, without its end."""
        return "\t".join((self.file, str(self.width), str(self.height), self.source, self.licence, self.path))


def read_table(path: Path) -> list[Photograph]:
    """Return the rows of a table of photographs.

    Raises:
        InputError: If the columns are others, or a size is no number.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or tuple(rows[0]) != FIELDS or any(len(row) != len(FIELDS) for row in rows):
        raise InputError(f"'{path}' is not a table with the columns {', '.join(FIELDS)}.")
    try:
        return [Photograph(row[0], int(row[1]), int(row[2]), *row[3:]) for row in rows[1:]]
    except ValueError as error:
        raise InputError(f"'{path}' has a width or height that is not a whole number.") from error


def all_photographs() -> list[Photograph]:
    """Return the photographs for training and for validation, in the order of their files."""
    return sorted(read_table(TABLES / "SOURCES.tsv") + validation_photographs(), key=lambda row: row.file)


def validation_photographs() -> list[Photograph]:
    """Return the photographs for validation."""
    return read_table(TABLES / "VALIDATION.tsv")


def resized(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return an image in RGB at the size of the training photograph.

    Args:
        image: An image at least as large, with the same ratio of width to height.
        width: Width in pixels.
        height: Height in pixels.

    Raises:
        InputError: If the image is smaller or has another ratio of width to height.

    Example:
        >>> from PIL import Image
        >>> from hybridprior.weights.photographs import resized
        >>> resized(Image.new("L", (9, 6)), 3, 2).size
        (3, 2)
    """
    ratio = (image.width * height) / (image.height * width)
    if image.width < width or image.height < height or abs(ratio - 1) > 0.02:
        size = f"{image.width} x {image.height} pixels do not shrink to {width} x {height}"
        raise InputError(f"{size}; the package may be of another version.")
    factor = min(image.width // width, image.height // height)
    shrunk = image.convert("RGB")
    if factor > 1:
        shrunk = shrunk.resize((image.width // factor, image.height // factor), Image.Resampling.BOX)
    return shrunk if shrunk.size == (width, height) else shrunk.resize((width, height), Image.Resampling.LANCZOS)


def make(
    photographs: Iterable[Photograph],
    output: Path,
    *,
    sources: Sources | None = None,
    report: Callable[[str], object] | None = None,
) -> list[Photograph]:
    """Write the photographs that a folder does not have yet, and return those that could not be made.

    Args:
        photographs: The rows of the table.
        output: The folder; it is created. Files in it are kept as they are.
        sources: Where packages are searched for; the default is the download of all.
        report: Called with a sentence for each source, and for each reason why photographs of it are missing.

    Raises:
        OutputError: If the folder cannot be written.
    """
    _create(output)
    say = report or (lambda message: None)
    by_source: dict[str, list[Photograph]] = defaultdict(list)
    for photograph in photographs:
        if not (output / photograph.file).exists():
            by_source[photograph.source].append(photograph)
    missing: list[Photograph] = []
    for source, rows in by_source.items():
        failures = _make_from(source, rows, output, sources or Sources(), say)
        say(f"{source}: {len(rows) - len(failures)} of {len(rows)} photographs made.")
        by_reason: dict[str, list[str]] = defaultdict(list)
        for photograph, reason in failures.items():
            by_reason[reason].append(photograph.file)
        for reason, names in by_reason.items():
            more = f" and {len(names) - NAMED_IN_A_MESSAGE} more" if len(names) > NAMED_IN_A_MESSAGE else ""
            say(f"Missing: {', '.join(names[:NAMED_IN_A_MESSAGE])}{more}: {reason}")
        missing += failures
    return missing


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder '{folder}' cannot be created: {error.strerror}.") from error


def _make_from(
    source: str, photographs: Sequence[Photograph], output: Path, sources: Sources, say: Callable[[str], object]
) -> dict[Photograph, str]:
    """Make the photographs of one source; return those that are missing, with the reason as a sentence."""
    waiting, unfit = list(photographs), dict[Photograph, str]()
    absent = "The package has no such file."
    with tempfile.TemporaryDirectory(prefix="photographs-") as scratch:
        try:
            for folder in package_folders(source, sources, Path(scratch), say):
                waiting = [photograph for photograph in waiting if not _made(photograph, folder, output, unfit)]
                if not waiting:
                    break
        except InputError as error:
            absent = str(error)
    return {photograph: unfit.get(photograph, absent) for photograph in waiting}


def _made(photograph: Photograph, folder: Path, output: Path, unfit: dict[Photograph, str]) -> bool:
    """Write a photograph from an unpacked package; return whether it was there, and note why it could not be used."""
    for open_image in _candidates(photograph, folder):
        try:
            data = BytesIO()
            with open_image() as image:
                resized(image, photograph.width, photograph.height).save(data, "JPEG", quality=95, subsampling=0)
        except InputError as error:
            unfit[photograph] = str(error)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            unfit[photograph] = "The file in the package cannot be read as an image."
        else:
            write_atomically(output / photograph.file, data.getvalue())
            return True
    return False


def _candidates(photograph: Photograph, folder: Path) -> list[Callable[[], Image.Image]]:
    """Return what opens the images in an unpacked package that a photograph may be made of, the largest first."""
    path = PurePosixPath(photograph.path)
    if path.parent.name == "carved":
        streams = [image for file in sorted(folder.rglob(f"{path.stem}.edj")) for image in carved(file.read_bytes())]
        streams.sort(key=lambda image: image.width * image.height, reverse=True)
        return [partial(_same, image) for image in streams]
    if photograph.source.startswith(GIT):
        files = [file for file in folder.rglob("*") if file.is_file() and file.name.replace(" ", "_") == path.name]
        files.sort(key=lambda file: file.stat().st_size, reverse=True)
    else:
        files = [file for file in (folder / path,) if file.is_file()]
    return [partial(Image.open, file) for file in files]


def _same(image: Image.Image) -> Image.Image:
    return image


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder of training photographs; return the exit code.

    Args:
        arguments: The arguments of the command line; the default is those of the process.

    Returns:
        0, 1 if photographs are missing, or 2 if the folder cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="python -m hybridprior.weights.photographs",
        description="Make the folder of training photographs from the packages that SOURCES.tsv names. "
        "Files that are there already are kept.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the photographs go")
    parser.add_argument("--packages", type=Path, metavar="DIR", help=".deb files or unpacked packages to search first")
    parser.add_argument("--offline", action="store_true", help="download nothing")
    parser.add_argument("--git-base", default=Sources.git_base, help="put before OWNER/NAME to clone (%(default)s)")
    given = parser.parse_args(arguments)
    if given.packages is not None and not given.packages.is_dir():
        parser.error(f"'{given.packages}' is not a folder.")
    sources = Sources(given.packages, given.offline, given.git_base)
    try:
        photographs = all_photographs()
        missing = make(photographs, given.output, sources=sources, report=_say)
        table = "\n".join(("\t".join(FIELDS), *(photograph.line() for photograph in photographs)))
        names = "\n".join(photograph.file for photograph in validation_photographs())
        write_atomically(given.output / "SOURCES.tsv", f"{table}\n".encode())
        write_atomically(given.output / "VALIDATION.txt", f"{names}\n".encode())
    except HybridPriorError as error:
        _say(str(error))
        return 2
    _say(f"{len(photographs) - len(missing)} of {len(photographs)} photographs are in '{given.output}'.")
    return 1 if missing else 0


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
