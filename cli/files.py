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

__all__ = ["WRITTEN", "Item", "beside", "pair_up", "prepare", "spare"]

LONGEST = 255
"""Bytes of a file's name."""
WRITTEN = (".json", ".html", ".state", ".who.png", ".std.png", ".std.tiff")
"""What comes after a result's name in the names of the files that are written beside it."""
WRITABLE = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"}
READABLE = WRITABLE | {".gif", ".ppm", ".pgm", ".pbm", ".jp2", ".avif", ".tga"}
COMPANIONS = (".mask", ".reference", ".who", ".std")
"""What stands before the suffix of a file that lies beside another image: `a.png.mask.png`."""


@dataclass(frozen=True)
class Item:
    """One image to restore."""

    source: Path
    """The file read."""
    target: Path
    """The file written; its folder may not be there yet."""
    below: Path = Path()
    """Where the source lies within the folder that was given."""


def pair_up(inputs: Sequence[Path], output: Path, *, recursive: bool) -> list[Item]:
    """Return what to read and where to write.

    A single file goes to the file `output`; into the folder of that name if it is one or has no suffix. Several files,
    and the images of a folder, go into the folder `output` under their own names; `recursive` takes the folders below
    along, as the same tree. Names that start with a dot, other systems' files, and what lies beside another image as
    its mask or map (`a.png.mask.png`) are left out.

    Args:
        inputs: Files and folders.
        output: A file or a folder.
        recursive: Whether to go into folders of folders.

    Raises:
        InputError: A folder without images.
        OutputError: A result would replace an input or another result, or has no suffix of an image.
    """
    into_file = len(inputs) == 1 and not inputs[0].is_dir() and not output.is_dir() and output.suffix
    if into_file:
        items = [Item(inputs[0], output)]
    else:
        if output.exists() and not output.is_dir():
            raise OutputError(f"'{output}' is a file; several images go into a folder.")
        items = [item for given in inputs for item in _within(given, output, recursive)]
    seen: dict[Path, Path] = {}
    for item in items:
        if len(os.fsencode(item.target.name)) + max(map(len, WRITTEN)) > LONGEST:
            raise OutputError(f"'{item.target.name[:40]}...' is too long a name for the files beside it; shorten it.")
        if item.target.suffix.lower() not in WRITABLE:
            raise OutputError(f"'{item.target}' needs a suffix of an image: {', '.join(sorted(WRITABLE))}.")
        other = seen.setdefault(item.target, item.source)
        if other != item.source:
            raise OutputError(f"'{other}' and '{item.source}' would both become '{item.target}'; restore them apart.")
    spare(items, [item.source for item in items])
    return items


def spare(items: Sequence[Item], kept: Sequence[Path]) -> None:
    """Raise `OutputError` where a result, or a file beside it, would replace one that is read.

    Args:
        items: The images.
        kept: The files that are read.
    """
    files = {_identity(path) for path in kept}
    for item in items:
        for ending in ("", *WRITTEN):
            path = item.target.with_name(f"{item.target.name}{ending}")
            if _identity(path) in files:
                raise OutputError(f"'{path}' is an input itself and never replaced; choose another output.")


def _within(given: Path, output: Path, recursive: bool) -> Iterator[Item]:
    if not given.is_dir():
        yield Item(given, output / _name(given))
        return
    found = sorted(path for path in (given.rglob("*") if recursive else given.glob("*")) if _is_image(path, given))
    if not found:
        hint = "" if recursive else " (folders below it are read with --recursive)"
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
    """Return whether a file lies beside another image, as its mask or as a map that was written with it."""
    owner, kind = path.with_name(Path(path.stem).stem), Path(path.stem).suffix
    return kind in COMPANIONS and owner.suffix.lower() in READABLE and owner.is_file()


def _inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in (path.resolve(), *path.resolve().parents)


def _identity(path: Path) -> object:
    """Return what two names of one file have in common."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def beside(given: Path | None, item: Item, *, what: str) -> Path | None:
    """Return the mask or reference of an item: the file given, or the one of the same name in the folder given.

    In a folder it is looked for at the same place as the item in its own: `a.png.mask.png` or `a.mask.png`, else
    `a.png`, else the same with another suffix; never the item itself.

    Args:
        given: A file, a folder or None.
        item: Whose.
        what: "mask" or "reference", for the message.

    Raises:
        InputError: The folder has none for this item.
    """
    if given is None or not given.is_dir():
        return given
    folder = given / item.below
    name, stem = item.source.name, item.source.stem
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    names = [f"{name}.{what}", f"{stem}.{what}"]
    if not (folder.is_dir() and folder.samefile(item.source.parent)):  # there the others are images themselves
        names += [name, stem]
    for wanted in names:
        for path in paths:
            named = wanted in (path.stem, path.name) and path.suffix.lower() in READABLE
            if named and _identity(path) != _identity(item.source):
                return path
    raise InputError(f"There is no {what} named '{stem}' in '{folder}'.")


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
