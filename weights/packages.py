"""Find, download and unpack the packages of the training photographs, and find the JPEG streams in their files."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from hybridprior.errors import InputError

__all__ = ["GIT", "Sources", "carved", "package_folders"]

GIT = "git:"
JPEG_START = re.compile(rb"\xff\xd8\xff")


@dataclass(frozen=True)
class Sources:
    """Where packages are searched for and downloaded from."""

    packages: Path | None = None
    """A folder with .deb files, with unpacked packages, or unpacked itself; it is searched first."""
    offline: bool = False
    """Whether only `packages` is searched."""
    git_base: str = "https://github.com/"
    """What is put before OWNER/NAME to clone a git repository: an address or a folder."""


def carved(data: bytes) -> Iterator[Image.Image]:
    """Yield the JPEG images in a file of any format that stores JPEG streams as they are, opened but not decoded.

    Example:
        >>> from hybridprior.weights.packages import carved
        >>> list(carved(b"no image"))
        []
    """
    for start in JPEG_START.finditer(data):
        try:
            yield Image.open(BytesIO(data[start.start() :]), formats=["JPEG"])
        except (OSError, SyntaxError, ValueError):
            continue


def package_folders(source: str, sources: Sources, scratch: Path, say: Callable[[str], object]) -> Iterator[Path]:
    """Yield the folders with the content of a package: those that are there already, then the downloaded one.

    Args:
        source: `NAME@SUITE`, a package of Debian, or `git:OWNER/NAME`, a git repository.
        sources: Where packages are searched for and downloaded from.
        scratch: An empty folder for what is downloaded and unpacked.
        say: Called with a sentence if the package comes from another suite.

    Raises:
        InputError: After the last folder, if the package cannot be downloaded or unpacked.
    """
    name, _, suite = source.partition("@")
    if sources.packages is not None:
        for known in (source.replace(":", "_").replace("/", "_"), name, "."):
            if (sources.packages / known).is_dir():
                yield sources.packages / known
        for archive in sorted(sources.packages.glob(f"{name}_*.deb")):
            yield _unpacked(archive, scratch)
    if sources.offline:
        raise InputError(f"{_described(source)} has to be downloaded for it, which --offline forbids.")
    if source.startswith(GIT):
        address = f"{sources.git_base.rstrip('/')}/{source.removeprefix(GIT)}"
        _run(
            f"{_described(source)} cannot be cloned", "git", "clone", "-q", "--depth", "1", address, str(scratch / GIT)
        )
        yield scratch / GIT
        return
    try:
        _run("", "apt-get", "download", f"{name}/{suite}", folder=scratch)
    except InputError:
        _run(f"{_described(source)} cannot be downloaded", "apt-get", "download", name, folder=scratch)
        say(f"{name} comes from another suite than {suite}: some of its images and licences may differ.")
    for archive in sorted(scratch.glob(f"{name}_*.deb")):
        yield _unpacked(archive, scratch)


def _described(source: str) -> str:
    name, _, suite = source.partition("@")
    return f"The package {name} of Debian {suite}" if suite else f"The repository {name.removeprefix(GIT)}"


def _unpacked(archive: Path, scratch: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    _run(f"'{archive.name}' cannot be unpacked", "dpkg-deb", "-x", str(archive.absolute()), str(folder))
    return folder


def _run(failure: str, *command: str, folder: Path | None = None) -> None:
    """Run a command; the error is one sentence with the last line that the command wrote."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    try:
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError(f"{failure}: the command {command[0]} is not installed.") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"{command[0]} ended with code {error.returncode}"]
        raise InputError(f"{failure}: {lines[-1].rstrip('.')}.") from error
