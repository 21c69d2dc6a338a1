"""The page about an ablation, from the cells in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hybridprior.evaluation.record import RunRecord
from hybridprior.evaluation.report.attribution import attribution_tables
from hybridprior.evaluation.report.embed import Album
from hybridprior.evaluation.report.page import Page, Run, Scene, Shown
from hybridprior.evaluation.report.runs import group_of, recipe, role, run_of
from hybridprior.evaluation.report.summary import averaged, trimmed
from hybridprior.evaluation.tables import Cell, Column, Table
from hybridprior.evaluation.values import inner, number, word
from hybridprior.io.records import read_json

__all__ = ["from_ablation", "is_ablation"]

INDEX, CELLS = "ablation.json", "cells"

DONE, FAILED = "done", "failed"

NAMED = 8
"""Maximum number of missing cells that are named."""

COLUMNS = (
    Column("image"),
    Column("degradation"),
    Column("parts"),
    Column("preset"),
    Column("seed", 0),
    Column("PSNR", 2, "dB"),
    Column("oracle PSNR", 2, "dB"),
    Column("SSIM", 4),
    Column("initial PSNR", 2, "dB"),
    Column("chosen step", 0),
    Column("steps", 0),
    Column("time", 1, "s"),
    Column("status"),
)

MEANS_NOTE = (
    "Means over n finished cells (images and seeds). PSNR and SSIM are at the step chosen without ground truth; the "
    "oracle PSNR is the best of all steps."
)

AVERAGED = ("PSNR", "oracle PSNR", "SSIM", "initial PSNR", "time")


@dataclass(frozen=True)
class Found:
    """A cell and its name in the page."""

    record: RunRecord
    """The record of the cell."""
    name: str
    """Name in the page, unique for its image and group."""

    @property
    def image(self) -> str:
        """Name of the image."""
        return self.record.word("image") or "?"

    @property
    def group(self) -> str:
        """The degradation."""
        return group_of(self.record.word("task"), self.record.word("condition"))

    @property
    def parts(self) -> str:
        """Generator, regulariser and weight as text."""
        return recipe(*(self.record.details.get(key) for key in ("generator", "regulariser", "weight")))


def is_ablation(folder: Path) -> bool:
    """Return whether a folder has an ablation, complete or not.

    Args:
        folder: The folder.
    """
    return (folder / INDEX).is_file() or any(
        "image" in (read_json(path) or {}) for path in (folder / CELLS).glob("*.json")
    )


def from_ablation(folder: Path) -> Page:
    """Return the page about an ablation: tables, then a scene for each image.

    Args:
        folder: Folder of the ablation, complete or not.
    """
    index = read_json(folder / INDEX)
    missing = [] if index is not None else [f"{INDEX} cannot be read; all cells in the folder are shown."]
    index = index or {}
    records = _records(folder, index, missing)
    found = _named(records)
    truths = {name: word(inner(inner(index, "images"), name).get("truth")) for name in _images(index, found)}
    paths = [each.record.word(key) for each in found for key in ("degraded", "result")]
    plots = sorted(folder.glob("*.png"))
    album = Album([folder / path for path in (*paths, *truths.values()) if path] + plots)
    drawings = [shown for path in plots if (shown := album.take(path, path.stem.replace("_", " ")))]
    scenes = [_scene(name, [e for e in found if e.image == name], truths[name], folder, album) for name in truths]
    cells = Table("Every cell", COLUMNS, tuple(_row(each) for each in found), last=True)
    short, same = trimmed(cells)
    return Page(
        title=f"Ablation: {folder.resolve().name}",
        scenes=tuple(scene for scene in scenes if scene.shown or scene.runs),
        facts=(*_facts(index, found), *same),
        tables=(*_tables(cells), *attribution_tables(folder, missing), short) if found else (),
        plots=tuple(drawings),
        command=word(index.get("command")),
        request=json.dumps(index["request"], indent=2, ensure_ascii=False) if index.get("request") else "",
        missing=tuple(dict.fromkeys([*missing, *album.missing])),
        compressed=not album.lossless,
    )


def _records(folder: Path, index: Mapping[str, Any], missing: list[str]) -> list[RunRecord]:
    """Return the records of the cells in order; append sentences about missing and failed cells."""
    listed = index.get("cells")
    names = [word(name) for name in listed] if isinstance(listed, list) else []
    others = [] if names else sorted(path.stem for path in (folder / CELLS).glob("*.json"))
    read = {name: RunRecord.read(folder / CELLS / f"{name}.json") for name in dict.fromkeys([*names, *others])}
    absent = [name for name, record in read.items() if record is None]
    if absent:
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        missing.append(f"{len(absent)} of {len(read)} cells have no record yet: {', '.join(absent[:NAMED])}{more}.")
    for name, record in read.items():
        if record and record.status == FAILED:
            missing.append(f"Cell {name} failed: {record.message or 'the record has no reason'}")
    return [
        replace(record, details={"id": name, **record.details}) for name, record in read.items() if record is not None
    ]


def _named(records: Sequence[RunRecord]) -> list[Found]:
    """Return the cells with names: combination, and preset and seed if there are several."""
    several = {key: len({record.word(key) for record in records}) > 1 for key in ("preset", "seed")}
    found: list[Found] = []
    taken: set[tuple[str, str, str]] = set()
    for record in records:
        cell = Found(record, "")
        words = [cell.parts]
        words += [record.word("preset")] if several["preset"] else []
        words += [f"seed {record.word('seed')}"] if several["seed"] else []
        name = ", ".join(words)
        if (cell.image, cell.group, name) in taken:
            name = f"{name} ({record.word('id')})"
        taken.add((cell.image, cell.group, name))
        found.append(Found(record, name))
    return found


def _images(index: Mapping[str, Any], found: Sequence[Found]) -> list[str]:
    return list(dict.fromkeys([*inner(index, "images"), *(each.image for each in found)]))


def _scene(name: str, cells: Sequence[Found], truth: str, folder: Path, album: Album) -> Scene:
    """Return the scene of one image: for each degradation the degraded image and the results."""
    shown: list[Shown] = []
    runs: list[Run] = []
    best, right = 0.0, 0
    for group in dict.fromkeys(cell.group for cell in cells):
        some = [cell for cell in cells if cell.group == group]
        degraded = dict.fromkeys(path for cell in some if (path := cell.record.word("degraded")))
        for path in degraded:
            label = "degraded" if len(degraded) == 1 else f"degraded ({Path(path).stem})"
            shown += _taken(album, folder / path, label, group=group)
        for cell in (cell for cell in some if cell.record.status == DONE):
            psnr = cell.record.figures.psnr
            path, note = cell.record.word("result"), "" if psnr is None else f"{psnr:.2f} dB"
            taken = _taken(album, folder / path, cell.name, group=group, note=note) if path else []
            if taken and (psnr or 0.0) > best:
                best, right = psnr or 0.0, len(shown)
            shown += taken
            runs.append(_run(cell, group, folder, album))
    shown += _taken(album, folder / truth, "truth") if truth else []
    left = next((i for i, one in enumerate(shown) if shown and one.group == shown[right].group), 0)
    return Scene(name, tuple(shown), tuple(runs), left=left, right=right)


def _taken(album: Album, path: Path, name: str, **words: str) -> list[Shown]:
    shown = album.take(path, name, **words)
    return [shown] if shown else []


def _run(cell: Found, group: str, folder: Path, album: Album) -> Run:
    record = cell.record
    weights = word(record.fusion.get("map"))
    map = album.take(folder / weights, f"stacking weights, {cell.name}") if weights else None
    kind = role(record.details.get("generator"), record.details.get("regulariser"))
    return run_of(record, name=cell.name, recipe=cell.parts, role=kind, group=group, map=map)


def _row(cell: Found) -> tuple[Cell, ...]:
    record = cell.record
    keys = ("psnr", "oracle_psnr", "ssim", "baseline_psnr", "chosen_step", "steps", "seconds")
    words = (cell.image, cell.group, cell.parts, record.word("preset"), number(record.details.get("seed")))
    return (*words, *(getattr(record.figures, key) for key in keys), record.status)


def _facts(index: Mapping[str, Any], found: Sequence[Found]) -> Iterator[tuple[str, str]]:
    """Yield the facts under the heading."""
    listed = index.get("cells")
    done = sum(each.record.status == DONE for each in found)
    yield "cells done", f"{done} of {max(len(found), len(listed) if isinstance(listed, list) else 0)}"
    count: dict[str, Callable[[Found], str]] = {
        "images": lambda each: each.image,
        "degradations": lambda each: each.group,
        "combinations": lambda each: each.parts,
        "seeds": lambda each: each.record.word("seed"),
    }
    for name, what in count.items():
        yield name, str(len({what(each) for each in found}))


def _tables(cells: Table) -> Iterator[Table]:
    """Yield the means over images and seeds."""
    place = {column.name: index for index, column in enumerate(cells.columns)}
    presets = {row[place["preset"]] for row in cells.rows}
    by = ["degradation", "parts", *(["preset"] if len(presets) > 1 else [])]
    done = Table(cells.title, cells.columns, tuple(row for row in cells.rows if row[place["status"]] == DONE))
    if done.rows:
        yield averaged(done, by, AVERAGED, title="Means", note=MEANS_NOTE)
