"""`hprior degrade`: a clean image made into a test input."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridprior.errors import ConfigError, InputError, OutputError

from ..console import note, say
from ..files import pair_up, prepare
from ..options import (
    BOUNDARIES,
    DEFAULT_KERNEL,
    DEFAULT_SCALE,
    DEGRADATION_SIGMA,
    TASK_NAMES,
    Bayer,
    Blur,
    Boundary,
    Kernel,
    Quality,
    Scale,
    Seed,
    check_belongs,
    check_kernel,
    check_name,
    check_scale,
    check_sigma,
    check_task,
)

if TYPE_CHECKING:
    from hybridprior.io.files import ImageData

__all__ = ["degrade"]


def degrade(
    context: typer.Context,
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", help="A clean image.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="NOISY", help="The result; .tiff keeps it unclipped in float32.")
    ],
    task: Annotated[str, typer.Option(help=f"{TASK_NAMES}.")] = "denoise",
    sigma: Annotated[
        float | None,
        typer.Option(help="Noise in units of 0-255; if not given 25 for denoise, 2.55 for deblur."),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    kernel: Kernel = DEFAULT_KERNEL,
    missing: Annotated[float, typer.Option(help="inpaint: share of the pixels that go missing.")] = 0.5,
    blur: Blur = None,
    boundary: Boundary = "circular",
    quality: Quality = 20,
    bayer: Bayer = "RGGB",
    seed: Seed = 0,
    bits: Annotated[
        int | None, typer.Option(help="8 or 16 for PNG and TIFF, 32 for TIFF; by the suffix if not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False,
) -> None:
    """Degrade a clean image: add noise, make it smaller, blur it, or take pixels away.

    For inpaint, the mask (white is what is missing) is written beside the result as NOISY.mask.png. For sr, an image
    that the scale does not divide is cropped at its right and lower border first, which is said.
    """
    check_task(task)
    check_belongs(context, task)
    check_kernel(kernel)
    check_name("boundary", boundary, BOUNDARIES)
    if clean.is_dir():
        raise InputError(f"'{clean}' is a folder; degrade takes one image.")
    (item,) = pair_up([clean], output, recursive=False)
    hole = item.target.with_name(f"{item.target.name}.mask.png")
    for path in (item.target, hole) if task == "inpaint" else (item.target,):
        if path.exists() and not overwrite:
            raise OutputError(f"'{path}' exists; --overwrite replaces it.")
    noise, factor = check_sigma(DEGRADATION_SIGMA.get(task, 0.0) if sigma is None else sigma), check_scale(scale)

    from hybridprior.evaluation.degradation import Degradation, jpeg_file
    from hybridprior.evaluation.degradation import degrade as apply
    from hybridprior.io.files import SUFFIXES, ImageData, read_image, write_atomically, write_image
    from hybridprior.operators import Mask

    image = read_image(item.source)
    x = image.pixels
    if task == "sr":
        if min(x.shape[-2:]) < factor:
            raise InputError(f"'{clean}' is {x.shape[-1]} x {x.shape[-2]}, too small for --scale {factor}.")
        height, width = (side - side % factor for side in x.shape[-2:])
        if (height, width) != tuple(x.shape[-2:]):
            note(f"'{clean}' is cropped to {width} x {height}, multiples of {factor}.")
        x = x[..., :height, :width]
    how = Degradation(
        task=task,
        sigma=noise or 0.0,
        scale=factor,
        kernel=kernel,
        missing=missing,
        blur=blur or Degradation.blur,
        boundary=boundary,
        quality=quality,
        bayer=bayer,
        seed=seed,
    )
    y, operator = apply(x, how)
    prepare(item.target, 4 * y.numel())
    alpha = image.alpha if task == "denoise" else None
    icc = image.icc if y.shape[1] == x.shape[1] else None
    made = dataclasses.replace(image, pixels=y, alpha=alpha, icc=icc, depth=_depth(item.target, image, bits))
    if task == "dejpeg" and SUFFIXES[item.target.suffix.lower()] == "JPEG":
        write_atomically(item.target, jpeg_file(x, how, icc=icc, exif=image.exif))  # its tables are what is asked for
    else:
        write_image(item.target, made)
    if isinstance(operator, Mask):
        write_image(hole, ImageData(1 - operator.known))
    facts = {**dataclasses.asdict(how), "sigma": 255 * how.sigma}
    say(json.dumps({"input": str(clean), "output": str(item.target), **facts}))


def _depth(target: Path, image: ImageData, bits: int | None) -> str:
    if bits is None:
        return "float32" if target.suffix.lower() in (".tif", ".tiff") else image.depth
    from hybridprior.io.files import DEPTHS, SUFFIXES

    depth = {8: "uint8", 16: "uint16", 32: "float32"}.get(bits)
    if depth not in DEPTHS.get(SUFFIXES.get(target.suffix.lower(), ""), ("uint8",)):
        raise ConfigError(f"--bits is 8, for PNG also 16, for TIFF also 16 and 32; '{target.name}' cannot have {bits}.")
    return depth
