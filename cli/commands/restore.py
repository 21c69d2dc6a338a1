"""`hprior restore`: somebody's images in, and back restored."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError, InputError

from ..console import FORMATS, note
from ..files import Item, beside, pair_up, spare
from ..options import (
    AUTO_TASK,
    BOUNDARIES,
    DEFAULT_KERNEL,
    DEFAULT_PRESET,
    DEFAULT_SCALE,
    DTYPES,
    PATTERNS,
    TASK_NAMES,
    Bayer,
    Blur,
    Boundary,
    Denoiser,
    DenoiserSigma,
    Device,
    Kernel,
    Preset,
    Reg,
    Scale,
    Seed,
    SolverName,
    Threads,
    Tile,
    Weight,
    check_alone,
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

__all__ = ["restore"]

MASK_WHITE = ("fill", "keep")


def restore(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Images, or folders of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The result: a file, or a folder.")],
    task: Annotated[
        str, typer.Option(help=f"{TASK_NAMES}, or auto: what the image needs; sr is super-resolution.")
    ] = "denoise",
    sigma: Annotated[
        float | None, typer.Option(help="Noise in units of 0-255, such as 25; estimated if not given.")
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    kernel: Kernel = DEFAULT_KERNEL,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="inpaint: white is what to fill in; an image, or a folder of them by name. "
            "Without it, transparent pixels are filled in."
        ),
    ] = None,
    mask_white: Annotated[str, typer.Option(help="What white means in --mask: fill or keep.")] = "fill",
    outpaint: Annotated[int, typer.Option(min=0, help="inpaint: pixels to add around the image.")] = 0,
    blur: Blur = None,
    boundary: Boundary = "valid",
    bayer: Bayer = "RGGB",
    operator: Annotated[
        str | None,
        typer.Option(help="module:function, a function of an image or one that returns an Operator."),
    ] = None,
    noise: Annotated[
        str, typer.Option(help="The noise: gaussian, poisson (photons), laplace, or huber (with outliers).")
    ] = "gaussian",
    peak: Annotated[
        float | None, typer.Option(help="poisson: photons at white; by --sigma, or estimated, if not given.")
    ] = None,
    white: Annotated[
        float | None,
        typer.Option(help="White in the file's own numbers: 4095 for twelve bits; else its type's greatest."),
    ] = None,
    reg: Reg = None,
    weight: Weight = None,
    denoiser: Denoiser = None,
    denoiser_sigma: DenoiserSigma = None,
    solver: SolverName = None,
    generator: Annotated[
        str | None, typer.Option(help="f_theta: skip, decoder or pixels; the preset's if not given.")
    ] = None,
    preset: Preset = DEFAULT_PRESET,
    steps: Annotated[int | None, typer.Option(min=1, help="The most steps; the preset's if not given.")] = None,
    stop: Annotated[
        str | None, typer.Option(help="Stopping rule: fixed, variance, heldout or auto; the preset's if not given.")
    ] = None,
    seed: Seed = RestoreConfig.seed,
    device: Device = "auto",
    dtype: Annotated[str | None, typer.Option(help="Arithmetic of the network: auto, fp32 or bf16.")] = None,
    threads: Threads = None,
    tile: Tile = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=0, help="Images at a time, each with its share of the cores or of a GPU; 0 is as many as pay."
        ),
    ] = 0,
    reference: Annotated[
        Path | None, typer.Option(help="The ground truth, for figures only; an image, or a folder of them by name.")
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Also how far off each pixel is: OUT.std.png, and OUT.std.tiff exactly."),
    ] = False,
    format: Annotated[str, typer.Option(help="What goes to stdout: human, json (a line an image) or quiet.")] = "human",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist, not skip them.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="Go into folders of folders.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with runs that were interrupted.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write OUT.html as well: one page with images, curves and figures.")
    ] = False,
) -> None:
    """Restore images: denoise, enlarge, fill in, deblur ...

    Each result OUT has a sidecar OUT.json beside it: configuration, seed, versions, figures, trace.
    """
    check_name("format", format, FORMATS)
    check_name("--mask-white value", mask_white, MASK_WHITE)
    check_name("boundary", boundary, BOUNDARIES)
    check_name("Bayer pattern", bayer, PATTERNS)
    check_task(task, (AUTO_TASK,))
    if task == AUTO_TASK and (sigma is not None or operator is not None or noise != "gaussian"):
        raise ConfigError("--task auto asks the image alone; leave out --sigma, --noise, --operator, or name a task.")
    check_belongs(context, task)
    if operator is not None:
        check_alone(context)
    if task == "deblur" and blur is None and operator is None:
        raise ConfigError("--task deblur needs its kernel: --blur gaussian:2, motion:15:30 or a file.")
    if mask is not None and outpaint:
        raise ConfigError("--mask and --outpaint go one after the other: fill in first.")
    if peak is not None and noise != "poisson":
        raise ConfigError("--peak goes with --noise poisson.")
    if white is not None and not (math.isfinite(white) and white > 0):
        raise ConfigError(f"--white is a number of the file's, above 0, not {white:g}.")
    if peak is not None and sigma is not None:
        raise ConfigError("--peak says how strong photon noise is everywhere; leave --sigma out.")
    if sigma is not None and 0 < sigma < 1:
        note(f"--sigma counts 0-255, of which {sigma:g} is next to nothing.")
    factor, level, dtype = check_scale(scale), check_sigma(sigma), _dtype(dtype)
    lam, asked = check_weight(weight), check_denoiser_sigma(denoiser_sigma)
    check_kernel(kernel)
    items = pair_up(inputs, output, recursive=recursive)
    spare(items, list(_read_besides(items, mask=mask, reference=reference, blur=blur)))

    from ..run.job import Job
    from ..run.request import Request, known_parts

    request = Request(
        task=task,
        sigma=level,
        noise=noise,
        peak=peak,
        white=white,
        factor=factor,
        kernel=kernel,
        mask=mask,
        mask_keeps=mask_white == "keep",
        outpaint=outpaint,
        blur=blur,
        boundary=boundary,
        bayer=bayer,
        operator=operator,
        reg=reg,
        weight=lam,
        denoiser=denoiser,
        denoiser_sigma=asked,
        solver=solver,
        generator=generator,
        preset=preset,
        steps=steps,
        stop=stop,
        seed=seed,
        device=device,
        dtype=dtype,
        tile=tile,
        reference=reference,
        uncertainty=uncertainty,
        format=format,
        overwrite=overwrite,
        resume=resume,
        report=report,
    )
    known_parts(request)
    if weight is not None and reg is None and request.config.regulariser.name == "none":
        raise ConfigError("--weight weighs R, and there is none; add --reg, or leave it out.")
    batch = len(items) > 1 or any(given.is_dir() for given in inputs)
    if len(items) > 1 and jobs != 1:
        from ..run.workers import run_all, worth

        jobs = jobs or worth(request, len(items), threads)
    if len(items) > 1 and jobs > 1:
        failed, interrupted = run_all(request, items, jobs=jobs, threads=threads)
        raise typer.Exit(_code(failed, len(items), interrupted))
    set_threads(threads)
    raise typer.Exit(_run([Job(request, item) for item in items], batch))


def _read_besides(
    items: Sequence[Item], *, mask: Path | None, reference: Path | None, blur: str | None
) -> Iterator[Path]:
    """Yield the files that are read besides the images: masks, references, a kernel."""
    if blur is not None:
        yield Path(blur.rsplit(":", 1)[0])
        yield Path(blur)
    for given, what in ((mask, "mask"), (reference, "reference")):
        for item in items:
            with contextlib.suppress(InputError):  # said when its turn comes
                path = beside(given, item, what=what)
                if path is not None:
                    yield path


def _dtype(name: str | None) -> str | None:
    return None if name is None else DTYPES[check_name("dtype", name, DTYPES)]


def _run(jobs: list, batch: bool) -> int:
    """Run the jobs one by one; return the exit code."""
    failed = 0
    for job in jobs:
        try:
            interrupted = job.run()
        except Exception as error:  # whatever a part of somebody's raises, the other images go on
            if not batch:
                raise
            job.failed(error)
            failed += 1
            continue
        if interrupted:
            return _code(failed, len(jobs), True)
    return _code(failed, len(jobs), False)


def _code(failed: int, count: int, interrupted: bool) -> int:
    """Return the exit code, and say how many failed."""
    if failed:
        note(f"{failed} of {count} images failed.")
    return 130 if interrupted else int(failed > 0)
