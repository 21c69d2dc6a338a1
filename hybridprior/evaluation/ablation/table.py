"""The tidy table of an ablation: a row a cell, and what people read of it."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, pstdev
from typing import TYPE_CHECKING, Any, overload

from hybridprior.errors import ConfigError
from hybridprior.evaluation.ablation.grid import Combination

if TYPE_CHECKING:
    import pandas

__all__ = ["Row", "Table", "latex", "markdown"]


@dataclass(frozen=True)
class Row:
    """One cell's figures; None where it failed, or where there is none."""

    id: str
    """Name of its files."""
    image: str
    """Name of the image."""
    task: str
    """"denoise", "sr", "inpaint" ..."""
    condition: str
    """Of the degradation: "sigma 25", "x4", "50 % missing"."""
    generator: str
    """f_theta."""
    regulariser: str
    """R."""
    weight: float | None
    """lambda."""
    seed: int
    """Of the restoration."""
    preset: str
    """Where the configuration came from."""
    status: str
    """"done" or "failed"."""
    error: str | None
    """Why it failed."""
    psnr: float | None
    """At the step chosen without ground truth, in dB: the result."""
    ssim: float | None
    """There."""
    oracle_psnr: float | None
    """At the best step, in dB."""
    oracle_ssim: float | None
    """There."""
    oracle_step: int | None
    """The best step."""
    chosen_step: int | None
    """The step that was chosen."""
    steps: int | None
    """How many were taken."""
    seconds: float | None
    """What the restoration took."""
    baseline_psnr: float | None
    """Of the operator's cheap estimate, in dB."""
    degradation: Mapping[str, Any]
    """Fields of the `Degradation`."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Row:
        """Return the row of a cell's record."""
        return cls(**{field.name: record[field.name] for field in dataclasses.fields(cls)})

    @property
    def parts(self) -> Combination:
        """The choice of parts."""
        return Combination(self.generator, self.regulariser, self.weight)

    @property
    def done(self) -> bool:
        """Whether there are figures."""
        return self.status == "done"

    def figure(self, judge: str, metric: str) -> float | None:
        """Return one of the four results; where there is no oracle, of a fusion or of tiles, its is the result itself.

        Args:
            judge: "chosen" without ground truth, or by the "oracle".
            metric: "psnr" or "ssim".
        """
        chosen = judge == "chosen" or self.oracle_psnr is None
        value: float | None = getattr(self, metric if chosen else f"oracle_{metric}")
        return value


class Table(Sequence[Row]):
    """The rows of an ablation, in the grid's order."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """Take the rows."""
        self.rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Table: ...

    def __getitem__(self, index: int | slice) -> Row | Table:
        """Return a row, or a table of several."""
        return Table(self.rows[index]) if isinstance(index, slice) else self.rows[index]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.rows)

    def __repr__(self) -> str:
        """Return how many cells there are, and how many failed."""
        return f"<Table of {len(self)} cells, {len(self.failed)} failed>"

    @property
    def failed(self) -> tuple[Row, ...]:
        """The cells that failed."""
        return tuple(row for row in self.rows if not row.done)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, the degradation's own figures among them."""
        told = ("sigma", "scale", "missing", "blur", "quality")
        return [
            {
                **{name: value for name, value in dataclasses.asdict(row).items() if name != "degradation"},
                **{name: row.degradation[name] for name in told},
            }
            for row in self.rows
        ]

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a data frame of pandas.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ConfigError("pandas is not installed; use to_dicts(), or pip install pandas.") from error
        return pandas.DataFrame(self.to_dicts())

    def to_csv(self) -> str:
        """Return the table as comma-separated values with a heading."""
        buffer, rows = io.StringIO(), self.to_dicts()
        writer = csv.DictWriter(buffer, rows[0].keys() if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue()

    def to_markdown(self) -> str:
        """Return a table for each condition: images by choices of parts, mean and spread over seeds."""
        return "\n".join(f"## {title}\n\n{markdown(head, body)}" for title, head, body in self._pivoted())

    def to_latex(self) -> str:
        """Return the same for LaTeX, with the rules of booktabs."""
        return "\n".join(latex(head, body, caption=title) for title, head, body in self._pivoted())

    def _pivoted(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Yield a title, a heading and lines for each task and condition."""
        for task, condition in dict.fromkeys((row.task, row.condition) for row in self.rows):
            rows = [row for row in self.rows if (row.task, row.condition) == (task, condition)]
            choices = list(dict.fromkeys(row.parts for row in rows))
            head = ["image", "start", *(parts.label for parts in choices)]
            body = []
            images = list(dict.fromkeys(row.image for row in rows))
            there = {(row.image, row.parts) for row in rows if row.done}
            whole = [image for image in images if all((image, parts) in there for parts in choices)]
            average = "mean" if len(whole) == len(images) else f"mean of {len(whole)}"
            for name, over in [*((image, [image]) for image in images), (average, whole)]:
                own = [row for row in rows if row.done and row.image in over]
                starts = [row.baseline_psnr for row in own if row.baseline_psnr is not None]
                cells = [_cell([row for row in own if row.parts == parts], name in images) for parts in choices]
                body.append([name, f"{mean(starts):.2f}" if starts else "", *(cells if over else [""] * len(cells))])
            yield f"{task}, {condition}: PSNR in dB (oracle)", head, body


def markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, its first column flush left."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines) + "\n"


def latex(head: Sequence[str], body: Iterable[Sequence[str]], *, caption: str) -> str:
    """Return a table in LaTeX, its first column flush left.

    Args:
        head: The heading.
        body: The lines.
        caption: What it shows.
    """
    lines = [" & ".join(_escaped(cell) for cell in cells) + r" \\" for cells in body]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escaped(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(_escaped(cell) for cell in head) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _cell(rows: Sequence[Row], spread: bool) -> str:
    """Return mean and spread, and the oracle's mean in brackets."""
    results = [row.psnr for row in rows if row.psnr is not None]
    oracle = [row.oracle_psnr for row in rows if row.oracle_psnr is not None]
    if not results:
        return "failed"
    text = f"{mean(results):.2f}" + (f" ± {pstdev(results):.2f}" if spread and len(results) > 1 else "")
    return f"{text} ({mean(oracle):.2f})" if oracle else text


def slugged(text: str) -> str:
    """Return words as a part of a file's name: "sigma 25" is "sigma-25"."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _escaped(text: str) -> str:
    for sign in "%&_#":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("±", r"$\pm$")
