"""`hprior restore`: restores images."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError, InputError
from hybridprior.evaluation.config import Degradation

from ..console import FORMATS, note
from ..files import Item, beside, check_inputs_kept, pair_up
from ..options import (
    AUTO_TASK,
    BOUNDARIES,
    DEFAULT_PRESET,
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
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The output: a file or a folder.")],
    task: Annotated[
        str, typer.Option(help=f"{TASK_NAMES}, or auto: diagnosed from the image. sr is super-resolution.")
    ] = "denoise",
    sigma: Annotated[
        float | None, typer.Option(help="Noise level in units of 0-255, such as 25. Default: estimated.")
    ] = None,
    scale: Scale = Degradation.scale,
    kernel: Kernel = Degradation.kernel,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="inpaint: an image in which white marks the pixels to fill in, or a folder with one for each input. "
            "Default: transparent pixels are filled in."
        ),
    ] = None,
    mask_white: Annotated[
        str, typer.Option(help="Meaning of white in --mask: fill (missing pixels) or keep (known pixels).")
    ] = "fill",
    outpaint: Annotated[
        int, typer.Option(min=0, help="inpaint: width in pixels of a margin to add around the image.")
    ] = 0,
    blur: Blur = None,
    boundary: Boundary = "valid",
    bayer: Bayer = Degradation.bayer,
    operator: Annotated[
        str | None,
        typer.Option(help="A as module:function: a function of an image, or a function that returns an Operator."),
    ] = None,
    noise: Annotated[
        str,
        typer.Option(help="The noise model: gaussian, poisson (photons), laplace, or huber (Gaussian with outliers)."),
    ] = "gaussian",
    peak: Annotated[
        float | None, typer.Option(help="poisson: number of photons at white. Default: by --sigma, or estimated.")
    ] = None,
    white: Annotated[
        float | None,
        typer.Option(
            help="White level in the units of the file: 4095 for 12 bits. Default: the largest value of the type."
        ),
    ] = None,
    reg: Reg = None,
    weight: Weight = None,
    denoiser: Denoiser = None,
    denoiser_sigma: DenoiserSigma = None,
    solver: SolverName = None,
    generator: Annotated[
        str | None, typer.Option(help="f_theta: skip, decoder or pixels. Default: that of the preset.")
    ] = None,
    preset: Preset = DEFAULT_PRESET,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Largest number of steps. Default: that of the preset.")
    ] = None,
    stop: Annotated[
        str | None, typer.Option(help="Stopping rule: fixed, variance, heldout or auto. Default: that of the preset.")
    ] = None,
    seed: Seed = RestoreConfig.seed,
    device: Device = "auto",
    dtype: Annotated[str | None, typer.Option(help="Arithmetic of the network: auto, fp32 or bf16.")] = None,
    threads: Threads = None,
    tile: Tile = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=0, help="Number of images at a time, each with its share of the cores or of a GPU. 0: automatic."
        ),
    ] = 0,
    reference: Annotated[
        Path | None,
        typer.Option(help="The ground truth, for PSNR and SSIM only: an image, or a folder with one for each input."),
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty", help="Also estimate the standard deviation of each pixel: OUT.std.png and OUT.std.tiff."
        ),
    ] = False,
    format: Annotated[str, typer.Option(help="Output on stdout: human, json (one line per image) or quiet.")] = "human",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing results. Default: they are skipped.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="Include subfolders.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue interrupted runs.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also print the chosen step, the stacking weights and other details.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Also write OUT.html: a page with images, curves and metrics.")
    ] = False,
) -> None:
    """Restore images: denoise, upsample, inpaint, deblur, remove JPEG artefacts, demosaic.

    A sidecar OUT.json is written next to each result: configuration, seed, versions, metrics, trace.
    """
    check_name("format", format, FORMATS)
    check_name("--mask-white value", mask_white, MASK_WHITE)
    check_name("boundary", boundary, BOUNDARIES)
    check_name("Bayer pattern", bayer, PATTERNS)
    check_task(task, (AUTO_TASK,))
    if task == AUTO_TASK and (sigma is not None or operator is not None or noise != "gaussian"):
        raise ConfigError(
            "--task auto estimates the degradation; leave out --sigma, --noise and --operator, or name a task."
        )
    check_belongs(context, task)
    if operator is not None:
        check_alone(context)
    if task == "deblur" and blur is None and operator is None:
        raise ConfigError("--task deblur needs a kernel: --blur gaussian:2, motion:15:30 or a file.")
    if mask is not None and outpaint:
        raise ConfigError("--mask and --outpaint cannot be combined; run them one after the other, --mask first.")
    if peak is not None and noise != "poisson":
        raise ConfigError("--peak goes with --noise poisson.")
    if white is not None and not (math.isfinite(white) and white > 0):
        raise ConfigError(f"--white is a number above 0 in the units of the file, not {white:g}.")
    if peak is not None and sigma is not None:
        raise ConfigError("--peak defines the photon noise completely; leave --sigma out.")
    if sigma is not None and 0 < sigma < 1:
        note(f"--sigma is in units of 0-255; {sigma:g} is almost no noise.")
    factor, level, dtype = check_scale(scale), check_sigma(sigma), _dtype(dtype)
    lam, levels = check_weight(weight), check_denoiser_sigma(denoiser_sigma)
    check_kernel(kernel)
    items = pair_up(inputs, output, recursive=recursive)
    check_inputs_kept(items, list(_other_inputs(items, mask=mask, reference=reference, blur=blur)))

    from ..run.job import Job
    from ..run.request import Request, check_request

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
        denoiser_sigma=levels,
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
        verbose=verbose,
    )
    check_request(request)
    if weight is not None and reg is None and request.config.regulariser.name == "none":
        raise ConfigError("--weight is the weight of R, and there is no R; add --reg, or leave --weight out.")
    batch = len(items) > 1 or any(given.is_dir() for given in inputs)
    if len(items) > 1 and jobs != 1:
        from ..run.workers import choose_jobs, run_all

        jobs = jobs or choose_jobs(request, len(items), threads)
    if len(items) > 1 and jobs > 1:
        failed, interrupted = run_all(request, items, jobs=jobs, threads=threads)
        raise typer.Exit(_code(failed, len(items), interrupted))
    set_threads(threads)
    raise typer.Exit(_run([Job(request, item) for item in items], batch))


def _other_inputs(
    items: Sequence[Item], *, mask: Path | None, reference: Path | None, blur: str | None
) -> Iterator[Path]:
    """Yield the other files that are read: masks, references and a kernel."""
    if blur is not None:
        yield Path(blur.rsplit(":", 1)[0])
        yield Path(blur)
    for given, what in ((mask, "mask"), (reference, "reference")):
        for item in items:
            with contextlib.suppress(InputError):  # reported when the image is restored
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
        except Exception as error:  # any error of a component; the other images continue
            if not batch:
                raise
            job.failed(error)
            failed += 1
            continue
        if interrupted:
            return _code(failed, len(jobs), True)
    return _code(failed, len(jobs), False)


def _code(failed: int, count: int, interrupted: bool) -> int:
    """Return the exit code, and print how many failed."""
    if failed:
        note(f"{failed} of {count} images failed.")
    return 130 if interrupted else int(failed > 0)
