"""A page about an ablation: its folder, as far as its cells are done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridprior.evaluation.report.attribution import attribution_tables
from hybridprior.evaluation.report.embed import Album
from hybridprior.evaluation.report.page import Page, Run, Scene, Shown
from hybridprior.evaluation.report.records import group_of, inner, number, read_record, recipe, role, run_of, word
from hybridprior.evaluation.report.summary import averaged, trimmed
from hybridprior.evaluation.tables import Cell, Column, Table

__all__ = ["from_ablation", "is_ablation"]

INDEX, CELLS = "ablation.json", "cells"

DONE, FAILED = "done", "failed"

NAMED = 8
"""Missing cells that are named one by one."""

COLUMNS = (
    Column("image"),
    Column("degradation"),
    Column("parts"),
    Column("preset"),
    Column("seed", 0),
    Column("PSNR", 2, "dB"),
    Column("oracle PSNR", 2, "dB"),
    Column("SSIM", 4),
    Column("before", 2, "dB"),
    Column("chosen step", 0),
    Column("steps", 0),
    Column("time", 1, "s"),
    Column("status"),
)

MEANS_NOTE = (
    "Means over the cells that are done, images and seeds alike; n is how many. PSNR and SSIM are at the step chosen "
    "without ground truth, the oracle’s is the best of all steps."
)

AVERAGED = ("PSNR", "oracle PSNR", "SSIM", "before", "time")


@dataclass(frozen=True)
class Found:
    """A cell and what it is called."""

    record: Mapping[str, Any]
    """As it was written."""
    name: str
    """In the page, unique for its image and group."""

    @property
    def image(self) -> str:
        """Of which image it is."""
        return word(self.record.get("image")) or "?"

    @property
    def group(self) -> str:
        """How the image was degraded."""
        return group_of(self.record.get("task"), self.record.get("condition"))

    @property
    def parts(self) -> str:
        """f_theta and R in words."""
        return recipe(*(self.record.get(key) for key in ("generator", "regulariser", "weight")))


def is_ablation(folder: Path) -> bool:
    """Return whether a folder holds an ablation, or what is left of one."""
    return (folder / INDEX).is_file() or any(
        "image" in (read_record(path) or {}) for path in (folder / CELLS).glob("*.json")
    )


def from_ablation(folder: Path) -> Page:
    """Return the page about an ablation: tables, then a scene an image.

    Args:
        folder: As `hprior ablate` leaves it, whole or not.
    """
    index = read_record(folder / INDEX)
    missing = [] if index is not None else [f"{INDEX} cannot be read; the cells that are there are shown."]
    index = index or {}
    records = _records(folder, index, missing)
    found = _named(records)
    truths = {name: word(inner(inner(index, "images"), name).get("truth")) for name in _images(index, found)}
    paths = [word(each.record.get(key)) for each in found for key in ("degraded", "result")]
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


def _records(folder: Path, index: Mapping[str, Any], missing: list[str]) -> list[dict[str, Any]]:
    """Return the cells' records in order; say which are not there and which failed."""
    listed = index.get("cells")
    names = [word(name) for name in listed] if isinstance(listed, list) else []
    others = [] if names else sorted(path.stem for path in (folder / CELLS).glob("*.json"))  # of another grid, maybe
    read = {name: read_record(folder / CELLS / f"{name}.json") for name in dict.fromkeys([*names, *others])}
    absent = [name for name, record in read.items() if record is None]
    if absent:
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        missing.append(f"{len(absent)} of {len(read)} cells have no record yet: {', '.join(absent[:NAMED])}{more}.")
    for name, record in read.items():
        if record and record.get("status") == FAILED:
            reason = word(record.get("error")) or "no reason is on record"
            missing.append(f"Cell {name} failed: {reason}")
    return [{"id": name, **record} for name, record in read.items() if record is not None]


def _named(records: Sequence[Mapping[str, Any]]) -> list[Found]:
    """Return the cells with names that say what differs: parts, and preset and seed where there are several."""
    several = {key: len({word(record.get(key)) for record in records}) > 1 for key in ("preset", "seed")}
    found: list[Found] = []
    taken: set[tuple[str, str, str]] = set()
    for record in records:
        cell = Found(record, "")
        words = [cell.parts]
        words += [word(record.get("preset"))] if several["preset"] else []
        words += [f"seed {word(record.get('seed'))}"] if several["seed"] else []
        name = ", ".join(words)
        if (cell.image, cell.group, name) in taken:
            name = f"{name} ({word(record.get('id'))})"
        taken.add((cell.image, cell.group, name))
        found.append(Found(record, name))
    return found


def _images(index: Mapping[str, Any], found: Sequence[Found]) -> list[str]:
    return list(dict.fromkeys([*inner(index, "images"), *(each.image for each in found)]))


def _scene(name: str, cells: Sequence[Found], truth: str, folder: Path, album: Album) -> Scene:
    """Return the scene of one image: for each degradation what it looked like and what became of it."""
    shown: list[Shown] = []
    runs: list[Run] = []
    best, right = 0.0, 0
    for group in dict.fromkeys(cell.group for cell in cells):
        some = [cell for cell in cells if cell.group == group]
        degraded = dict.fromkeys(path for cell in some if (path := word(cell.record.get("degraded"))))
        for path in degraded:
            label = "degraded" if len(degraded) == 1 else f"degraded ({Path(path).stem})"
            shown += _taken(album, folder / path, label, group=group)
        for cell in (cell for cell in some if cell.record.get("status") == DONE):
            psnr = number(cell.record.get("psnr"))
            path, note = word(cell.record.get("result")), "" if psnr is None else f"{psnr:.2f} dB"
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
    who = word(inner(record, "fusion").get("map"))
    map = album.take(folder / who, f"who helped, {cell.name}") if who else None
    kind = role(record.get("generator"), record.get("regulariser"))
    return run_of(record, name=cell.name, recipe=cell.parts, role=kind, group=group, map=map)


def _row(cell: Found) -> tuple[Cell, ...]:
    record = cell.record
    keys = ("seed", "psnr", "oracle_psnr", "ssim", "baseline_psnr", "chosen_step", "steps", "seconds")
    words = (cell.image, cell.group, cell.parts, word(record.get("preset")))
    return (*words, *(number(record.get(key)) for key in keys), word(record.get("status")))


def _facts(index: Mapping[str, Any], found: Sequence[Found]) -> Iterator[tuple[str, str]]:
    """Yield what stands under the heading."""
    listed = index.get("cells")
    done = sum(each.record.get("status") == DONE for each in found)
    yield "cells done", f"{done} of {max(len(found), len(listed) if isinstance(listed, list) else 0)}"
    count: dict[str, Callable[[Found], str]] = {
        "images": lambda each: each.image,
        "degradations": lambda each: each.group,
        "choices of parts": lambda each: each.parts,
        "seeds": lambda each: word(each.record.get("seed")),
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
