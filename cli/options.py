"""The options that several verbs share, their defaults read from the library's frozen configuration."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from hybridprior.errors import ConfigError, unknown_name
from hybridprior.presets import PRESETS, TASKS

__all__ = [
    "AUTO_TASK",
    "BOUNDARIES",
    "DEFAULT_KERNEL",
    "DEFAULT_PRESET",
    "DEFAULT_SCALE",
    "DEGRADATION_SIGMA",
    "DTYPES",
    "Bayer",
    "Blur",
    "Boundary",
    "Denoiser",
    "DenoiserSigma",
    "Device",
    "Kernel",
    "Preset",
    "PATTERNS",
    "Quality",
    "Reg",
    "Scale",
    "Seed",
    "SolverName",
    "Threads",
    "TASK_NAMES",
    "Tile",
    "Weight",
    "check_alone",
    "check_belongs",
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
"""The task that the image itself settles, see `hybridprior.analysis.diagnosis`."""
DEFAULT_PRESET = "balanced"
DEFAULT_SCALE = 4
DEFAULT_KERNEL = "lanczos2"
MOST_SIGMA = 1000.0
DEGRADATION_SIGMA = {"denoise": 25.0, "deblur": 2.55}
"""Noise of a task's test images in units of 0-255, where it is not 0."""
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
"""Options that mean something to one task alone."""
BOUNDARIES = ("valid", "circular", "reflect", "replicate")
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
TASK_NAMES = f"{', '.join(TASKS[:-1])} or {TASKS[-1]}"
KERNELS = ("lanczos2", "lanczos3", "bicubic", "area")
DTYPES = {"auto": "auto", "fp32": "fp32", "float32": "fp32", "bf16": "bf16", "bfloat16": "bf16"}

Scale = Annotated[float, typer.Option(help="sr: how many times larger, a whole number from 2.")]
Kernel = Annotated[str, typer.Option(help="sr: how the image was made small: lanczos2, lanczos3, bicubic or area.")]
Blur = Annotated[
    str | None,
    typer.Option(help="deblur: the kernel, gaussian:SIGMA, motion:LENGTH:ANGLE, or a file: PNG, NPY or file.npz:NAME."),
]
Boundary = Annotated[
    str,
    typer.Option(help="deblur: what lies beyond the frame: valid (nobody knows), circular, reflect, replicate."),
]
Quality = Annotated[int, typer.Option(min=1, max=95, help="dejpeg: quality of the JPEG file that is made.")]
Bayer = Annotated[str, typer.Option(help=f"demosaic: the sensor's pattern: {', '.join(PATTERNS)}.")]
Reg = Annotated[
    str | None,
    typer.Option(
        help="The regulariser R: none, tv, denoiser, score, feature, a sum such as denoiser+tv, or auto: what evidence "
        "says of each prior; the preset's if not given."
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(help="lambda, the weight of R, 1 is Bayes' own; or of each term: denoiser=1,tv=0.01."),
]
Denoiser = Annotated[
    str | None,
    typer.Option(help="What R asks: shipped, hf-hub:org/name@revision, local-dir:PATH, file:PATH or module:function."),
]
DenoiserSigma = Annotated[
    str | None,
    typer.Option(help="Noise level that R takes off, in units of 0-255: 25, or from:to over the run: 50:5."),
]
SolverName = Annotated[
    str | None,
    typer.Option(
        "--solver", help="The algorithm: gradient, splitting, pnp or fusion; chosen by the regulariser if not given."
    ),
]
Preset = Annotated[str, typer.Option(help=f"The configuration: {', '.join(PRESETS)}.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of everything that is drawn.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Tile = Annotated[
    int | None,
    typer.Option(min=0, help="Longest side of the tiles of a large image; by the free memory if 0 or not given."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads; all if not given.")]


def check_name(kind: str, name: str, known: Any) -> str:
    """Return `name`, or raise `ConfigError` with the nearest known one."""
    if name not in known:
        raise unknown_name(kind, name, known)
    return name


def check_kernel(kernel: str) -> str:
    """Return the kernel, or raise `ConfigError` if there is none of that name."""
    return check_name("kernel", kernel, KERNELS)


def check_task(task: str, beside: tuple[str, ...] = ()) -> str:
    """Return the task, or raise `ConfigError` if there is none of that name, nor one of those `beside` them."""
    return check_name("task", task, (*TASKS, *beside))


def check_belongs(context: typer.Context, task: str, asked: str = "--task") -> None:
    """Raise `ConfigError` for an option that was given and belongs to another task than was `asked` for."""
    for name, owner in OWNERS.items():
        given = context.get_parameter_source(name)
        if owner != task and given is not None and given.name == "COMMANDLINE":
            raise ConfigError(f"--{name.replace('_', '-')} goes with {asked} {owner}.")


def check_alone(context: typer.Context) -> None:
    """Raise `ConfigError` for an option that says what A is, beside --operator."""
    for name in OWNERS:
        given = context.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE":
            raise ConfigError(f"--operator says all of A; leave --{name.replace('_', '-')} out.")


def check_scale(scale: float) -> int:
    """Return the scale as a whole number, or raise `ConfigError` if it is none from 2 up."""
    if not math.isfinite(scale) or scale != int(scale) or scale < 2:
        raise ConfigError(f"--scale is a whole number, 2 or more, not {scale:g}.")
    return int(scale)


def check_sigma(sigma: float | None) -> float | None:
    """Return sigma in [0, 1] from one in 0-255 units, or raise `ConfigError` if it is no number from 0 up."""
    if sigma is None:
        return None
    if not math.isfinite(sigma) or sigma < 0:
        raise ConfigError(f"--sigma is a number, 0 or more, in units of 0-255, not {sigma:g}.")
    if sigma > MOST_SIGMA:
        raise ConfigError(f"--sigma is in units of 0-255; {sigma:g} leaves nothing of an image.")
    return sigma / 255


def check_weight(text: str | None) -> float | dict[str, float] | None:
    """Return lambda, or that of each term by name, or raise `ConfigError` if the text is neither."""
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
    """Return the denoiser's sigma at the start and the end, in [0, 1], or raise `ConfigError`."""
    if text is None:
        return None
    try:
        levels = [float(level) / 255 for level in text.split(":")]
    except ValueError:
        levels = []
    if not 1 <= len(levels) <= 2 or not all(0 < level <= 1 for level in levels) or levels[0] < levels[-1]:
        raise ConfigError(f"--denoiser-sigma is a level up to 255 or two that fall, such as 25 or 50:5, not '{text}'.")
    return levels[0], levels[-1]


def set_threads(threads: int | None) -> None:
    """Let torch use this many threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
