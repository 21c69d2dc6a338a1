"""A cell of the grid: one restoration of one image, a job that any process can take.

A cell's name is the hash of all that decides its result: the image's name
and pixels, the degradation and the configuration, and what is in the files of weights and kernels that these name.
Its image is written before its record, each by way of a temporary file, so that a record is a finished cell; what is
finished is never computed again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hybridprior._internal.imports import source_of
from hybridprior.config import RestoreConfig
from hybridprior.errors import HybridPriorError, OutputError
from hybridprior.evaluation.ablation.grid import Combination
from hybridprior.evaluation.ablation.table import Row, slugged
from hybridprior.evaluation.bench import Trial, measure
from hybridprior.evaluation.degradation import Degradation
from hybridprior.io.files import ImageData, read_image, write_image
from hybridprior.io.records import finite, write_json
from hybridprior.metrics import ssim
from hybridprior.result import Status

__all__ = ["Cell", "Job", "failure", "read_cell", "run_job", "slug"]

POINTS = 200
"""Points of a trace that are kept, about."""

ONE_AT_A_TIME = threading.Lock()
"""A process takes one cell at a time, however many threads a scheduler gives it: the seed of theta is the process's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """One restoration."""

    image: str
    """Name of the image."""
    digest: str
    """Hash of its pixels."""
    how: Degradation
    """How it is degraded."""
    parts: Combination
    """What was chosen."""
    preset: str
    """Where the configuration came from."""
    config: RestoreConfig
    """What restores, with its seed."""

    @functools.cached_property
    def id(self) -> str:
        """The cell's name, sixteen hexadecimal digits."""
        decisive = [self.image, self.digest, dataclasses.asdict(self.how), self.config.to_dict()]
        decisive += [contents] if (contents := _contents(decisive[2:])) else []
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Return what the cell is, as its record has it."""
        return {
            "id": self.id,
            "image": self.image,
            "task": self.how.task,
            "condition": self.how.label,
            "degraded": f"images/{self.image}-{slug(self.how)}.png",
            **dataclasses.asdict(self.parts),
            "seed": self.config.seed,
            "preset": self.preset,
            "degradation": dataclasses.asdict(self.how),
        }


@dataclass(frozen=True)
class Job:
    """A cell, and where it is computed and written."""

    cell: Cell
    folder: Path
    """The ablation's, absolute, and the same for every process."""
    device: str = "auto"
    threads: int | None = None
    """Of this process; its own number if None."""

    def finished(self) -> dict[str, Any] | None:
        """Return the record of the cell if it is done, or None."""
        record = read_cell(self.folder / "cells" / f"{self.cell.id}.json")
        if record is None or record["status"] != "done":
            return None
        try:
            read_image(self.folder / str(record.get("result")))
        except HybridPriorError:
            return None
        return record


def read_cell(path: Path) -> dict[str, Any] | None:
    """Return the record of a cell, or None where there is none that is whole.

    Args:
        path: Its file.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        Row.of(record)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return record  # type: ignore[no-any-return]


def run_job(job: Job) -> dict[str, Any]:
    """Return the record of a cell, computed unless it is there already; a cell that fails has a record, too.

    Args:
        job: What to do.

    Raises:
        OutputError: The folder is not there.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    if not (job.folder / "cells").is_dir():
        raise OutputError(f"There is no folder '{job.folder}/cells' here; all processes need to see the same one.")
    with ONE_AT_A_TIME:
        if (found := job.finished()) is not None:
            return found
        if job.threads is not None:
            torch.set_num_threads(job.threads)
        started = time.perf_counter()
        try:
            record = _computed(job)
        except Exception as error:  # whatever a part raises, the other cells go on
            log.debug("cell %s", job.cell.id, exc_info=True)
            record = failure(job, error, time.perf_counter() - started)
        write_json(job.folder / "cells" / f"{job.cell.id}.json", record)
        return finite(record)  # type: ignore[no-any-return]


def failure(job: Job, error: BaseException, seconds: float = 0.0) -> dict[str, Any]:
    """Return the record of a cell that failed.

    Args:
        job: Which.
        error: Why.
        seconds: After how long.
    """
    figures = ("psnr", "ssim", "oracle_psnr", "oracle_ssim", "oracle_step", "chosen_step", "steps", "baseline_psnr")
    return {
        **job.cell.describe(),
        "status": "failed",
        "error": " ".join(str(error).split()) or type(error).__name__,
        **dict.fromkeys(figures),
        "seconds": round(seconds, 2),
        "result": None,
        "config": job.cell.config.to_dict(),
        "trace": {"step": [], "energy": [], "score": [], "psnr": []},
        "fusion": None,
    }


def slug(how: Degradation) -> str:
    """Return a degradation as part of a file's name: "denoise-sigma-25", "inpaint-50-missing"."""
    return slugged(f"{how.task} {how.label}")


def _contents(decisive: Any) -> list[str]:
    """Return the hashes of the files that are named anywhere in what decides."""
    if isinstance(decisive, dict):
        return _contents(list(decisive.values()))
    if isinstance(decisive, list | tuple):
        return [found for part in decisive for found in _contents(part)]
    if not isinstance(decisive, str):
        return []
    if (source := source_of(decisive)) is not None:
        decisive = str(source)
    named = Path(decisive.removeprefix("file:").removeprefix("local-dir:"))
    file = decisive.rpartition(":")[0]  # of several arrays
    try:
        paths = [path for path in (named, Path(file)) if path.name and path.suffix and path.is_file()]
        if decisive.startswith("local-dir:") and named.is_dir():
            paths = sorted(path for path in named.rglob("*") if path.is_file())
        stats = [path.stat() for path in paths]
        return [_hash(path, s.st_mtime_ns, s.st_size) for path, s in zip(paths, stats, strict=True)]
    except (OSError, ValueError):  # no name of a file, or none that can be read, which who uses it will say
        return []


@functools.lru_cache(maxsize=4096)
def _hash(path: Path, changed: int, size: int) -> str:
    """Return the hash of a file, read again where it has changed."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _computed(job: Job) -> dict[str, Any]:
    """Restore the cell's image, write it, and return the record."""
    cell = job.cell
    truth = read_image(job.folder / "images" / f"{cell.image}.png").pixels
    trial = measure(cell.image, truth, cell.how, cell.config, every=1, keep=True, device=job.device)
    name, row, result = f"cells/{cell.id}", trial.row, trial.result
    write_image(job.folder / f"{name}.png", ImageData(result.image))
    fusion = None
    if result.fusion is not None:
        write_image(job.folder / f"{name}.who.png", ImageData(result.fusion.image()))
        fusion = {**result.fusion.to_dict(), "map": f"{name}.who.png"}
    failed = result.status is Status.DIVERGED
    return {
        **cell.describe(),
        "status": "failed" if failed else "done",
        "error": result.message if failed else None,
        "psnr": row.psnr,
        "ssim": row.ssim,
        "oracle_psnr": row.oracle_psnr,
        "oracle_ssim": _oracle_ssim(trial),
        "oracle_step": row.oracle_step,
        "chosen_step": row.chosen_step,
        "steps": row.steps,
        "seconds": row.seconds,
        "baseline_psnr": row.baseline_psnr,
        "result": f"{name}.png",
        "message": result.message,
        "precision": result.precision,
        "threads": torch.get_num_threads(),
        "config": result.config.to_dict(),
        "trace": _trace(trial),
        "fusion": fusion,
    }


def _oracle_ssim(trial: Trial) -> float | None:
    """Return the structural similarity at the step with the best PSNR, where the oracle followed the run."""
    best = trial.oracle.best
    return None if best is None or trial.row.oracle_psnr is None else ssim(best, trial.oracle.truth)


def _trace(trial: Trial) -> dict[str, list[Any]]:
    """Return about `POINTS` points of the run, the last one among them."""
    trace, psnr = trial.result.trace, {int(step): value for step, _, value in trial.oracle.curve}
    every = max(1, len(trace) // POINTS)
    points = [point for number, point in enumerate(trace, 1) if number % every == 0 or number == len(trace)]
    return {
        "step": [point.step for point in points],
        "energy": [point.energy for point in points],
        "score": [point.score for point in points],
        "psnr": [psnr.get(point.step) for point in points],
    }
