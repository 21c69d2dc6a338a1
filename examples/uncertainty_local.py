"""Calibration of the standard deviations of the local prior, before and after the fit to held-out measurements.

Centre crops of photographs are degraded (noise of 25/255; half of the pixels missing) and restored with uncertainty.
Coverage and ENCE are computed with the ground truth, which the fit does not use:

    python examples/uncertainty_local.py photographs/a.jpg photographs/b.jpg -o reliability.png
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from hybridprior import Mask, Result, preset, read_image, restore_with_uncertainty
from hybridprior.metrics import psnr
from hybridprior.uncertainty import METHODS, Calibration, UncertaintyConfig, calibration, draw_reliability

Maps = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

HEADER = f"{'image':24s} {'task':8s} {'method':9s} {'PSNR':>6s} {'scale':>6s} {'floor':>6s} " + "  ".join(
    f"{name:>13s}" for name in ("coverage", "ENCE", "(e/s)^2")
)


def main(arguments: Sequence[str] | None = None) -> dict[tuple[str, str, str], tuple[Calibration, Calibration]]:
    """Print a table, plot the coverage, and return the calibrations before and after the fit."""
    options = _parser().parse_args(arguments)
    print(HEADER)
    cases = [(path, task, how) for path in options.images for task in options.tasks for how in options.methods]
    work = functools.partial(_restored, options=options)
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
            restored = [_print_row(*each) for each in zip(cases, pool.map(work, cases), strict=True)]
    else:
        restored = [_print_row(case, work(case)) for case in cases]
    lines = {}
    for task, method in dict.fromkeys(case[1:] for case in cases):
        rows = [maps for case, maps in zip(cases, restored, strict=True) if case[1:] == (task, method)]
        image, raw, std, truth = (torch.cat(each) for each in zip(*rows, strict=True))
        lines[f"{task}, {method}, before"] = calibration(image, raw, truth)
        lines[f"{task}, {method}, after"] = calibration(image, std, truth)
    draw_reliability(lines, options.output)
    return {(path.stem, *rest): _calibrations(maps) for (path, *rest), maps in zip(cases, restored, strict=True)}


def _restored(case: tuple[Path, str, str], options: argparse.Namespace) -> tuple[Result, torch.Tensor]:
    """Return a restored image and its ground truth."""
    path, task, method = case
    truth = _crop(read_image(path).pixels, options.crop)
    y, operator, sigma = _degraded(truth, task)
    config = preset(options.preset, task)
    if options.steps:
        config = dataclasses.replace(config, solver=dataclasses.replace(config.solver, max_steps=options.steps))
    how = UncertaintyConfig(method=method, **({"samples": options.samples} if options.samples else {}))
    return restore_with_uncertainty(y, operator, config=config, sigma=sigma, options=how), truth


def _print_row(case: tuple[Path, str, str], restored: tuple[Result, torch.Tensor]) -> Maps:
    """Print a row of the table; return image, raw, std and ground truth."""
    result, truth = restored
    found = result.uncertainty
    maps = result.image, found.raw, found.std, truth
    before, after = _calibrations(maps)
    figures = f"{psnr(result.image, truth):6.2f} {found.scale:6.2f} {255 * found.floor:6.2f}"
    pairs = [(before.error, after.error), (before.ence, after.ence), (before.normalised, after.normalised)]
    row = "  ".join(f"{one:5.2f} > {two:5.2f}" for one, two in pairs)
    print(f"{case[0].stem:24s} {case[1]:8s} {case[2]:9s} {figures} {row}", flush=True)
    return maps


def _calibrations(maps: Maps) -> tuple[Calibration, Calibration]:
    """Return the calibrations before and after the fit."""
    image, raw, std, truth = maps
    return calibration(image, raw, truth), calibration(image, std, truth)


def _crop(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Return the centre of an image that is downsampled to a shorter side of 256 pixels at most."""
    shrink = max(1, math.ceil(min(pixels.shape[-2:]) / 256))
    pixels = torch.nn.functional.avg_pool2d(pixels, shrink)
    top, left = ((length - side) // 2 for length in pixels.shape[-2:])
    return pixels[..., top : top + side, left : left + side].contiguous()


def _degraded(truth: torch.Tensor, task: str) -> tuple[torch.Tensor, Mask | None, float | None]:
    rng = torch.Generator().manual_seed(0)
    if task == "denoise":
        return truth + 25 / 255 * torch.randn(truth.shape, generator=rng), None, 25 / 255
    known = (torch.rand(truth.shape[-2:], generator=rng) < 0.5).float()
    return truth * known, Mask(known), 0.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("reliability.png"))
    parser.add_argument("--crop", type=int, default=96, help="side of the crop in pixels")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, help="maximum number of steps before the samples")
    parser.add_argument("--tasks", nargs="+", default=["denoise", "inpaint"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--samples", type=int, help="number of samples of one network")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    return parser


if __name__ == "__main__":
    main()
