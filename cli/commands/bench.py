"""`hprior bench`: results next to published ones, each with the step chosen without ground truth and the oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridprior.errors import ConfigError, HybridPriorError
from hybridprior.evaluation.config import Degradation
from hybridprior.presets import PRESETS, TASKS

from ..console import note, progress, say
from ..files import prepare
from ..options import (
    BOUNDARIES,
    DEFAULT_PRESET,
    DTYPES,
    TASK_NAMES,
    Bayer,
    Blur,
    Boundary,
    Denoiser,
    DenoiserSigma,
    Device,
    Kernel,
    Missing,
    Quality,
    Reg,
    Scale,
    SolverName,
    Threads,
    Weight,
    check_belongs,
    check_degradation_sigma,
    check_denoiser_sigma,
    check_kernel,
    check_name,
    check_scale,
    check_task,
    check_weight,
    set_threads,
)
from ..run.bench_table import Table
from ..run.comparisons import Choices, runs_of
from ..run.real_pairs import measure_real

if TYPE_CHECKING:
    from hybridprior.config import RestoreConfig
    from hybridprior.evaluation.bench.suites import Row

__all__ = ["bench"]

REAL = "real"
"""The suite of pairs of a noisy photograph and the mean of many exposures."""

SUITE_NAMES = (*TASKS, "speed", "fusion", REAL)
COMPARISONS = ("speed", "fusion")
"""Suites that compare several configurations on the task of --task."""

QUICK_CROP = 96

FUSION_SEEDS = "0,1,2"


def bench(
    context: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=", ".join(SUITE_NAMES))],
    data: Annotated[Path, typer.Option(help="Folder of clean images.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the results. Default: bench-SUITE.")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(PRESETS)}. speed: several, separated by commas, also with an R: balanced,fast,fast+auto."
        ),
    ] = DEFAULT_PRESET,
    images: Annotated[
        str, typer.Option(help="Short names of the images to use, separated by commas: house,lena. Default: all.")
    ] = "",
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of the restoration, separated by commas. Default: 0; for fusion 0,1,2.")
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(help="Noise level in units of 0-255. Default: 25 for denoise, 2.55 for deblur, else 0."),
    ] = None,
    scale: Scale = Degradation.scale,
    kernel: Kernel = Degradation.kernel,
    missing: Missing = Degradation.missing,
    blur: Blur = None,
    boundary: Boundary = Degradation.boundary,
    quality: Quality = Degradation.quality,
    bayer: Bayer = Degradation.bayer,
    data_seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seed of the noise and of the missing pixels. Default: 0; for fusion that of the restoration."
        ),
    ] = None,
    crop: Annotated[int | None, typer.Option(min=32, help="Side of a centre crop in pixels.")] = None,
    generator: Annotated[str | None, typer.Option(help="Name of f_theta. Default: that of the preset.")] = None,
    reg: Reg = None,
    weight: Weight = None,
    denoiser: Denoiser = None,
    denoiser_sigma: DenoiserSigma = None,
    solver: SolverName = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Values of lambda such as 0.1,1,10: compares f_theta alone, R alone (--reg, on pixels), and both "
            "with each of these weights."
        ),
    ] = "",
    colour: Annotated[
        bool, typer.Option("--colour", help="inpaint: keep the colours; published results are of grey images.")
    ] = False,
    task: Annotated[str, typer.Option(help=f"speed, fusion: {TASK_NAMES}.")] = "denoise",
    quick: Annotated[
        bool,
        typer.Option("--quick", help=f"speed: one image of {QUICK_CROP} x {QUICK_CROP} pixels."),
    ] = False,
    sigma_factor: Annotated[
        float, typer.Option("--told", help="Nominal noise level of the restoration as a multiple of the true one.")
    ] = 1.0,
    stop: Annotated[str | None, typer.Option(help="Stopping rule. Default: that of the preset.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Largest number of steps. Default: that of the preset.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, fp32 or bf16. Default: that of the preset.")] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure a suite. JSON and Markdown tables are updated after each image.

    SUITE speed runs the preset of the paper and the chosen ones alternately on each image. SUITE fusion runs each
    prior alone, both with each of --weights (default: 1), and the solver fusion, each with three seeds of the
    restoration, the noise and the missing pixels. SUITE real measures one pass of the denoiser, with estimated noise,
    on pairs NAME_real and NAME_mean, or on the folders noisy and GT; of the other options it has --output, --denoiser
    and --threads.
    """
    check_kernel(kernel)
    if suite == REAL:
        set_threads(threads)
        raise typer.Exit(0 if measure_real(data, output or Path("bench-real"), denoiser) else 1)
    task = _task_of(context, suite, task)
    factor, level = check_scale(scale), check_degradation_sigma(task, sigma)
    numbers = _seeds(seeds or (FUSION_SEEDS if suite == "fusion" else "0"))
    set_threads(threads)

    from hybridprior._internal.device import choose_device
    from hybridprior.evaluation.bench import find_images, measured_peak

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
    choices = Choices(
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
    runs = runs_of(suite, task, choices)
    own = suite == "fusion" and data_seed is None
    table = Table(folder, suite, how, device, colour, sigma_factor, drawn=own)
    failed = 0
    for image in found:
        try:
            for name, config in runs.items():
                for seed in numbers:
                    drawn = replace(how, seed=seed) if own else how
                    with measured_peak(choose_device(device)) as peak:
                        row = _row(task, image, drawn, replace(config, seed=seed), crop, device, colour, sigma_factor)
                    table.add(name, config, row, peak[0])
        except HybridPriorError as error:
            note(str(error) if str(image[1]) in str(error) else f"'{image[1]}': {error}")
            failed += 1
    say(table.text())
    raise typer.Exit(1 if failed else 0)


def _task_of(context: typer.Context, suite: str, task: str) -> str:
    """Return the task of a suite, or raise `ConfigError` if an option applies to another task."""
    check_name("suite", suite, SUITE_NAMES)
    task = check_task(task) if suite in COMPARISONS else suite
    check_belongs(context, task, "--task" if suite in COMPARISONS else "suite")
    return task


def _row(
    task: str,
    image: tuple[str, Path],
    how: Degradation,
    config: RestoreConfig,
    crop: int | None,
    device: str,
    colour: bool,
    sigma_factor: float,
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
            sigma_factor=sigma_factor,
            device=device,
            callbacks=callbacks,
        )
    return row


def _seeds(text: str) -> list[int]:
    if not all(part.strip().isdigit() for part in text.split(",")):
        raise ConfigError(f"--seeds are integers separated by commas, such as 0,1,2, not '{text}'.")
    found = [int(part) for part in text.split(",")]
    if len(set(found)) < len(found):
        raise ConfigError(f"--seeds has a seed twice: '{text}'. Give each once.")
    return found
