"""`hprior bench`: published figures beside ours, each with the result that no ground truth helped and the oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridprior.errors import ConfigError, HybridPriorError
from hybridprior.presets import PRESETS, TASKS

from ..console import note, progress, say
from ..files import prepare
from ..options import (
    BOUNDARIES,
    DEFAULT_KERNEL,
    DEFAULT_PRESET,
    DEFAULT_SCALE,
    DEGRADATION_SIGMA,
    DTYPES,
    TASK_NAMES,
    Bayer,
    Blur,
    Boundary,
    Denoiser,
    DenoiserSigma,
    Device,
    Kernel,
    Quality,
    Reg,
    Scale,
    SolverName,
    Threads,
    Weight,
    check_belongs,
    check_denoiser_sigma,
    check_kernel,
    check_name,
    check_scale,
    check_sigma,
    check_task,
    check_weight,
    set_threads,
)
from ..run.bench_table import Table
from ..run.comparisons import Asked, runs_of

if TYPE_CHECKING:
    from hybridprior.config import RestoreConfig
    from hybridprior.evaluation.bench.suites import Row
    from hybridprior.evaluation.degradation import Degradation

__all__ = ["bench"]

SUITE_NAMES = (*TASKS, "speed", "fusion")
LED = ("speed", "fusion")
"""Suites that race several configurations on a task that is named apart."""

QUICK_CROP = 96

FUSION_SEEDS = "0,1,2"


def bench(
    context: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=", ".join(SUITE_NAMES))],
    data: Annotated[Path, typer.Option(help="Folder with the clean images of the set.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; bench-SUITE if not given.")] = None,
    preset: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(PRESETS)}; speed: several with commas, each with its R: balanced,fast,fast+auto."
        ),
    ] = DEFAULT_PRESET,
    images: Annotated[str, typer.Option(help="Short names to keep, with commas: house,lena; all if empty.")] = "",
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of the restoration, with commas; 0, for fusion 0,1,2.")
    ] = None,
    sigma: Annotated[float | None, typer.Option(help="Noise in 0-255 units; denoise 25, deblur 2.55, else 0.")] = None,
    scale: Scale = DEFAULT_SCALE,
    kernel: Kernel = DEFAULT_KERNEL,
    missing: Annotated[float, typer.Option(help="inpaint: share of the pixels that go missing.")] = 0.5,
    blur: Blur = None,
    boundary: Boundary = "circular",
    quality: Quality = 20,
    bayer: Bayer = "RGGB",
    data_seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the noise and of the missing pixels; 0, for fusion the restoration's."),
    ] = None,
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
    task: Annotated[str, typer.Option(help=f"speed, fusion: {TASK_NAMES}.")] = "denoise",
    quick: Annotated[
        bool,
        typer.Option("--quick", help=f"speed: one image, {QUICK_CROP} x {QUICK_CROP}."),
    ] = False,
    told: Annotated[
        float, typer.Option(help="What the restoration is told of sigma, as a multiple of the truth.")
    ] = 1.0,
    stop: Annotated[str | None, typer.Option(help="Stopping rule, if not the preset's.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="The most steps, if not the preset's.")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, fp32 or bf16, if not the preset's.")] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure a suite: JSON and Markdown tables, written anew after each image.

    SUITE speed runs the paper's preset as it was published and the chosen ones in turn on each image. SUITE fusion
    runs each prior alone, both at each of --weights (1 if not given), and both as evidence weighs them, each with three
    seeds of the restoration, the noise and the missing pixels.
    """
    check_kernel(kernel)
    task = _task_of(context, suite, task)
    factor, level = check_scale(scale), check_sigma(DEGRADATION_SIGMA.get(task, 0.0) if sigma is None else sigma) or 0.0
    numbers = _seeds(seeds or (FUSION_SEEDS if suite == "fusion" else "0"))
    set_threads(threads)

    from hybridprior._internal.device import choose_device
    from hybridprior.evaluation.bench import find_images, measured_peak
    from hybridprior.evaluation.degradation import Degradation

    how = Degradation(
        task=task,
        sigma=level,
        scale=factor,
        kernel=kernel,
        missing=missing,
        blur=blur or Degradation.blur,
        boundary=check_name("boundary", boundary, BOUNDARIES),
        quality=quality,
        bayer=bayer,
        seed=data_seed or 0,
    )
    found = find_images(data, [name for name in images.split(",") if name])[: 1 if quick else None]
    crop = crop or (QUICK_CROP if quick else None)
    folder = output or Path(f"bench-{suite}")
    prepare(folder / "rows.json", 1)
    asked = Asked(
        preset=preset,
        generator=generator,
        reg=reg,
        weight=check_weight(weight),
        weights=weights,
        denoiser=denoiser,
        denoiser_sigma=check_denoiser_sigma(denoiser_sigma),
        solver=solver,
        stop=stop,
        steps=steps,
        dtype=None if dtype is None else DTYPES[check_name("dtype", dtype, DTYPES)],
        quick=quick,
    )
    runs = runs_of(suite, task, asked)
    own = suite == "fusion" and data_seed is None
    table = Table(folder, suite, how, device, colour, told, drawn=own)
    failed = 0
    for image in found:
        try:
            for name, config in runs.items():
                for seed in numbers:
                    drawn = replace(how, seed=seed) if own else how
                    with measured_peak(choose_device(device)) as peak:
                        row = _row(task, image, drawn, replace(config, seed=seed), crop, device, colour, told)
                    table.add(name, config, row, peak[0])
        except HybridPriorError as error:
            note(str(error) if str(image[1]) in str(error) else f"'{image[1]}': {error}")
            failed += 1
    say(table.text())
    raise typer.Exit(1 if failed else 0)


def _task_of(context: typer.Context, suite: str, task: str) -> str:
    """Return the task that a suite measures, or raise `ConfigError` where an option belongs to another."""
    check_name("suite", suite, SUITE_NAMES)
    task = check_task(task) if suite in LED else suite
    check_belongs(context, task, "--task" if suite in LED else "suite")
    return task


def _row(
    task: str,
    image: tuple[str, Path],
    how: Degradation,
    config: RestoreConfig,
    crop: int | None,
    device: str,
    colour: bool,
    told: float,
) -> Row:
    from hybridprior.evaluation.bench import run_suite

    seeds = [config.seed]
    with progress(f"{image[0]} seed {config.seed}", config.solver.max_steps, shown=True) as callbacks:
        (row,) = run_suite(
            task,
            [image],
            how,
            config,
            seeds=seeds,
            crop=crop,
            colour=colour,
            told=told,
            device=device,
            callbacks=callbacks,
        )
    return row


def _seeds(text: str) -> list[int]:
    if not all(part.strip().isdigit() for part in text.split(",")):
        raise ConfigError(f"--seeds are whole numbers with commas, such as 0,1,2, not '{text}'.")
    found = [int(part) for part in text.split(",")]
    if len(set(found)) < len(found):
        raise ConfigError(f"--seeds names one twice: '{text}'.")
    return found
