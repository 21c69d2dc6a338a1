"""Which files a command reads, and where each result goes."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridprior.errors import InputError, OutputError

__all__ = ["Item", "beside", "pair_up", "prepare"]

WRITABLE = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"}
READABLE = WRITABLE | {".gif", ".ppm", ".pgm", ".pbm", ".jp2", ".avif", ".tga"}


@dataclass(frozen=True)
class Item:
    """One picture to restore."""

    source: Path
    """The file read."""
    target: Path
    """The file written; its folder may not be there yet."""


def pair_up(inputs: Sequence[Path], output: Path, *, recursive: bool) -> list[Item]:
    """Return what to read and where to write.

    A single file goes to the file `output`, or into the folder of that name. Several files, and the pictures of a
    folder, go into the folder `output` under their own names; `recursive` takes the folders below along, as the same
    tree. Names that start with a dot and other systems' files are left out.

    Args:
        inputs: Files and folders.
        output: A file or a folder.
        recursive: Whether to go into folders of folders.

    Raises:
        InputError: A folder without pictures.
        OutputError: A result would replace its input or another result, or has no suffix of a picture.
    """
    into_file = len(inputs) == 1 and not inputs[0].is_dir() and not output.is_dir() and not str(output).endswith("/")
    if into_file:
        items = [Item(inputs[0], output)]
    else:
        if output.exists() and not output.is_dir():
            raise OutputError(f"'{output}' is a file; several pictures go into a folder.")
        items = [item for given in inputs for item in _within(given, output, recursive)]
    seen: dict[Path, Path] = {}
    for item in items:
        if _same(item.source, item.target):
            raise OutputError(f"'{item.target}' is the input itself, which is never replaced; choose another output.")
        if item.target.suffix.lower() not in WRITABLE:
            raise OutputError(f"'{item.target}' needs a suffix of a picture: {', '.join(sorted(WRITABLE))}.")
        other = seen.setdefault(item.target, item.source)
        if other != item.source:
            raise OutputError(f"'{other}' and '{item.source}' would both become '{item.target}'; restore them apart.")
    return items


def _within(given: Path, output: Path, recursive: bool) -> Iterator[Item]:
    if not given.is_dir():
        yield Item(given, output / _name(given))
        return
    found = sorted(path for path in (given.rglob("*") if recursive else given.glob("*")) if _is_picture(path, given))
    if not found:
        below = "" if recursive else " (folders below it are read with --recursive)"
        raise InputError(f"There is no picture in '{given}'{below}.")
    for path in found:
        if not _inside(path, output) or _inside(given, output):
            yield Item(path, output / path.relative_to(given).parent / _name(path))


def _name(path: Path) -> str:
    return path.name if path.suffix.lower() in WRITABLE else f"{path.stem}.png"


def _is_picture(path: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)
    return path.suffix.lower() in READABLE and not hidden and path.is_file()


def _inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve() or (a.exists() and b.exists() and a.samefile(b))


def beside(given: Path | None, item: Item, *, what: str) -> Path | None:
    """Return the mask or reference of an item: the file given, or the one of the same name in the folder given.

    Args:
        given: A file, a folder or None.
        item: Whose.
        what: "mask" or "reference", for the message.

    Raises:
        InputError: The folder has none for this item.
    """
    if given is None or not given.is_dir():
        return given
    matches = sorted(
        path for path in given.iterdir() if path.stem == item.source.stem and path.suffix.lower() in READABLE
    )
    if not matches:
        raise InputError(f"There is no {what} named '{item.source.stem}' in '{given}'.")
    return matches[0]


def prepare(target: Path, size: int) -> None:
    """Make the target's folder and see that `size` bytes can be written there, before any work is done.

    Args:
        target: The file that will be written.
        size: About how many bytes.

    Raises:
        OutputError: They cannot.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise OutputError(f"'{target}' is a folder; name a file.")
        if target.exists() and not os.access(target, os.W_OK):
            raise OutputError(f"'{target}' may not be written.")
        with tempfile.TemporaryFile(dir=target.parent) as file:
            file.write(b" ")
        if shutil.disk_usage(target.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"'{target}' cannot be written: {error.strerror or error}.") from error
