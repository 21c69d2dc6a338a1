"""`hprior degrade`: makes a test input from a clean image."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridprior.errors import ConfigError, InputError, OutputError
from hybridprior.evaluation.config import Degradation

from ..console import note, say
from ..files import pair_up, prepare
from ..options import (
    BOUNDARIES,
    TASK_NAMES,
    Bayer,
    Blur,
    Boundary,
    Kernel,
    Missing,
    Quality,
    Scale,
    Seed,
    check_belongs,
    check_degradation_sigma,
    check_kernel,
    check_name,
    check_scale,
    check_task,
)

if TYPE_CHECKING:
    from hybridprior.io.files import ImageData

__all__ = ["degrade"]


def degrade(
    context: typer.Context,
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", help="A clean image.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="NOISY", help="The result. A .tiff is not clipped and has 32-bit floats."
        ),
    ],
    task: Annotated[str, typer.Option(help=f"{TASK_NAMES}.")] = "denoise",
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
    seed: Seed = Degradation.seed,
    bits: Annotated[
        int | None,
        typer.Option(help="Bits per channel: 8 or 16 for PNG and TIFF, 32 for TIFF. Default: by the suffix."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing result.")] = False,
) -> None:
    """Degrade a clean image: add noise, downsample, blur, compress, or remove pixels.

    For inpaint, the mask (white marks missing pixels) is written to NOISY.mask.png. For sr, the image is first cropped
    at the right and lower border to multiples of the scale, and a note reports it.
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
    noise, factor = check_degradation_sigma(task, sigma), check_scale(scale)

    from hybridprior.evaluation.degradation import degrade as apply
    from hybridprior.evaluation.degradation import jpeg_file
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
        sigma=noise,
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
        write_atomically(
            item.target, jpeg_file(x, how, icc=icc, exif=image.exif)
        )  # with the quantisation tables of this quality
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
