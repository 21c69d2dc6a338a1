"""Tables of the contribution of each prior, from the `attribution.json` of an ablation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hybridprior.evaluation.report.runs import group_of
from hybridprior.evaluation.tables import Cell, Column, Table
from hybridprior.evaluation.values import inner, number, word
from hybridprior.io.records import read_json

__all__ = ["attribution_tables"]

FILE = "attribution.json"

VALUES = {"nothing": "neither", "local": "local", "global": "global", "together": "both"}
"""Values v(S), and their names in the table."""

PARTS = {"shapley_local": "from local", "shapley_global": "from global", "interaction": "interaction"}
"""Shapley values and interaction, and their names in the table."""

NOTE = (
    "Shapley values: the gain of each prior, averaged over both orders. They add up to the gain of both priors over "
    "neither. The interaction is negative if the priors are redundant. ± seeds is the standard deviation over seeds."
)

NOTE_MEANS = "Means over images, with 95 % bootstrap confidence intervals over images."


def attribution_tables(folder: Path, missing: list[str]) -> Iterator[Table]:
    """Yield the means over images and the figures of each image, a table for each step and metric.

    The first table, usually PSNR at the chosen step, is shown before the images, the others after them.

    Args:
        folder: Folder of the ablation.
        missing: A sentence is appended if the file exists and cannot be used.
    """
    if not (folder / FILE).is_file():
        return
    record = read_json(folder / FILE) or {}
    lists = {key: record[key] for key in ("means", "rows") if isinstance(record.get(key), list)}
    if not lists:
        missing.append(f"{FILE} cannot be read.")
    last = False
    for key, some in lists.items():
        rows = [row for row in some if isinstance(row, dict)]
        for kind in dict.fromkeys(map(_kind, rows)):
            yield _table(kind, [row for row in rows if _kind(row) == kind], means=key == "means", last=last)
            last = True


def _kind(row: Mapping[str, Any]) -> tuple[str, str]:
    return word(row.get("step")), word(row.get("metric"))


def _table(kind: tuple[str, str], rows: list[dict[str, Any]], *, means: bool, last: bool) -> Table:
    """Return the table of one step and metric."""
    step, metric = kind
    where = "at the oracle’s step" if step == "oracle" else "step chosen without ground truth"
    digits, name = (3, "SSIM") if metric == "ssim" else (2, "PSNR in dB")
    columns = [*([] if means else [Column("image")]), Column("degradation"), Column("parts")]
    columns += [Column(value, digits, best="row") for value in VALUES.values()]
    columns += [Column(part, digits, signed=True) for part in PARTS.values()]
    columns.append(Column("± seeds", digits))
    columns += [Column(f"95 % interval {part}") for part in PARTS.values()] if means else []
    return Table(
        title=f"Contribution of each prior{'' if means else ' for each image'}: {name}, {where}",
        columns=tuple(columns),
        rows=tuple(tuple(_cells(row, digits, means)) for row in rows),
        note=f"{NOTE} {NOTE_MEANS}" if means else NOTE,
        last=last,
    )


def _cells(row: Mapping[str, Any], digits: int, means: bool) -> list[Cell]:
    cells: list[Cell] = [] if means else [word(row.get("image"))]
    cells.append(group_of(row.get("task"), row.get("condition")))
    cells.append(", ".join(part for key in ("generator", "both") if (part := word(row.get(key)))))
    cells += [number(row.get(key)) for key in (*VALUES, *PARTS, "seed_spread")]
    return [*cells, *(_bounds(row, key, digits) for key in PARTS)] if means else cells


def _bounds(row: Mapping[str, Any], key: str, digits: int) -> str:
    least, most = (number(inner(row, side).get(key)) for side in ("low", "high"))
    words = "" if least is None or most is None else f"{least:+.{digits}f} … {most:+.{digits}f}"
    return words.replace("-", "−")
