"""`hprior bench`: published figures beside ours, each with the result that no ground truth helped and the oracle."""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridprior.errors import ConfigError, HybridPriorError

from .console import note, progress, say
from .files import prepare
from .options import (
    DEFAULT_KERNEL,
    DEFAULT_PRESET,
    DEFAULT_SCALE,
    DTYPES,
    Denoiser,
    DenoiserSigma,
    Device,
    Kernel,
    Preset,
    Reg,
    Scale,
    SolverName,
    Threads,
    Weight,
    check_denoiser_sigma,
    check_kernel,
    check_name,
    check_scale,
    check_sigma,
    check_weight,
    set_threads,
)

if TYPE_CHECKING:
    from hybridprior.bench.suites import Row
    from hybridprior.config import RestoreConfig
    from hybridprior.degradation import Degradation

__all__ = ["bench"]

SUITE_NAMES = ("denoise", "sr", "inpaint", "speed")
SIGMA = {"denoise": 25.0, "sr": 0.0, "inpaint": 0.0, "speed": 25.0}


def bench(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=", ".join(SUITE_NAMES))],
    data: Annotated[Path, typer.Option(help="Folder with the clean pictures of the set.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; bench-SUITE if not given.")] = None,
    preset: Preset = DEFAULT_PRESET,
    pictures: Annotated[str, typer.Option(help="Short names to keep, with commas: house,lena; all if empty.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds of the restoration, with commas.")] = "0",
    sigma: Annotated[float | None, typer.Option(help="Noise in units of 0-255; 25 for denoise, else 0.")] = None,
    scale: Scale = DEFAULT_SCALE,
    kernel: Kernel = DEFAULT_KERNEL,
    missing: Annotated[float, typer.Option(help="inpaint: share of the pixels that go missing.")] = 0.5,
    data_seed: Annotated[int, typer.Option(min=0, help="Seed of the noise and of the missing pixels.")] = 0,
    crop: Annotated[int | None, typer.Option(min=32, help="Side of a centre crop, to save time.")] = None,
    generator: Annotated[str | None, typer.Option(help="f_theta, if not the preset's.")] = None,
    reg: Reg = None,
    weight: Weight = None,
    denoiser: Denoiser = None,
    denoiser_sigma: DenoiserSigma = None,
    solver: SolverName = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Such as 0.1,1,10: the priors apart and together, by f_theta alone, by R alone (--reg, on "
            "pixels), and by both at each of these weights."
        ),
    ] = "",
    colour: Annotated[bool, typer.Option("--colour", help="inpaint: keep colours, not grey as published.")] = False,
    stop: Annotated[str | None, typer.Option(help="Stopping rule, if not the preset's.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="The most steps, if not the preset's.")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, fp32 or bf16, if not the preset's.")] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure a suite: JSON and Markdown tables, written anew after each picture.

    SUITE speed runs the paper's preset and the chosen one in turn on each picture, as denoising.
    """
    check_name("suite", suite, SUITE_NAMES)
    check_kernel(kernel)
    factor, level = check_scale(scale), check_sigma(SIGMA[suite] if sigma is None else sigma) or 0.0
    numbers = _seeds(seeds)
    set_threads(threads)

    from hybridprior.bench import find_pictures
    from hybridprior.choice import configure
    from hybridprior.degradation import Degradation
    from hybridprior.presets import preset as find_preset
    from hybridprior.regularisers import build_regulariser

    task = "denoise" if suite == "speed" else suite
    how = Degradation(task=task, sigma=level, scale=factor, kernel=kernel, missing=missing, seed=data_seed)
    found = find_pictures(data, [name for name in pictures.split(",") if name])
    folder = output or Path(f"bench-{suite}")
    prepare(folder / "rows.json", 1)
    plain = functools.partial(
        configure, stop=stop, steps=steps, dtype=None if dtype is None else DTYPES[check_name("dtype", dtype, DTYPES)]
    )
    asked: dict[str, Any] = {
        "regulariser": reg,
        "denoiser": denoiser,
        "denoiser_sigma": check_denoiser_sigma(denoiser_sigma),
    }
    both = functools.partial(plain, generator=generator, solver=solver, **asked)
    base = find_preset(preset, task)
    runs: dict[str, RestoreConfig] = {}
    for name in ("paper", preset) if suite == "speed" else (preset,):
        runs[name] = both(find_preset(name, task), weight=check_weight(weight))
    if weights:
        if reg is None or weight is not None:
            raise ConfigError("--weights goes with --reg, and takes the place of --weight.")
        alone = configure(base, generator="pixels", **asked)
        if alone.method != "splitting":
            alone = plain(base, generator="pixels", **asked)
        runs = {"local": plain(base, generator=generator), "global": alone}
        runs |= {f"both, {w:g}": both(base, weight=w) for w in _numbers(weights, "--weights")}
    for config in runs.values():
        build_regulariser(config.regulariser.name, config.regulariser.options, config.weights)
    table = _Table(folder, suite, how, device, colour)
    failed = 0
    for picture in found:
        try:
            for name, config in runs.items():
                for row in _rows(task, picture, how, config, numbers, crop, device, colour):
                    table.add(name, config, row)
        except HybridPriorError as error:
            note(str(error))
            failed += 1
    say(table.text())
    raise typer.Exit(1 if failed else 0)


def _rows(
    task: str,
    picture: tuple[str, Path],
    how: Degradation,
    config: RestoreConfig,
    seeds: Sequence[int],
    crop: int | None,
    device: str,
    colour: bool,
) -> Any:
    from hybridprior.bench import run_suite

    for seed in seeds:
        with progress(f"{picture[0]} seed {seed}", config.solver.steps, shown=True) as callbacks:
            yield from run_suite(
                task, [picture], how, config, seeds=[seed], crop=crop, colour=colour, device=device, callbacks=callbacks
            )


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{option} are numbers with commas, such as 0.1,1,10, not '{text}'.") from error


def _seeds(text: str) -> list[int]:
    if not all(part.strip().isdigit() for part in text.split(",")):
        raise ConfigError(f"--seeds are whole numbers with commas, such as 0,1,2, not '{text}'.")
    return [int(part) for part in text.split(",")]


class _Table:
    """What was measured so far, and its files."""

    def __init__(self, folder: Path, suite: str, how: Degradation, device: str, colour: bool) -> None:
        self.folder, self.suite, self.how, self.device, self.colour = folder, suite, how, device, colour
        self.rows: dict[str, list[Row]] = {}
        self.configs: dict[str, RestoreConfig] = {}

    def add(self, preset: str, config: RestoreConfig, row: Row) -> None:
        """Keep a row and write the tables."""
        from hybridprior.imageio import write_atomically

        self.rows.setdefault(preset, []).append(row)
        self.configs[preset] = config
        record = {
            "suite": self.suite,
            "degradation": asdict(self.how),
            "colour": self.colour,
            "circumstances": self._circumstances(),
            "configs": {name: config.to_dict() for name, config in self.configs.items()},
            "rows": [{"preset": name, **asdict(row)} for name, rows in self.rows.items() for row in rows],
        }
        write_atomically(self.folder / "rows.json", (json.dumps(record, indent=1) + "\n").encode())
        write_atomically(self.folder / "table.md", self.text().encode())
        note(f"{row.picture} {preset}: {row.psnr:.2f} dB at step {row.chosen_step}, oracle {row.oracle_psnr:.2f}")

    def text(self) -> str:
        """Return the Markdown."""
        from hybridprior.bench import comparison, markdown, side_by_side

        where = self._circumstances()
        notes = [f"{name}: {value}" for name, value in {**_plain(self.how), **where}.items()]
        tables = [
            markdown(rows, None if self.colour else self.how, title=f"{self.suite}, preset {name}", notes=notes)
            for name, rows in self.rows.items()
        ]
        if len(self.rows) > 2:
            tables.append(side_by_side(self.rows))
        if self.suite == "speed" and len({len(rows) for rows in self.rows.values()}) == 1:
            tables.append(comparison(self.rows, next(iter(self.rows))))
        return "\n".join(tables)

    def _circumstances(self) -> dict[str, Any]:
        import torch

        import hybridprior
        from hybridprior.device import choose_device, choose_precision

        device = choose_device(self.device)
        python = platform.python_version()
        versions = {"hybridprior": hybridprior.__version__, "torch": torch.__version__, "Python": python}
        wanted = {name: config.precision for name, config in self.configs.items()}
        return {
            "precision": {name: str(choose_precision(device, word)) for name, word in wanted.items()},
            "device": str(device),
            "threads": torch.get_num_threads(),
            "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        }


def _plain(how: Degradation) -> dict[str, Any]:
    fields = {"denoise": ("sigma",), "sr": ("scale", "kernel"), "inpaint": ("missing",)}[how.task]
    facts = {name: getattr(how, name) for name in (*fields, "seed")}
    if "sigma" in facts:
        facts["sigma"] = f"{255 * how.sigma:g}/255"
    return facts
