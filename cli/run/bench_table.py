"""The tables of a benchmark, updated after every image."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import note

if TYPE_CHECKING:
    from hybridprior.config import RestoreConfig
    from hybridprior.evaluation.bench import Cost, Row
    from hybridprior.evaluation.degradation import Degradation

__all__ = ["Table"]

FIELDS = {
    "denoise": ("sigma",),
    "sr": ("scale", "kernel"),
    "inpaint": ("missing",),
    "deblur": ("sigma", "blur", "boundary"),
    "dejpeg": ("quality",),
    "demosaic": ("bayer",),
}
"""Parameters of a degradation that a table states."""


class Table:
    """The results so far, and their files."""

    def __init__(
        self, folder: Path, suite: str, how: Degradation, device: str, colour: bool, sigma_factor: float, *, drawn: bool
    ) -> None:
        self.folder, self.suite, self.how, self.device, self.colour = folder, suite, how, device, colour
        self.sigma_factor, self.drawn = sigma_factor, drawn
        self.rows: dict[str, list[Row]] = {}
        self.configs: dict[str, RestoreConfig] = {}
        self.costs: dict[str, list[Cost]] = {}

    def add(self, preset: str, config: RestoreConfig, row: Row, peak: float) -> None:
        """Add a row and its peak memory, and write the tables."""
        from hybridprior.evaluation.bench import cost, draw_curves
        from hybridprior.io.files import write_atomically
        from hybridprior.io.records import write_json

        self.rows.setdefault(preset, []).append(row)
        self.configs[preset] = config
        if self.suite == "speed":
            self.costs.setdefault(preset, []).append(cost(config, _shape(row), self.device, peak))
            write_atomically(self.folder / "curves.png", draw_curves(self.rows))
        record = {
            "suite": self.suite,
            "degradation": asdict(self.how) | ({"seed": "that of the row"} if self.drawn else {}),
            "sigma_factor": self.sigma_factor,
            "colour": self.colour,
            "circumstances": self._circumstances(),
            "configs": {name: config.to_dict() for name, config in self.configs.items()},
            "costs": {name: [asdict(cost) for cost in costs] for name, costs in self.costs.items()},
            "rows": [{"preset": name, **asdict(row)} for name, rows in self.rows.items() for row in rows],
        }
        write_json(self.folder / "rows.json", record)
        write_atomically(self.folder / "table.md", self.text().encode())
        best = "" if row.oracle_psnr is None else f", oracle {row.oracle_psnr:.2f}"
        note(f"{row.image} {preset}: {row.psnr:.2f} dB at step {row.chosen_step}{best}")

    def text(self) -> str:
        """Return the tables as Markdown."""
        from hybridprior.evaluation.bench import comparison, gains, markdown, side_by_side

        where = self._circumstances()
        drawn = {"seed": "that of the restoration"} if self.drawn else {}
        notes = [
            f"{name}: {value}" for name, value in {**_plain(self.how, self.sigma_factor), **drawn, **where}.items()
        ]
        tables = [
            markdown(rows, None if self.colour else self.how, title=f"{self.suite}, preset {name}", notes=notes)
            for name, rows in self.rows.items()
        ]
        if len(self.rows) > 2:
            tables.append(side_by_side(self.rows).markdown())
        whole = len({len(rows) for rows in self.rows.values()}) == 1
        if self.suite == "speed" and whole:
            speed = comparison(self.rows, self.costs, next(iter(self.rows)))
            tables.append(f"{speed.markdown()}\n{speed.note}\n")
        if self.suite == "fusion" and whole and "fused" in self.rows:
            tables.append(gains(self.rows))
        return "\n".join(tables)

    def _circumstances(self) -> dict[str, Any]:
        import torch

        import hybridprior
        from hybridprior._internal.device import choose_device, choose_precision

        device = choose_device(self.device)
        python = platform.python_version()
        versions = {"hybridprior": hybridprior.__version__, "torch": torch.__version__, "Python": python}
        requested = {name: config.precision for name, config in self.configs.items()}
        return {
            "precision": {name: str(choose_precision(device, word)) for name, word in requested.items()},
            "device": str(device),
            "threads": torch.get_num_threads(),
            "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        }


def _plain(how: Degradation, sigma_factor: float) -> dict[str, Any]:
    fields = FIELDS[how.task]
    fields += ("sigma",) if how.sigma and "sigma" not in fields else ()
    facts: dict[str, Any] = {name: getattr(how, name) for name in (*fields, "seed")}
    if "sigma" in facts:
        facts["sigma"] = f"{255 * how.sigma:g}/255"
    return facts if sigma_factor == 1 else {**facts, "nominal sigma": f"{sigma_factor:g} times sigma"}


def _shape(row: Row) -> tuple[int, int, int, int]:
    width, height = (int(side) for side in row.size.split("x"))
    return 1, row.channels, height, width
