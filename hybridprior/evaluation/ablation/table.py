"""The results of an ablation: one row for each cell, as dictionaries, CSV, Markdown, LaTeX or a pandas data frame."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from hybridprior.errors import ConfigError
from hybridprior.evaluation import tables
from hybridprior.evaluation.ablation.grid import Combination
from hybridprior.evaluation.record import RunRecord
from hybridprior.evaluation.tables import Column, Estimate

if TYPE_CHECKING:
    import pandas

__all__ = ["Row", "Table", "slugged"]


@dataclass(frozen=True)
class Row:
    """The figures of one cell; None if it failed, or if a figure is unknown."""

    id: str
    """Name of the cell's files."""
    image: str
    """Name of the image."""
    task: str
    """"denoise", "sr", "inpaint" ..."""
    condition: str
    """The degradation: "sigma 25", "x4", "50 % missing"."""
    generator: str
    """Name of f_theta."""
    regulariser: str
    """Name of R."""
    weight: float | None
    """lambda."""
    seed: int
    """Seed of the restoration."""
    preset: str
    """Name of the preset."""
    status: str
    """"done" or "failed"."""
    error: str | None
    """Why the cell failed."""
    psnr: float | None
    """PSNR of the result in dB, at the step chosen without ground truth."""
    ssim: float | None
    """SSIM of the result."""
    oracle_psnr: float | None
    """Best PSNR of all steps, in dB."""
    oracle_ssim: float | None
    """SSIM at the step with the best PSNR."""
    oracle_step: int | None
    """The step with the best PSNR."""
    chosen_step: int | None
    """The step chosen without ground truth."""
    steps: int | None
    """Number of steps."""
    seconds: float | None
    """Duration of the restoration."""
    baseline_psnr: float | None
    """PSNR of the operator's initial estimate, in dB."""
    degradation: Mapping[str, Any]
    """Fields of the `Degradation`."""

    @classmethod
    def of(cls, record: RunRecord) -> Row:
        """Return the row of a cell's record.

        Args:
            record: The record.

        Raises:
            KeyError: The record is not that of a cell.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        figures = {name: value for name, value in vars(record.figures).items() if name in names}
        known = {"status": record.status, "error": record.message if record.status == "failed" else None, **figures}
        return cls(**known, **{name: record.details[name] for name in names - known.keys()})

    @property
    def parts(self) -> Combination:
        """The combination of generator, regulariser and weight."""
        return Combination(self.generator, self.regulariser, self.weight)

    @property
    def done(self) -> bool:
        """Whether the cell is done and has figures."""
        return self.status == "done"

    def figure(self, step: str, metric: str) -> float | None:
        """Return the metric of a step. Without an oracle (fusion, tiles), its figure is that of the result.

        Args:
            step: "chosen" without ground truth, or the "oracle" step.
            metric: "psnr" or "ssim".
        """
        chosen = step == "chosen" or self.oracle_psnr is None
        value: float | None = getattr(self, metric if chosen else f"oracle_{metric}")
        return value


class Table(Sequence[Row]):
    """The rows of an ablation, in the order of the grid."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """Store the rows."""
        self.rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Table: ...

    def __getitem__(self, index: int | slice) -> Row | Table:
        """Return a row, or a table of several."""
        return Table(self.rows[index]) if isinstance(index, slice) else self.rows[index]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __repr__(self) -> str:
        """Return the numbers of cells and of failed cells."""
        return f"<Table of {len(self)} cells, {len(self.failed)} failed>"

    @property
    def failed(self) -> tuple[Row, ...]:
        """The cells that failed."""
        return tuple(row for row in self.rows if not row.done)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as flat dictionaries that include the figures of the degradation."""
        names = ("sigma", "scale", "missing", "blur", "quality")
        return [
            {
                **{name: value for name, value in dataclasses.asdict(row).items() if name != "degradation"},
                **{name: row.degradation[name] for name in names},
            }
            for row in self.rows
        ]

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a pandas data frame.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ConfigError("pandas is not installed; use to_dicts(), or pip install pandas.") from error
        return pandas.DataFrame(self.to_dicts())

    def to_csv(self) -> str:
        """Return the rows as comma-separated values."""
        return tables.csv_text(self.to_dicts())

    def to_markdown(self) -> str:
        """Return a table for each condition: images by combinations, mean and standard deviation over seeds."""
        return tables.document(self.by_condition())

    def to_latex(self) -> str:
        """Return the same tables in LaTeX; they need the package booktabs."""
        return "\n".join(table.latex() for table in self.by_condition())

    def by_condition(self) -> Iterator[tables.Table]:
        """Yield a table of PSNR for each task and condition: images by combinations, and the mean over images.

        The mean is over the images for which all combinations are done.
        """
        for task, condition in dict.fromkeys((row.task, row.condition) for row in self.rows):
            rows = [row for row in self.rows if (row.task, row.condition) == (task, condition)]
            choices = list(dict.fromkeys(row.parts for row in rows))
            images = list(dict.fromkeys(row.image for row in rows))
            done = {(row.image, row.parts) for row in rows if row.done}
            complete = [image for image in images if all((image, parts) in done for parts in choices)]
            mean = "mean" if len(complete) == len(images) else f"mean of {len(complete)}"
            yield tables.Table(
                f"{task}, {condition}: PSNR in dB (oracle)",
                (
                    Column("image"),
                    Column("start", 2),
                    *(Column(parts.label, 2, best="row") for parts in choices),
                ),
                (
                    *(_line(image, rows, [image], choices, std=True) for image in images),
                    _line(mean, rows, complete, choices, std=False),
                ),
                summary=1,
            )


def slugged(text: str) -> str:
    """Return text as part of a file name.

    Example:
        >>> slugged("sigma 25")
        'sigma-25'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _line(
    name: str, rows: Sequence[Row], images: Sequence[str], choices: Sequence[Combination], *, std: bool
) -> tuple[tables.Cell, ...]:
    """Return a row of a table: its name, the initial estimate, and the result of each combination."""
    own = [row for row in rows if row.done and row.image in images]
    start = Estimate.of([row.baseline_psnr for row in own if row.baseline_psnr is not None], std=False)
    cells = (_cell([row for row in own if row.parts == parts], std=std) for parts in choices)
    return (name, start, *(cells if images else [None] * len(choices)))


def _cell(rows: Sequence[Row], *, std: bool) -> tables.Cell:
    """Return mean and standard deviation of the PSNR, and the oracle's mean."""
    results = [row.psnr for row in rows if row.psnr is not None]
    oracle = [row.oracle_psnr for row in rows if row.oracle_psnr is not None]
    return Estimate.of(results, oracle=oracle, std=std) or "failed"
