"""A cell of the grid: one restoration of one image, a job for any process.

The name of a cell is a hash of all inputs of its result: name and pixels of the image, degradation, configuration, and
the content of the files of weights and kernels that these name. The image is written before the record, and each file
is written completely or not at all. A cell with a record is finished and is not computed again.
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
from hybridprior.evaluation.record import Figures, RunRecord
from hybridprior.io.files import ImageData, read_image, write_image
from hybridprior.metrics import ssim
from hybridprior.result import Status

__all__ = ["Cell", "Job", "failure", "read_cell", "run_job", "slug"]

POINTS = 200
"""Approximate number of points of a stored trace."""

ONE_AT_A_TIME = threading.Lock()
"""A process computes one cell at a time, even in several threads: the seed of theta is global to the process."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """One restoration."""

    image: str
    """Name of the image."""
    digest: str
    """Hash of its pixels."""
    how: Degradation
    """The degradation."""
    parts: Combination
    """The combination of generator, regulariser and weight."""
    preset: str
    """Name of the preset."""
    config: RestoreConfig
    """The configuration, with its seed."""

    @functools.cached_property
    def id(self) -> str:
        """The name of the cell, sixteen hexadecimal digits."""
        inputs = [self.image, self.digest, dataclasses.asdict(self.how), self.config.to_dict()]
        inputs += [contents] if (contents := _contents(inputs[2:])) else []
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Return the details of the cell for its record."""
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
    """The cell."""
    folder: Path
    """Absolute path of the ablation's folder, the same for all processes."""
    device: str = "auto"
    """The device."""
    threads: int | None = None
    """Number of threads of the process; None keeps its default."""

    @property
    def path(self) -> Path:
        """The file of the record."""
        return self.folder / "cells" / f"{self.cell.id}.json"

    def finished(self) -> RunRecord | None:
        """Return the record of the cell if it is done, else None."""
        record = read_cell(self.path)
        if record is None or record.status != "done":
            return None
        try:
            read_image(self.folder / record.word("result"))
        except HybridPriorError:
            return None
        return record


def read_cell(path: Path) -> RunRecord | None:
    """Return the record of a cell; None if there is none that is complete.

    Args:
        path: The file of the record.
    """
    record = RunRecord.read(path)
    try:
        return record if record is not None and Row.of(record) else None
    except (ValueError, TypeError, KeyError):
        return None


def run_job(job: Job) -> RunRecord:
    """Return the record of a cell; compute the cell unless it is finished. A cell that fails has a record, too.

    Args:
        job: The job.

    Raises:
        OutputError: The folder does not exist.
        KeyboardInterrupt: The run was interrupted.
    """
    if not (job.folder / "cells").is_dir():
        raise OutputError(f"There is no folder '{job.folder}/cells' here. Use a folder that all processes share.")
    with ONE_AT_A_TIME:
        if (found := job.finished()) is not None:
            return found
        if job.threads is not None:
            torch.set_num_threads(job.threads)
        started = time.perf_counter()
        try:
            record = _computed(job)
        except Exception as error:  # the other cells continue, whatever a component raises
            log.debug("cell %s", job.cell.id, exc_info=True)
            record = failure(job, error, time.perf_counter() - started)
        record.write(job.path)
        return RunRecord.from_dict(record.to_dict())


def failure(job: Job, error: BaseException, seconds: float = 0.0) -> RunRecord:
    """Return the record of a cell that failed.

    Args:
        job: The job.
        error: The error.
        seconds: Duration of the run in seconds.
    """
    return RunRecord(
        status="failed",
        message=" ".join(str(error).split()) or type(error).__name__,
        figures=Figures(seconds=round(seconds, 2)),
        config=job.cell.config.to_dict(),
        details={**job.cell.describe(), "result": None},
    )


def slug(how: Degradation) -> str:
    """Return a degradation as part of a file name.

    Args:
        how: The degradation.

    Example:
        >>> slug(Degradation("inpaint", missing=0.5))
        'inpaint-50-missing'
    """
    return slugged(f"{how.task} {how.label}")


def _contents(inputs: Any) -> list[str]:
    """Return the hashes of the files that are named anywhere in the inputs of a cell."""
    if isinstance(inputs, dict):
        return _contents(list(inputs.values()))
    if isinstance(inputs, list | tuple):
        return [found for part in inputs for found in _contents(part)]
    if not isinstance(inputs, str):
        return []
    if (source := source_of(inputs)) is not None:
        inputs = str(source)
    named = Path(inputs.removeprefix("file:").removeprefix("local-dir:"))
    file = inputs.rpartition(":")[0]  # of several arrays
    try:
        paths = [path for path in (named, Path(file)) if path.name and path.suffix and path.is_file()]
        if inputs.startswith("local-dir:") and named.is_dir():
            paths = sorted(path for path in named.rglob("*") if path.is_file())
        stats = [path.stat() for path in paths]
        return [_hash(path, s.st_mtime_ns, s.st_size) for path, s in zip(paths, stats, strict=True)]
    except (OSError, ValueError):  # not the name of a readable file; the component that uses it reports this
        return []


@functools.lru_cache(maxsize=4096)
def _hash(path: Path, changed: int, size: int) -> str:
    """Return the hash of a file; it is read again if it has changed."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _computed(job: Job) -> RunRecord:
    """Restore the image of the cell, write it, and return the record."""
    cell = job.cell
    truth = read_image(job.folder / "images" / f"{cell.image}.png").pixels
    trial = measure(cell.image, truth, cell.how, cell.config, every=1, keep=True, device=job.device)
    name, row, result = f"cells/{cell.id}", trial.row, trial.result
    write_image(job.folder / f"{name}.png", ImageData(result.image))
    record = RunRecord.from_result(
        result,
        status="failed" if result.status is Status.DIVERGED else "done",
        figures=Figures(
            psnr=row.psnr,
            ssim=row.ssim,
            oracle_psnr=row.oracle_psnr,
            oracle_ssim=_oracle_ssim(trial),
            oracle_step=row.oracle_step,
            baseline_psnr=row.baseline_psnr,
        ),
        oracle_curve=trial.oracle.curve,
        max_points=POINTS,
        details={**cell.describe(), "result": f"{name}.png", "threads": torch.get_num_threads()},
    )
    if result.fusion is None:
        return record
    write_image(job.folder / f"{name}.weights.png", ImageData(result.fusion.image()))
    return dataclasses.replace(record, fusion={**record.fusion, "map": f"{name}.weights.png"})


def _oracle_ssim(trial: Trial) -> float | None:
    """Return the SSIM at the step with the best PSNR, if the oracle followed the run."""
    best = trial.oracle.best
    return None if best is None or trial.row.oracle_psnr is None else ssim(best, trial.oracle.truth)
