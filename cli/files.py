"""The files that a command reads, and the files that it writes."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridprior.errors import InputError, OutputError

__all__ = ["WRITTEN", "Item", "beside", "check_inputs_kept", "pair_up", "prepare"]

MAX_NAME = 255
"""Largest number of bytes of a file name."""
WRITTEN = (".json", ".html", ".state", ".weights.png", ".std.png", ".std.tiff")
"""Endings of the files that are written next to a result, after its name."""
WRITABLE = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"}
READABLE = WRITABLE | {".gif", ".ppm", ".pgm", ".pbm", ".jp2", ".avif", ".tga"}
COMPANIONS = (".mask", ".reference", ".weights", ".std")
"""Endings before the suffix of a file that belongs to another image: `a.png.mask.png`."""


@dataclass(frozen=True)
class Item:
    """One image to restore."""

    source: Path
    """The file read."""
    target: Path
    """The file written; its folder may not exist yet."""
    below: Path = Path()
    """Path from the given folder to the folder of the source."""


def pair_up(inputs: Sequence[Path], output: Path, *, recursive: bool) -> list[Item]:
    """Return the images to read and the files to write.

    A single file is written to the file `output`, or into the folder `output` if it is a folder or has no suffix.
    Several files, and the images of a folder, are written into the folder `output` under their own names; `recursive`
    includes subfolders and keeps the tree. Hidden files, system files, and masks and maps of another image
    (`a.png.mask.png`) are ignored.

    Args:
        inputs: Files and folders.
        output: A file or a folder.
        recursive: Whether to include subfolders.

    Raises:
        InputError: A folder without images.
        OutputError: A result would replace an input or another result, or its suffix is not that of an image.
    """
    into_file = len(inputs) == 1 and not inputs[0].is_dir() and not output.is_dir() and output.suffix
    if into_file:
        items = [Item(inputs[0], output)]
    else:
        if output.exists() and not output.is_dir():
            raise OutputError(f"'{output}' is a file; several images are written into a folder.")
        items = [item for given in inputs for item in _within(given, output, recursive)]
    seen: dict[Path, Path] = {}
    for item in items:
        if len(os.fsencode(item.target.name)) + max(map(len, WRITTEN)) > MAX_NAME:
            raise OutputError(
                f"'{item.target.name[:40]}...' is too long a name: the files next to it have longer names. Shorten it."
            )
        if item.target.suffix.lower() not in WRITABLE:
            raise OutputError(f"'{item.target}' needs the suffix of an image: {', '.join(sorted(WRITABLE))}.")
        other = seen.setdefault(item.target, item.source)
        if other != item.source:
            raise OutputError(
                f"'{other}' and '{item.source}' would both be written to '{item.target}'; restore them separately."
            )
    check_inputs_kept(items, [item.source for item in items])
    return items


def check_inputs_kept(items: Sequence[Item], inputs: Sequence[Path]) -> None:
    """Raise `OutputError` if a result, or a file next to it, would replace a file that is read.

    Args:
        items: The images.
        inputs: The files that are read.
    """
    files = {_identity(path) for path in inputs}
    for item in items:
        for ending in ("", *WRITTEN):
            path = item.target.with_name(f"{item.target.name}{ending}")
            if _identity(path) in files:
                raise OutputError(f"'{path}' is an input, and inputs are never replaced; choose another output.")


def _within(given: Path, output: Path, recursive: bool) -> Iterator[Item]:
    if not given.is_dir():
        yield Item(given, output / _name(given))
        return
    found = sorted(path for path in (given.rglob("*") if recursive else given.glob("*")) if _is_image(path, given))
    if not found:
        hint = "" if recursive else " (subfolders are included with --recursive)"
        raise InputError(f"There is no image in '{given}'{hint}.")
    for path in found:
        if not _inside(path, output) or _inside(given, output):
            below = path.relative_to(given).parent
            yield Item(path, output / below / _name(path), below)


def _name(path: Path) -> str:
    return path.name if path.suffix.lower() in WRITABLE else f"{path.name}.png"


def _is_image(path: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)
    return path.suffix.lower() in READABLE and not hidden and path.is_file() and not _companion(path)


def _companion(path: Path) -> bool:
    """Return whether a file is the mask, the reference or a map of another image."""
    owner, kind = path.with_name(Path(path.stem).stem), Path(path.stem).suffix
    return kind in COMPANIONS and owner.suffix.lower() in READABLE and owner.is_file()


def _inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)


def _identity(path: Path) -> object:
    """Return a value that is equal for two names of one file."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def beside(given: Path | None, item: Item, *, what: str) -> Path | None:
    """Return the mask or reference of an image: the given file, or the file of the same name in the given folder.

    In a folder, the relative path of the image is used, and the names are tried in this order: `a.png.mask.png`,
    `a.mask.png`, `a.png`, and the same name with another suffix. The image itself is never returned.

    Args:
        given: A file, a folder or None.
        item: The image.
        what: "mask" or "reference".

    Raises:
        InputError: The folder has no such file for this image.
    """
    if given is None or not given.is_dir():
        return given
    folder = given / item.below
    name, stem = item.source.name, item.source.stem
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    names = [f"{name}.{what}", f"{stem}.{what}"]
    if not (
        folder.is_dir() and folder.samefile(item.source.parent)
    ):  # other files of this folder are images to restore
        names += [name, stem]
    for wanted in names:
        for path in paths:
            named = wanted in (path.stem, path.name) and path.suffix.lower() in READABLE
            if named and _identity(path) != _identity(item.source):
                return path
    raise InputError(f"There is no {what} named '{stem}' in '{folder}'.")


def prepare(target: Path, size: int) -> None:
    """Create the target's folder and check that the file can be written, before any computation starts.

    Args:
        target: The file that will be written.
        size: Approximate number of bytes.

    Raises:
        OutputError: The file cannot be written, or there is not enough space.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise OutputError(f"'{target}' is a folder; name a file.")
        if target.exists() and not os.access(target, os.W_OK):
            raise OutputError(f"'{target}' is not writable; change its permissions or choose another output.")
        with tempfile.TemporaryFile(dir=target.parent) as file:
            file.write(b" ")
        if shutil.disk_usage(target.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"'{target}' cannot be written: {error.strerror or error}.") from error
