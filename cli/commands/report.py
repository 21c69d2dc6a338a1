"""`hprior report`: one HTML page about the results in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridprior.errors import InputError, OutputError

from ..console import note, say
from ..files import prepare

__all__ = ["report"]

NAME, SUFFIXES = "report.html", (".html", ".htm")

ROOM = 2**25
"""Approximate number of bytes of a page."""


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="An ablation, or restored images with their sidecars OUT.json.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help=f"The page. Default: DIR/{NAME}.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT even if it is not a report. Reports are always replaced.")
    ] = False,
) -> None:
    """Write one self-contained HTML page: images before and after, curves, tables, configuration, stacking weights.

    The page loads nothing from the network and works without JavaScript. Results of incomplete runs are included, and
    missing files are listed.
    """
    target = output or folder / NAME
    if target.suffix.lower() not in SUFFIXES:
        raise OutputError(f"'{target}' is an HTML page; use the suffix {SUFFIXES[0]}.")
    if not folder.is_dir():
        raise InputError(f"'{folder}' is not a folder." if folder.exists() else f"There is no folder '{folder}'.")
    if target.is_file() and not overwrite and not _is_report(target):
        raise OutputError(f"'{target}' exists and is not a report; --overwrite replaces it.")

    from hybridprior.evaluation.report import from_folder, render
    from hybridprior.io.files import write_atomically

    page = from_folder(folder)
    prepare(target, ROOM)
    for sentence in page.missing:
        note(sentence)
    write_atomically(target, render(page).encode())
    say(str(target))


def _is_report(path: Path) -> bool:
    from hybridprior.evaluation.report import MARK

    with path.open("rb") as file:
        return MARK.encode() in file.read(2000)
