"""The options that several commands share. Their defaults are those of the frozen configurations of the library."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from hybridprior.errors import ConfigError, unknown_name
from hybridprior.evaluation.config import SIGMA_255
from hybridprior.presets import PRESETS, TASKS

__all__ = [
    "AUTO_TASK",
    "BOUNDARIES",
    "DEFAULT_PRESET",
    "DTYPES",
    "KERNELS",
    "PATTERNS",
    "TASK_NAMES",
    "Bayer",
    "Blur",
    "Boundary",
    "Denoiser",
    "DenoiserSigma",
    "Device",
    "Kernel",
    "Missing",
    "Preset",
    "Quality",
    "Reg",
    "Scale",
    "Seed",
    "SolverName",
    "Threads",
    "Tile",
    "Weight",
    "check_alone",
    "check_belongs",
    "check_degradation_sigma",
    "check_denoiser_sigma",
    "check_kernel",
    "check_name",
    "check_scale",
    "check_sigma",
    "check_task",
    "check_weight",
    "set_threads",
]

AUTO_TASK = "auto"
"""The task is diagnosed from the image, see `hybridprior.analysis.diagnosis`."""
DEFAULT_PRESET = "balanced"
"""The default of `hybridprior.restore`, too."""
MAX_SIGMA_255 = 1000.0
"""Largest noise level in units of 0-255 that `--sigma` accepts."""
OWNERS = {
    "mask": "inpaint",
    "mask_white": "inpaint",
    "outpaint": "inpaint",
    "missing": "inpaint",
    "colour": "inpaint",
    "scale": "sr",
    "kernel": "sr",
    "blur": "deblur",
    "boundary": "deblur",
    "bayer": "demosaic",
    "quality": "dejpeg",
}
"""Options that apply to one task only, and the task."""
# These names repeat those of `hybridprior.operators`, whose import is slow; tests/cli/test_options.py compares them.
BOUNDARIES = ("valid", "circular", "reflect", "replicate")
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
KERNELS = ("lanczos2", "lanczos3", "bicubic", "area")
TASK_NAMES = f"{', '.join(TASKS[:-1])} or {TASKS[-1]}"
DTYPES = {"auto": "auto", "fp32": "fp32", "float32": "fp32", "bf16": "bf16", "bfloat16": "bf16"}

Scale = Annotated[float, typer.Option(help="sr: the upsampling factor, an integer of at least 2.")]
Kernel = Annotated[str, typer.Option(help=f"sr: the downsampling filter: {', '.join(KERNELS)}.")]
Missing = Annotated[float, typer.Option(help="inpaint: fraction of missing pixels.")]
Blur = Annotated[
    str | None,
    typer.Option(
        help="deblur: the blur kernel: gaussian:SIGMA, motion:LENGTH:ANGLE, or a file: PNG, NPY or file.npz:NAME."
    ),
]
Boundary = Annotated[
    str,
    typer.Option(
        help="deblur: the boundary condition: valid (pixels beyond the border are unknown), circular, reflect or "
        "replicate."
    ),
]
Quality = Annotated[int, typer.Option(min=1, max=95, help="dejpeg: quality of the JPEG file.")]
Bayer = Annotated[str, typer.Option(help=f"demosaic: the Bayer pattern: {', '.join(PATTERNS)}.")]
Reg = Annotated[
    str | None,
    typer.Option(
        help="The regulariser R: none, tv, denoiser, score, feature, or a sum such as denoiser+tv. auto is the solver "
        "fusion: both priors, combined by stacking weights. Default: that of the preset."
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(help="lambda, the weight of R (1 is the MAP weight), or one for each term: denoiser=1,tv=0.01."),
]
Denoiser = Annotated[
    str | None,
    typer.Option(
        help="The denoiser of R: shipped, hf-hub:org/name@revision, local-dir:PATH, file:PATH or module:function."
    ),
]
DenoiserSigma = Annotated[
    str | None,
    typer.Option(help="Noise level of the denoiser in units of 0-255: 25, or decreasing over the run: 50:5."),
]
SolverName = Annotated[
    str | None,
    typer.Option(
        "--solver", help="The algorithm: gradient, splitting, pnp or fusion. Default: the one that suits R and f_theta."
    ),
]
Preset = Annotated[str, typer.Option(help=f"The configuration: {', '.join(PRESETS)}.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of all random numbers.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Tile = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Longest side of a tile of a large image in pixels. 0: by the free memory. Default: that of the preset.",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads. Default: all.")]


def check_name(kind: str, name: str, known: Any) -> str:
    """Return `name`, or raise `ConfigError` with the most similar known one."""
    if name not in known:
        raise unknown_name(kind, name, known)
    return name


def check_kernel(kernel: str) -> str:
    """Return the kernel, or raise `ConfigError` if its name is unknown."""
    return check_name("kernel", kernel, KERNELS)


def check_task(task: str, others: tuple[str, ...] = ()) -> str:
    """Return the task, or raise `ConfigError` if it is neither a known task nor one of the `others`."""
    return check_name("task", task, (*TASKS, *others))


def check_belongs(context: typer.Context, task: str, option: str = "--task") -> None:
    """Raise `ConfigError` if an option was given that applies to another task than the one chosen by `option`."""
    for name, owner in OWNERS.items():
        if owner != task and _is_given(context, name):
            raise ConfigError(f"--{name.replace('_', '-')} goes with {option} {owner}.")


def check_alone(context: typer.Context) -> None:
    """Raise `ConfigError` if an option that describes A was given together with --operator."""
    for name in OWNERS:
        if _is_given(context, name):
            raise ConfigError(f"--operator defines A completely; leave --{name.replace('_', '-')} out.")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def check_scale(scale: float) -> int:
    """Return the scale as an integer, or raise `ConfigError` if it is no integer of at least 2."""
    if not math.isfinite(scale) or scale != int(scale) or scale < 2:
        raise ConfigError(f"--scale is an integer of at least 2, not {scale:g}.")
    return int(scale)


def check_sigma(sigma: float | None) -> float | None:
    """Return sigma in [0, 1] from units of 0-255, or raise `ConfigError` if it is out of range."""
    if sigma is None:
        return None
    if not math.isfinite(sigma) or sigma < 0:
        raise ConfigError(f"--sigma is a number of at least 0, in units of 0-255, not {sigma:g}.")
    if sigma > MAX_SIGMA_255:
        raise ConfigError(f"--sigma is in units of 0-255; {sigma:g} is too large. The largest is {MAX_SIGMA_255:g}.")
    return sigma / 255


def check_degradation_sigma(task: str, sigma: float | None) -> float:
    """Return the noise level of a task's test images in [0, 1]: the one given in units of 0-255, or the default."""
    return check_sigma(SIGMA_255.get(task, 0.0) if sigma is None else sigma) or 0.0


def check_weight(text: str | None) -> float | dict[str, float] | None:
    """Return lambda, or one for each term by name, or raise `ConfigError` if the text is neither."""
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        pairs = [term.split("=") for term in text.split(",")]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError as error:
        raise ConfigError(f"--weight is a number, or such as denoiser=1,tv=0.01, not '{text}'.") from error


def check_denoiser_sigma(text: str | None) -> tuple[float, float] | None:
    """Return the denoiser's noise level at the start and at the end, in [0, 1], or raise `ConfigError`."""
    if text is None:
        return None
    try:
        levels = [float(level) / 255 for level in text.split(":")]
    except ValueError:
        levels = []
    if not 1 <= len(levels) <= 2 or not all(0 < level <= 1 for level in levels) or levels[0] < levels[-1]:
        raise ConfigError(
            f"--denoiser-sigma is one level up to 255 or two decreasing ones, such as 25 or 50:5, not '{text}'."
        )
    return levels[0], levels[-1]


def set_threads(threads: int | None) -> None:
    """Set the number of threads of torch; None keeps its default."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
