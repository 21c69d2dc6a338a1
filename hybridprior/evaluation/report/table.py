"""Tables for people, for Markdown and for LaTeX, from the same frozen data."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

__all__ = ["Cell", "Column", "Table", "averaged", "trimmed"]

Cell = str | float | None
"""Words, a number, or nothing known."""

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
}


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    """The heading."""
    digits: int | None = None
    """Digits after the point; None for words."""
    unit: str = ""
    """Unit of the numbers."""
    signed: bool = False
    """Whether numbers show their plus."""

    @property
    def heading(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers under named columns."""

    title: str
    """What it holds."""
    columns: tuple[Column, ...]
    """The columns."""
    rows: tuple[tuple[Cell, ...], ...]
    """As many cells each as there are columns."""
    note: str = ""
    """A sentence under it: how the figures were made."""
    last: bool = False
    """Whether it comes after the images, as long ones do."""

    def text(self, cell: Cell, column: Column) -> str:
        """Return a cell in words; nothing known is empty."""
        if not isinstance(cell, int | float) or column.digits is None:
            return "" if cell is None else str(cell)
        if not math.isfinite(cell):
            return ""
        return f"{cell:{'+' if column.signed else ''}.{column.digits}f}".replace("-", "−")

    def markdown(self) -> str:
        """Return the table in Markdown."""
        marks = ["---" if column.digits is None else "---:" for column in self.columns]
        lines = [[_markdown(column.heading) for column in self.columns], marks]
        lines += [[_markdown(text) for text in row] for row in self._texts()]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        places = "".join("l" if column.digits is None else "r" for column in self.columns)
        heading = " & ".join(_latex(column.heading) for column in self.columns)
        body = "".join(f"  {' & '.join(_latex(text) for text in row)} \\\\\n" for row in self._texts())
        head = f"\\begin{{tabular}}{{{places}}}\n  \\toprule\n  {heading} \\\\\n  \\midrule\n"
        return f"{head}{body}  \\bottomrule\n\\end{{tabular}}\n"

    def _texts(self) -> list[list[str]]:
        return [[self.text(cell, column) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows]


def trimmed(table: Table) -> tuple[Table, tuple[tuple[str, str], ...]]:
    """Return a table of several rows without what does not differ, and what that is.

    Columns of numbers go where none is known, columns of words where all are the same.

    Args:
        table: The table.
    """
    if len(table.rows) < 2:
        return table, ()
    texts = list(zip(*table._texts(), strict=True))
    plain = [
        set(column) == {""} or (table.columns[i].digits is None and len(set(column)) == 1)
        for i, column in enumerate(texts)
    ]
    left_out = [(table.columns[i].name, texts[i][0]) for i, out in enumerate(plain) if out and texts[i][0]]
    kept = [i for i, out in enumerate(plain) if not out]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows), tuple(left_out)


def averaged(table: Table, by: Sequence[str], of: Sequence[str], *, title: str, note: str = "") -> Table:
    """Return a table with the mean of numbers over all rows that agree in some columns, and how many these are.

    Args:
        table: What is averaged; cells without a number do not count.
        by: Columns that rows agree in.
        of: Columns whose numbers are averaged.
        title: Of the new table.
        note: Likewise.
    """
    place = {column.name: index for index, column in enumerate(table.columns)}
    groups: dict[tuple[Cell, ...], list[tuple[Cell, ...]]] = {}
    for row in table.rows:
        groups.setdefault(tuple(row[place[name]] for name in by), []).append(row)
    rows = [(*key, float(len(group)), *(_mean(group, place[name]) for name in of)) for key, group in groups.items()]
    columns = [
        *(table.columns[place[name]] for name in by),
        Column("n", 0),
        *(table.columns[place[name]] for name in of),
    ]
    return Table(title, tuple(columns), tuple(rows), note)


def _mean(rows: Sequence[tuple[Cell, ...]], index: int) -> float | None:
    known = [value for row in rows if isinstance(value := row[index], int | float) and math.isfinite(value)]
    return mean(known) if known else None


def _markdown(text: str) -> str:
    plain = " ".join(text.split())
    return re.sub(r"([\\|`*_\[\]<>])", r"\\\1", plain)


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in " ".join(text.split()))
