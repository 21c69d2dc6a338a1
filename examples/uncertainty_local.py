"""How well standard deviations tell the errors of the local prior, without and with their fit to measurements.

Middle crops of photographs are degraded (noise of 25/255; half of the pixels missing) and restored with uncertainty;
coverage and ENCE are measured against the ground truth, which the fit has not seen:

    python examples/uncertainty_local.py photographs/a.jpg photographs/b.jpg -o reliability.png
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from hybridprior import Mask, preset, read_picture, restore_with_uncertainty
from hybridprior.metrics import psnr
from hybridprior.uncertainty import METHODS, Calibration, UncertaintyConfig, calibration, draw_reliability

HEADER = f"{'picture':24s} {'task':8s} {'method':9s} {'PSNR':>6s} {'scale':>6s} {'floor':>6s} " + "  ".join(
    f"{name:>13s}" for name in ("coverage", "ENCE", "(e/s)^2")
)


def main(arguments: Sequence[str] | None = None) -> dict[tuple[str, str, str], tuple[Calibration, Calibration]]:
    """Print a table, draw the reliability, and return the calibrations before and after."""
    options = _parser().parse_args(arguments)
    print(HEADER)
    found, pooled = {}, {}
    for path in options.pictures:
        truth = _crop(read_picture(path).pixels, options.crop)
        for task in options.tasks:
            y, operator, sigma = _degraded(truth, task)
            config = preset(options.preset, task)
            if options.steps:
                config = dataclasses.replace(config, solver=dataclasses.replace(config.solver, steps=options.steps))
            for method in options.methods:
                how = dataclasses.replace(options.how, method=method)
                result = restore_with_uncertainty(y, operator, config=config, sigma=sigma, options=how)
                told = result.uncertainty
                before, after = (calibration(result.picture, std, truth) for std in (told.raw, told.std))
                found[path.stem, task, method] = before, after
                pooled.setdefault((task, method), []).append((result.picture, told, truth))
                figures = f"{psnr(result.picture, truth):6.2f} {told.scale:6.2f} {255 * told.floor:6.2f}"
                pairs = [(before.error, after.error), (before.ence, after.ence), (before.normalised, after.normalised)]
                row = "  ".join(f"{one:5.2f} > {two:5.2f}" for one, two in pairs)
                print(f"{path.stem:24s} {task:8s} {method:9s} {figures} {row}", flush=True)
    lines = {}
    for (task, method), rows in pooled.items():
        for name in ("raw", "std"):
            parts = zip(*((p, getattr(told, name), truth) for p, told, truth in rows), strict=True)
            lines[f"{task}, {method}, {'fitted' if name == 'std' else 'as it is'}"] = calibration(
                *(torch.cat(part) for part in parts)
            )
    draw_reliability(lines, options.output)
    return found


def _crop(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Return the middle of a picture whose shorter side was brought to 256 pixels at most."""
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
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("reliability.png"))
    parser.add_argument("--crop", type=int, default=96, help="side of the crop in pixels")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, help="the most steps before the samples; the preset's if not given")
    parser.add_argument("--tasks", nargs="+", default=["denoise", "inpaint"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.set_defaults(how=UncertaintyConfig())
    return parser


if __name__ == "__main__":
    main()
