"""Summaries of tables for a report: means over rows, and tables without their constant columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from hybridprior.evaluation.tables import Cell, Column, Table, finite_number

__all__ = ["averaged", "trimmed"]


def trimmed(table: Table) -> tuple[Table, tuple[tuple[str, str], ...]]:
    """Return a table without its constant columns, and the values of these columns.

    A column of numbers is removed if none is known, a column of text if all are equal. A table of one row is not
    changed.

    Args:
        table: The table.

    Example:
        >>> short, same = trimmed(Table("t", (Column("task"), Column("PSNR", 1)), (("sr", 30.0), ("sr", 31.0))))
        >>> [column.name for column in short.columns], same
        (['PSNR'], (('task', 'sr'),))
    """
    if len(table.rows) < 2:
        return table, ()
    texts = list(zip(*table.texts(), strict=True))
    constant = [
        set(column) == {""} or (table.columns[i].digits is None and len(set(column)) == 1)
        for i, column in enumerate(texts)
    ]
    left_out = [(table.columns[i].name, texts[i][0]) for i, out in enumerate(constant) if out and texts[i][0]]
    used = [i for i, out in enumerate(constant) if not out]
    rows = tuple(tuple(row[i] for i in used) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in used), rows=rows), tuple(left_out)


def averaged(table: Table, by: Sequence[str], of: Sequence[str], *, title: str, note: str = "") -> Table:
    """Return the means of numbers over the rows that agree in some columns, and the number of these rows.

    Args:
        table: The table; cells without a number do not count.
        by: Names of the columns in which the rows agree.
        of: Names of the columns that are averaged.
        title: Title of the new table.
        note: Note of the new table.

    Example:
        >>> table = Table("t", (Column("task"), Column("PSNR", 1)), (("sr", 30.0), ("sr", 31.0)))
        >>> averaged(table, ["task"], ["PSNR"], title="Means").rows
        (('sr', 2.0, 30.5),)
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
    known = [value for row in rows if (value := finite_number(row[index])) is not None]
    return mean(known) if known else None
