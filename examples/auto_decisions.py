"""How often `--task auto` is right: made cases of known noise and JPEG, and what `diagnose` says of each.

    python examples/auto_decisions.py --data photographs --names held-out.txt

Photographs are made small first, so that their own noise and JPEG are gone. The right task is that of the larger error
of the luminance: the noise's, or what JPEG changed of the noisy image; JPEG from quality 90 on counts as none. Prints
the confusion table as Markdown and draws the cases of the first image.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hybridprior import diagnose
from hybridprior._internal.random import stream
from hybridprior.data import demo_image
from hybridprior.io.image import as_tensor, to_pil

TASKS = ("leave", "denoise", "dejpeg")
CASES = [
    *[(0, None), (5, None), (15, None), (25, None), (50, None)],
    *[(0, quality) for quality in (10, 20, 30, 50, 70, 85, 95)],
    *[(5, 30), (5, 90), (15, 30), (15, 60), (15, 90), (25, 50), (25, 80), (50, 70)],
]
"""Noise in units of 0-255, and the quality of the JPEG after it."""
SMOOTH = [(5, None), (15, None), (25, None)]
"""The same with noise that neighbours share: white noise blurred by a Gaussian of one pixel."""


def clean(path: Path, side: int) -> torch.Tensor:
    """Return the middle of a photograph made small, `(1, 3, H, W)`."""
    with Image.open(path) as image:
        small = image.convert("RGB").reduce(4 if image.width >= 1500 else 2)
    width, height = (min(side, length) for length in small.size)
    left, top = (small.width - width) // 2, (small.height - height) // 2
    return as_tensor(np.asarray(small.crop((left, top, left + width, top + height))))


def degraded(x: torch.Tensor, sigma: float, quality: int | None, *, smooth: bool) -> tuple[torch.Tensor, str]:
    """Return an image with noise and through JPEG, and the right task."""
    noise = torch.randn(x.shape, generator=stream(0, "made noise"))
    if smooth:
        kernel = torch.exp(-0.5 * torch.arange(-4.0, 5.0).square())
        kernel = (kernel[:, None] * kernel).expand(3, 1, 9, 9)
        noise = torch.nn.functional.conv2d(torch.nn.functional.pad(noise, (4, 4, 4, 4), "reflect"), kernel, groups=3)
        noise = noise / noise.std()
    y = as_tensor(to_pil(x + sigma / 255 * noise))
    if quality is None:
        return y, "denoise" if sigma else "leave"
    buffer = io.BytesIO()
    to_pil(y).save(buffer, "JPEG", quality=quality)
    made = as_tensor(Image.open(buffer))
    if quality >= 90:
        return made, "denoise" if sigma else "leave"
    return made, "denoise" if luminance(y - x).std() > luminance(made - y).std() else "dejpeg"


def luminance(x: torch.Tensor) -> torch.Tensor:
    """Return `(1, H, W)` of `(1, 3, H, W)`."""
    return torch.einsum("bchw,c->bhw", x, torch.tensor([0.299, 0.587, 0.114]))


def main(arguments: Sequence[str] | None = None) -> tuple[int, int]:
    """Print the table, draw the first image's cases, and return how many answers are right and how many there are."""
    options = _parser().parse_args(arguments)
    names = options.names.read_text().split() if options.names else ["*.jpg", "*.png"]
    paths = sorted(path for name in names for path in options.data.glob(name)) if options.data else [demo_image()]
    print(f"| made ({len(paths)} images each) | right task | {' | '.join(TASKS)} |\n|---|---|---:|---:|---:|")
    right, count, sheet = 0, 0, []
    for smooth, cases in ((False, CASES), (True, SMOOTH)):
        for sigma, quality in cases:
            answers: dict[str, Counter] = {}
            for path in paths:
                y, task = degraded(clean(path, options.side), sigma, quality, smooth=smooth)
                found = diagnose(y).task
                answers.setdefault(task, Counter())[found] += 1
                right, count = right + (found == task), count + 1
                if path == paths[0]:
                    sheet.append(y)
            made = [f"{'smooth ' if smooth else ''}noise {sigma}"] * bool(sigma)
            made += [f"JPEG {quality}"] * (quality is not None)
            for task, told in sorted(answers.items()):
                figures = " | ".join(str(told[name]) for name in TASKS)
                print(f"| {', then '.join(made) or 'clean'} | {task} | {figures} |")
    print(f"\n{right} of {count} are right.")
    half = (len(sheet) + 1) // 2
    sheet += [torch.ones_like(sheet[0])] * (2 * half - len(sheet))
    to_pil(torch.cat([torch.cat(sheet[:half], -1), torch.cat(sheet[half:], -1)], -2)).save(options.output)
    return right, count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of photographs; the one in the package if not given")
    parser.add_argument("--names", type=Path, help="a file with the names to take, one a line")
    parser.add_argument("--side", type=int, default=256, help="longest side of the crops")
    parser.add_argument("-o", "--output", type=Path, default=Path("auto_decisions.png"))
    return parser


if __name__ == "__main__":
    main()
