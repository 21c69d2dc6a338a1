"""The contributions of the priors that `attribute()` returns, and their tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hybridprior.evaluation.tables import Cell, Column, Estimate, Table, document

__all__ = ["PARTS", "VALUES", "Attribution", "Share"]

VALUES = ("nothing", "local", "global_", "together")

PARTS = ("shapley_local", "shapley_global", "interaction")


@dataclass(frozen=True)
class Share:
    """The contribution of the priors to an image, or their mean over images, under one condition."""

    image: str
    """Name of the image, or "mean"."""
    task: str
    condition: str
    level: float
    """sr: scale; inpaint: missing pixels in percent; dejpeg: quality; else sigma in units of 0-255."""
    noise: float
    """sigma in units of 0-255."""
    generator: str
    """f_theta of v({local}) and v({local, global})."""
    both: str
    """The regulariser of v({local, global}) with its weight, or "auto"."""
    step: str
    """"chosen" without ground truth, or the "oracle" step."""
    metric: str
    """"psnr" in dB, or "ssim"."""
    nothing: float
    """v({}). This and the following values are means over seeds."""
    local: float
    """v({local})."""
    global_: float
    """v({global})."""
    together: float
    """v({local, global})."""
    shapley_local: float
    """phi_local."""
    shapley_global: float
    """phi_global."""
    interaction: float
    """I."""
    seed_spread: float | None
    """Largest standard deviation of the three over seeds; None for a single seed. For a mean, the mean of these."""
    images: int = 1
    """Number of images."""
    low: Mapping[str, float] = field(default_factory=dict)
    """Lower ends of the 95 % confidence intervals over images, by field; empty for a single image."""
    high: Mapping[str, float] = field(default_factory=dict)
    """Upper ends of the confidence intervals."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name; `global_` becomes "global"."""
        plain = dataclasses.asdict(self)
        plain = {
            name: _without_underscores(value) if isinstance(value, dict) else value for name, value in plain.items()
        }
        return _without_underscores(plain)


@dataclass(frozen=True)
class Attribution:
    """The contributions of the priors: for each image, and the means over images."""

    rows: tuple[Share, ...]
    """One for each image, condition, combination, step and metric."""
    means: tuple[Share, ...]
    """Means over images."""

    def to_dict(self) -> dict[str, Any]:
        """Return rows and means as plain values."""
        return {"rows": [row.to_dict() for row in self.rows], "means": [row.to_dict() for row in self.means]}

    def to_markdown(self) -> str:
        """Return the tables in Markdown: the means, and the PSNR of each image at the chosen step."""
        text = document(self.tables())
        return text or "No image has all four results: pixels and a network, each with and without R.\n"

    def to_latex(self) -> str:
        """Return the same tables in LaTeX; they need the package booktabs."""
        return "\n".join(table.latex(f"attribution-{number}") for number, table in enumerate(self.tables(), 1))

    def tables(self) -> Iterator[Table]:
        """Yield a table of the means for each step and metric, and the PSNR of each image at the chosen step."""
        where = (Column("condition"), Column("parts"))
        for step, metric in dict.fromkeys((row.step, row.metric) for row in self.means):
            lines = [row for row in self.means if (row.step, row.metric) == (step, metric)]
            title = f"Mean {'PSNR in dB' if metric == 'psnr' else 'SSIM'}, {_step_text(step)}"
            body = [(*_where(row), *_figures(row), float(row.images)) for row in lines]
            yield Table(title, (*where, *_columns(metric), Column("images", 0)), tuple(body))
        single = [row for row in self.rows if (row.step, row.metric) == ("chosen", "psnr")]
        if single:
            rows = tuple((row.image, *_where(row), *_figures(row)) for row in single)
            title = "Each image, PSNR in dB, chosen without ground truth"
            yield Table(title, (Column("image"), *where, *_columns("psnr")), rows)


def _without_underscores(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in values.items()}


def _step_text(step: str) -> str:
    return "chosen without ground truth" if step == "chosen" else "at the oracle's step"


def _columns(metric: str) -> tuple[Column, ...]:
    digits = 2 if metric == "psnr" else 3
    values = (Column(name, digits, best="row") for name in ("neither", "local", "global", "both"))
    parts = (Column(name, digits, signed=True) for name in ("from local", "from global", "interaction"))
    return (*values, *parts, Column("seeds", digits))


def _where(row: Share) -> list[str]:
    return [f"{row.task}, {row.condition}", f"{row.generator}, {row.both}"]


def _figures(row: Share) -> list[Cell]:
    parts = [Estimate(getattr(row, name), bounds=_bounds(row, name)) for name in PARTS]
    return [*(getattr(row, name) for name in VALUES), *parts, row.seed_spread]


def _bounds(row: Share, name: str) -> tuple[float, float] | None:
    return (row.low[name], row.high[name]) if row.low else None
