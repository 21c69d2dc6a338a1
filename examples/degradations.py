"""The degradations that the shipped denoiser is trained on: a photograph, clean and degraded, in rows.

    python examples/degradations.py -o degradations.png

Each row is a degradation of `hybridprior.training.degradations`: a camera's noise twice, JPEG, and white noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from hybridprior import read_image, write_image
from hybridprior.data import demo_image
from hybridprior.io.image import ImageData
from hybridprior.training import Photographs
from hybridprior.training.degradations import DegradationConfig, degrade

SHARES = {
    "camera": DegradationConfig(camera=1.0),
    "camera, again": DegradationConfig(camera=1.0),
    "JPEG": DegradationConfig(jpeg=1.0),
    "white": DegradationConfig(),
}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Write the image, print the mean level of each row, and return it in units of 255."""
    options = _parser().parse_args(arguments)
    photographs = Photographs.of([read_image(options.photo or demo_image()).pixels])
    rng = torch.Generator().manual_seed(options.seed)

    def draw(count: int, size: int) -> torch.Tensor:
        return photographs.patches(count, size, rng, grey=0.0)

    rows, levels = [], {}
    for name, config in SHARES.items():
        sample = degrade(draw, options.columns, options.size, rng, config)
        pairs = torch.cat([sample.clean, sample.noisy.clamp(0, 1)], dim=2)
        rows.append(torch.cat(list(pairs), dim=2))
        levels[name] = 255 * float((sample.noisy - sample.clean).square().mean().sqrt())
        print(f"{name:16s}{levels[name]:6.1f} of 255")
    write_image(options.output, ImageData(torch.cat(rows, dim=1)[None]))
    return levels


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path, help="a file; the photograph of the package if not given")
    parser.add_argument("-o", "--output", type=Path, default=Path("degradations.png"))
    parser.add_argument("--size", type=int, default=96, help="side of a patch")
    parser.add_argument("--columns", type=int, default=8, help="number of patches in a row")
    parser.add_argument("--seed", type=int, default=2, help="seed of the patches and of the noise")
    return parser


if __name__ == "__main__":
    main()
