"""Tables of results, written as Markdown, CSV or LaTeX.

The benchmarks, the ablations and the reports build a `Table` and write it with the functions of this module.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, pstdev
from typing import Any, Literal

__all__ = ["Cell", "Column", "Estimate", "Table", "csv_text", "document", "finite_number"]

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "λ": r"$\lambda$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": r"$-$",
    "’": "'",
    "…": r"\ldots{}",
}


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard deviation, its bounds or the oracle's value.

    Example:
        >>> Estimate.of([30.0, 31.0], oracle=[31.0, 32.0])
        Estimate(value=30.5, std=0.5, oracle=31.5, bounds=None)
    """

    value: float
    """The mean."""
    std: float | None = None
    """Standard deviation, written after "±"."""
    oracle: float | None = None
    """Mean at the oracle's steps, written in parentheses."""
    bounds: tuple[float, float] | None = None
    """Lower and upper bound, written in brackets."""

    @classmethod
    def of(cls, values: Sequence[float], *, oracle: Sequence[float] = (), std: bool = True) -> Estimate | None:
        """Return the mean and the standard deviation of values; None if there are none.

        Args:
            values: The values.
            oracle: The values at the oracle's steps.
            std: Whether the standard deviation is reported. It is left out for a single value.
        """
        if not values:
            return None
        return cls(mean(values), pstdev(values) if std and len(values) > 1 else None, mean(oracle) if oracle else None)


Cell = str | float | Estimate | None
"""Text, a number, a mean with its spread, or nothing (unknown)."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """The heading."""
    digits: int | None = None
    """Digits after the decimal point; None for text."""
    unit: str = ""
    """Unit of the numbers."""
    signed: bool = False
    """Whether positive numbers are written with a plus sign."""
    best: Literal["", "row", "column"] = ""
    """Where the largest number is printed in bold in LaTeX: among the "row" columns of its row, or in its column."""

    @property
    def heading(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    r"""Rows of text and numbers under named columns.

    Example:
        >>> table = Table("PSNR", (Column("image"), Column("DIP", 2, best="row"), Column("ours", 2, best="row")),
        ...               (("house", 30.0, 31.5),))
        >>> print(table.markdown(), end="")
        | image | DIP | ours |
        | --- | ---: | ---: |
        | house | 30.00 | 31.50 |
        >>> "house & 30.00 & \\textbf{31.50}" in table.latex()
        True
    """

    title: str
    """Title, and caption in LaTeX."""
    columns: tuple[Column, ...]
    """The columns."""
    rows: tuple[tuple[Cell, ...], ...]
    """The rows, with one cell for each column."""
    note: str = ""
    """A sentence under the table: how the figures were computed."""
    last: bool = False
    """Whether a report shows the table after the images."""
    summary: int = 0
    """Number of rows at the end that summarise the others. Their names are bold."""

    def text(self, cell: Cell, column: Column) -> str:
        """Return a cell as text. Unknown values are empty; the minus sign is U+2212."""
        if isinstance(cell, str):
            return cell
        if cell is None or column.digits is None:
            return "" if cell is None else str(cell)
        estimate = cell if isinstance(cell, Estimate) else Estimate(cell)
        if not math.isfinite(estimate.value):
            return ""
        digits, form = column.digits, f"{'+' if column.signed else ''}.{column.digits}f"
        words = [f"{estimate.value:{form}}"]
        words += [] if estimate.std is None else [f"± {estimate.std:.{digits}f}"]
        words += [] if estimate.oracle is None else [f"({estimate.oracle:{form}})"]
        words += [] if estimate.bounds is None else ["[" + ", ".join(f"{end:{form}}" for end in estimate.bounds) + "]"]
        return " ".join(words).replace("-", "−")

    def texts(self) -> list[list[str]]:
        """Return all cells as text."""
        return [[self.text(cell, column) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows]

    def markdown(self) -> str:
        """Return the table in Markdown, without title and note."""
        marks = ["---" if column.digits is None else "---:" for column in self.columns]
        lines = [[_markdown(column.heading) for column in self.columns], marks]
        for row, texts in zip(self.rows, self.texts(), strict=True):
            words = [_markdown(text) if isinstance(cell, str) else text for cell, text in zip(row, texts, strict=True)]
            lines.append([f"**{words[0]}**", *words[1:]] if len(lines) - 2 >= self._plain else words)
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def latex(self, label: str = "") -> str:
        """Return the table in LaTeX, with caption and label; it needs the package booktabs.

        Args:
            label: The label after "tab:"; made of the title if not given.
        """
        places = "".join("l" if column.digits is None else "r" for column in self.columns)
        heading = " & ".join(_latex(column.heading) for column in self.columns)
        body, best = "", self._best()
        for number, texts in enumerate(self.texts()):
            body += "  \\midrule\n" if number == self._plain > 0 else ""
            words = [rf"\textbf{{{_latex(t)}}}" if (number, i) in best else _latex(t) for i, t in enumerate(texts)]
            body += f"  {' & '.join(words)} \\\\\n"
        return (
            "\\begin{table}\n"
            f"\\caption{{{_latex(self.title)}}}\n\\label{{tab:{label or _slug(self.title)}}}\n"
            f"\\begin{{tabular}}{{{places}}}\n  \\toprule\n  {heading} \\\\\n  \\midrule\n{body}  \\bottomrule\n"
            "\\end{tabular}\n\\end{table}\n"
        )

    def csv(self) -> str:
        """Return the table as comma-separated values; of an estimate, the mean."""
        names = [column.heading for column in self.columns]
        return csv_text([dict(zip(names, map(_plain_value, row), strict=True)) for row in self.rows])

    @property
    def _plain(self) -> int:
        """Number of rows before the summary."""
        return len(self.rows) - self.summary

    def _best(self) -> set[tuple[int, int]]:
        """Return row and column of the cells that are bold: the largest, where at least two are compared."""
        found: set[tuple[int, int]] = set()
        across = [i for i, column in enumerate(self.columns) if column.best == "row"]
        groups = [[(number, i) for i in across] for number in range(len(self.rows))]
        down = [i for i, column in enumerate(self.columns) if column.best == "column"]
        groups += [[(number, i) for number in range(self._plain)] for i in down]
        for group in groups:
            texts = {(n, i): (finite_number(self.rows[n][i]), self.columns[i].digits or 0) for n, i in group}
            known = {place: round(value, digits) for place, (value, digits) in texts.items() if value is not None}
            top = max(known.values(), default=0.0)
            found |= {place for place, value in known.items() if value == top} if len(known) > 1 else set()
        return found


def document(tables: Iterable[Table]) -> str:
    """Return tables in Markdown, each under a heading of the second level and with its note.

    Args:
        tables: The tables.

    Example:
        >>> print(document([Table("Gain", (Column("image"), Column("gain", 1)), (("house", 0.5),), note="In dB.")]))
        ## Gain
        <BLANKLINE>
        | image | gain |
        | --- | ---: |
        | house | 0.5 |
        <BLANKLINE>
        In dB.
        <BLANKLINE>
    """
    parts = [[f"## {one.title}\n", one.markdown(), *([f"{one.note}\n"] if one.note else [])] for one in tables]
    return "\n".join("\n".join(part) for part in parts)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Return rows as comma-separated values; the heading is made of the names of the first row.

    Args:
        rows: The rows, all with the same names.

    Example:
        >>> csv_text([{"image": "house", "psnr": 30.5}])
        'image,psnr\nhouse,30.5\n'
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def finite_number(cell: Cell) -> float | None:
    """Return the number in a cell, of an estimate the mean; None for text and for what is not finite."""
    value = cell.value if isinstance(cell, Estimate) else cell
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _plain_value(cell: Cell) -> str | float | None:
    return cell.value if isinstance(cell, Estimate) else cell


def _markdown(text: str) -> str:
    return re.sub(r"([\\|`*_\[\]<>])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
