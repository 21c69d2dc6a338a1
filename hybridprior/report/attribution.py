"""Tables of what each prior brought, from an ablation's `attribution.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hybridprior.report.records import group_of, inner, number, read_record, word
from hybridprior.report.table import Cell, Column, Table

__all__ = ["attribution_tables"]

FILE = "attribution.json"

VALUES = {"nothing": "neither", "local": "local", "global": "global", "together": "both"}
"""Values of the game, and what they are called."""

PARTS = {"shapley_local": "from local", "shapley_global": "from global", "interaction": "interaction"}
"""What they are parted into; a mean has bounds."""

NOTE = (
    "Shapley values: each prior’s gain over neither, averaged over both orders; they add up to what both reach. Below "
    "zero, the interaction says that the priors know the same. Bounds are 95 % over pictures."
)


def attribution_tables(folder: Path, missing: list[str]) -> Iterator[Table]:
    """Yield a table for each judge and metric: the means over pictures, then each picture.

    Args:
        folder: The ablation's.
        missing: A sentence is added where the file is there and cannot be used.
    """
    if not (folder / FILE).is_file():
        return
    record = read_record(folder / FILE) or {}
    lists = [record[key] for key in ("means", "rows") if isinstance(record.get(key), list)]
    rows = [row for some in lists for row in some if isinstance(row, dict)]
    if not rows:
        missing.append(f"{FILE} is empty or cannot be read.")
    for kind in dict.fromkeys(map(_kind, rows)):
        yield _table(kind, [row for row in rows if _kind(row) == kind])


def _kind(row: Mapping[str, Any]) -> tuple[str, str]:
    return word(row.get("judge")), word(row.get("metric"))


def _table(kind: tuple[str, str], rows: list[dict[str, Any]]) -> Table:
    """Return the table of one judge and metric."""
    judge, metric = kind
    step = "at the oracle’s step" if judge == "oracle" else "step chosen without ground truth"
    digits, unit = (4, "") if metric == "ssim" else (2, "dB")
    columns = [Column("picture"), Column("degradation"), Column("parts")]
    columns += [Column(name, digits, unit) for name in VALUES.values()]
    columns += [Column(name, digits, unit, signed=True) for name in PARTS.values()]
    columns.append(Column("spread over seeds", digits, unit))
    columns += [Column(f"bounds, {name}") for name in PARTS.values()]
    return Table(
        title=f"What each prior brought: {metric.upper()}, {step}",
        columns=tuple(columns),
        rows=tuple(tuple(_cells(row, digits)) for row in rows),
        note=NOTE,
    )


def _cells(row: Mapping[str, Any], digits: int) -> list[Cell]:
    low, high = inner(row, "low"), inner(row, "high")
    cells: list[Cell] = [word(row.get("picture")) or "mean", group_of(row.get("task"), row.get("condition"))]
    cells.append(", ".join(part for key in ("generator", "both") if (part := word(row.get(key)))))
    cells += [number(row.get(key)) for key in VALUES]
    cells += [number(row.get(key)) for key in PARTS]
    cells.append(number(row.get("seed_spread")))
    for key in PARTS:
        least, most = number(low.get(key)), number(high.get(key))
        words = "" if least is None or most is None else f"{least:+.{digits}f} … {most:+.{digits}f}"
        cells.append(words.replace("-", "−"))
    return cells
