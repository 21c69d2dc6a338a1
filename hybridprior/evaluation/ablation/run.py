"""`ablate()`: run the grid on all images with any executor, and write tables, attribution and figures.

The folder of an ablation holds its state. The same call computes the missing cells:

    ablation.json                 the grid, the images, the names of the cells in order
    images/                       ground truths and degraded images
    cells/ID.json, .png           record and result of a cell; .weights.png with the stacking weights of a fusion
    table.csv, .md, .tex          the cells
    attribution.json, .md, .tex   the contribution of each prior, and the regions where the local prior is better
    *.png                         the figures
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from hybridprior._internal.device import choose_device
from hybridprior.errors import HybridPriorError, InputError, OutputError
from hybridprior.evaluation.ablation.attribution import attribute
from hybridprior.evaluation.ablation.cell import Cell, Job, read_cell, slug
from hybridprior.evaluation.ablation.executor import check_executor, run_jobs, share
from hybridprior.evaluation.ablation.grid import Grid
from hybridprior.evaluation.ablation.plots import draw_attribution, draw_region
from hybridprior.evaluation.ablation.regions import regions
from hybridprior.evaluation.ablation.table import Row, Table, slugged
from hybridprior.evaluation.bench import find_images, read_truth, short_name
from hybridprior.evaluation.bench.suites import middle
from hybridprior.evaluation.degradation import degrade
from hybridprior.io.files import ImageData, read_image, write_atomically, write_image
from hybridprior.io.records import write_json

__all__ = ["VERSION", "ablate", "gather", "write_report"]

INDEX = "ablation.json"

VERSION = 1
"""Version of the layout of the folder."""

LONGEST = 160
"""Maximum length of the name of a degraded image in bytes; the names of figures are longer."""

Given = str | os.PathLike[str]

Callback = Callable[[Row | None, int, int], None]
"""Called with the row of a cell, the number of finished cells and of all cells; the first call has no row."""


def ablate(
    images: Sequence[Given] | Mapping[str, torch.Tensor],
    grid: Grid | None = None,
    *,
    output: Given,
    executor: str | Executor = "local:1",
    threads: int | None = None,
    device: str = "auto",
    callback: Callback | None = None,
    command: str = "",
) -> Table:
    """Run a grid of combinations on clean images, and attribute the gain to the priors.

    Finished cells in the folder are not computed again. Failed cells are computed again.

    Args:
        images: Clean images: files, folders, or tensors `(1, C, H, W)` with intensity in [0, 1] by name; tensors are
            rounded to sixteen bits.
        grid: The grid; `Grid()` if not given.
        output: The folder. All processes must have access to it.
        executor: "local:N", "dask-local:N", "dask://HOST:PORT", or an executor of `concurrent.futures`.
        threads: Number of threads of each process; the threads of the machine are divided if not given.
        device: The device.
        callback: Called at the start and after each cell.
        command: The command line, for the record.

    Returns:
        A row for each cell, including failed cells.

    Raises:
        ConfigError: The grid cannot run, or the executor is unknown.
        InputError: An image cannot be read, or two images have the same name.
        OutputError: The folder cannot be written.
        WeightsError: Weights cannot be loaded.

    Example:
        >>> grid = Grid(generators=("pixels",), regularisers=("none",), preset="fast")
        >>> ablate({"random": torch.rand(1, 1, 16, 16)}, grid, output="ablation")
        <Table of 1 cells, 0 failed>
    """
    grid = grid or Grid()
    if isinstance(executor, str):
        check_executor(executor)
        threads = share(executor, threads)
    choose_device(device)
    grid.check()
    folder = Path(output).resolve()
    cells = _lay_out(_truths(images, grid), grid, folder, command)
    jobs = [Job(cell, folder, device, threads) for cell in cells]
    found: dict[str, Row] = {}
    if callback is not None:
        callback(None, 0, len(jobs))
    try:
        with closing(run_jobs(jobs, executor)) as records:
            for record in records:
                row = found[record.word("id")] = Row.of(record)
                if callback is not None:
                    callback(row, len(found), len(jobs))
    finally:
        table = Table(found[cell.id] for cell in cells if cell.id in found)
        write_report(folder, table)
    return table


def gather(output: Given) -> Table:
    """Return the table of the finished and failed cells in a folder.

    Args:
        output: The folder of the ablation.

    Raises:
        InputError: The folder has no ablation.
    """
    folder = Path(output)
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"There is no ablation in '{folder}'.") from error
    paths = [folder / "cells" / f"{name}.json" for name in names]
    return Table(Row.of(record) for path in paths if (record := read_cell(path)) is not None)


def write_report(folder: Path, table: Table) -> None:
    """Write the tables, the attribution and the figures of an ablation.

    Args:
        folder: Folder of the ablation.
        table: The cells that are finished or failed.
    """
    found, places = attribute(table), list(regions(table, folder))
    lines = [
        f"- {place.image}, {place.task}, {place.condition}: {place.generator} is better than {place.regulariser} on "
        f"{100 * place.share:.0f} % of the pixels; by texture, from smooth to textured: "
        + ", ".join(f"{100 * part:.0f} %" for part in place.by_texture)
        for place in places
    ]
    where = "\n## Where the local prior is better\n\n" + "\n".join(lines) + "\n" if lines else ""
    texts = {
        "table.csv": table.to_csv(),
        "table.md": f"# Ablation\n\n{table.to_markdown()}",
        "table.tex": table.to_latex(),
        "attribution.md": f"# Attribution\n\n{found.to_markdown()}{where}",
        "attribution.tex": found.to_latex(),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    figures = dict(draw_attribution(found.means))
    for place in places:
        words = slugged(f"{place.task} {place.condition} {place.generator} {place.regulariser}")
        figures[f"regions-{place.image}-{words}.png"] = draw_region(place)
    for name, data in figures.items():
        write_atomically(folder / name, data)
    drawn, complete = (
        _listed(folder / "attribution.json", "figures"),
        len(table) == len(_listed(folder / INDEX, "cells")),
    )
    for name in drawn if complete else ():  # figures of another grid
        if name not in figures:
            (folder / Path(name).name).unlink(missing_ok=True)
    names = sorted(figures if complete else {*drawn, *figures})
    record = {**found.to_dict(), "regions": [place.to_dict() for place in places], "figures": names}
    write_json(folder / "attribution.json", record)


def _listed(path: Path, key: str) -> list[str]:
    """Return a list of names in a JSON file; an empty one if there is none."""
    try:
        return [str(name) for name in json.loads(path.read_text(encoding="utf-8"))[key]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _truths(images: Sequence[Given] | Mapping[str, torch.Tensor], grid: Grid) -> dict[str, ImageData]:
    """Return the ground truths in files by name."""
    if isinstance(images, Mapping):
        return _tensors(images, grid)
    found: dict[str, Path] = {}
    for given in map(Path, images):
        for short, path in find_images(given) if given.is_dir() else [(short_name(given), given)]:
            name = _name(short)
            if name in found:
                raise InputError(f"'{found[name]}' and '{path}' would both be called '{name}'; rename one of them.")
            found[name] = path
    if not found:
        raise InputError("There is no image. An ablation needs at least one.")
    truths = {name: read_truth(path, multiple=grid.multiple, crop=grid.crop) for name, path in found.items()}
    exact = {name: bool(torch.equal((255 * x).round() / 255, x)) for name, x in truths.items()}
    return {name: ImageData(x, depth="uint8" if exact[name] else "uint16") for name, x in truths.items()}


def _tensors(images: Mapping[str, torch.Tensor], grid: Grid) -> dict[str, ImageData]:
    """Return the ground truths in tensors by name."""
    found: dict[str, ImageData] = {}
    for given, x in images.items():
        name = _name(given)
        if name in found:
            raise InputError(f"Two images would both be called '{name}', one of them '{given}'; rename it.")
        truth = middle(x.detach().float().cpu(), given, multiple=grid.multiple, crop=grid.crop)
        found[name] = ImageData(truth, depth="uint16")
    return found


def _lay_out(truths: Mapping[str, ImageData], grid: Grid, folder: Path, command: str) -> list[Cell]:
    """Write the ground truths, the degraded images and the index; return the cells."""
    try:
        for name in ("images", "cells"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"'{folder}' cannot be made: {error.strerror or error}.") from error
    cells = []
    _check_names(truths, grid)
    for name, image in truths.items():
        path = folder / "images" / f"{name}.png"
        write_image(path, image)
        truth = read_image(path).pixels
        digest = hashlib.sha256(truth.numpy().tobytes() + repr(tuple(truth.shape)).encode()).hexdigest()
        for how in grid.conditions:
            try:
                y, _ = degrade(truth, how)
            except HybridPriorError as error:
                raise type(error)(f"'{name}': {error}") from error
            write_image(folder / "images" / f"{name}-{slug(how)}.png", ImageData(y))
            for parts, seed in itertools.product(grid.combinations(), grid.seeds):
                cells.append(Cell(name, digest, how, parts, grid.preset, grid.configure(how, parts, seed)))
    record: dict[str, Any] = {
        "version": VERSION,
        "request": grid.to_dict(),
        "command": command,
        "images": {name: {"truth": f"images/{name}.png"} for name in truths},
        "cells": [cell.id for cell in cells],
    }
    write_json(folder / INDEX, record)
    return cells


def _check_names(truths: Mapping[str, ImageData], grid: Grid) -> None:
    """Raise `InputError` if a name is that of a degraded image, or too long."""
    for name, how in itertools.product(truths, grid.conditions):
        if (made := f"{name}-{slug(how)}") in truths:
            raise InputError(f"'{made}' is also the name of the degraded image of '{name}'; rename the image.")
        if len(made.encode()) > LONGEST:
            raise InputError(f"The name '{name}' is too long for the files that are made of it; rename the image.")


def _name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "image"
