"""The accuracy of `--task auto`: test images with known noise and JPEG, and the task that `diagnose` chooses.

    python examples/auto_decisions.py --data photographs --names held-out.txt

Photographs are downsampled first, which removes their own noise and JPEG error. The correct task is that of the larger
error of the luminance: that of the noise, or that of the JPEG compression of the noisy image. JPEG from quality 90 on
counts as none. The script prints the confusion table as Markdown and writes the test images of the first photograph.
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
"""Noise in units of 0-255, and the quality of the following JPEG compression."""
SMOOTH = [(5, None), (15, None), (25, None)]
"""The same with correlated noise: white noise blurred by a Gaussian of one pixel."""


def clean(path: Path, side: int) -> torch.Tensor:
    """Return the centre of a downsampled photograph, `(1, 3, H, W)`."""
    with Image.open(path) as image:
        small = image.convert("RGB").reduce(4 if image.width >= 1500 else 2)
    width, height = (min(side, length) for length in small.size)
    left, top = (small.width - width) // 2, (small.height - height) // 2
    return as_tensor(np.asarray(small.crop((left, top, left + width, top + height))))


def degraded(x: torch.Tensor, sigma: float, quality: int | None, *, smooth: bool) -> tuple[torch.Tensor, str]:
    """Return the image with noise and JPEG, and the correct task."""
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
    """Print the table, write the first image's cases, and return the numbers of correct and of all choices."""
    options = _parser().parse_args(arguments)
    names = options.names.read_text().split() if options.names else ["*.jpg", "*.png"]
    paths = sorted(path for name in names for path in options.data.glob(name)) if options.data else [demo_image()]
    print(f"| degradation ({len(paths)} images each) | correct task | {' | '.join(TASKS)} |\n|---|---|---:|---:|---:|")
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
            for task, chosen in sorted(answers.items()):
                figures = " | ".join(str(chosen[name]) for name in TASKS)
                print(f"| {', then '.join(made) or 'clean'} | {task} | {figures} |")
    print(f"\n{right} of {count} choices are correct.")
    half = (len(sheet) + 1) // 2
    sheet += [torch.ones_like(sheet[0])] * (2 * half - len(sheet))
    to_pil(torch.cat([torch.cat(sheet[:half], -1), torch.cat(sheet[half:], -1)], -2)).save(options.output)
    return right, count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of photographs; the photograph of the package if not given")
    parser.add_argument("--names", type=Path, help="a file with the names to use, one per line")
    parser.add_argument("--side", type=int, default=256, help="longest side of the crops")
    parser.add_argument("-o", "--output", type=Path, default=Path("auto_decisions.png"))
    return parser


if __name__ == "__main__":
    main()
