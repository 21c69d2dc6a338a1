"""Flash and no flash: a dim, noisy photograph restored with the detail of a photograph with flash.

Both are made from one photograph here: the dim one has the colour of a lamp and noise, the other the light of a flash
that decreases towards the borders.

    python examples/flash_guided.py -o flash.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from hybridprior import read_image, restore, write_image
from hybridprior.applications import restore_flash
from hybridprior.data import demo_image
from hybridprior.io.image import ImageData
from hybridprior.metrics import psnr

LAMP = (0.9, 0.6, 0.35)
"""Gains of the colour channels under the lamp."""

SIGMA = 20 / 255
"""Standard deviation of the noise without flash."""


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print a table, write the images next to each other, and return the PSNRs in dB."""
    options = _parser().parse_args(arguments)
    scene = read_image(demo_image()).pixels[..., : options.size, : options.size].contiguous()
    truth = scene * torch.tensor(LAMP)[:, None, None]
    flash = scene * _fall_off(options.size)
    dim = truth + SIGMA * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    choice = {"preset": options.preset, "sigma": SIGMA, "max_steps": options.steps, "seed": 0}
    images = {
        "dim": dim,
        "flash": flash,
        "noise as z": restore(dim, **choice).image,
        "flash as z": restore_flash(dim, flash, **choice).image,
    }
    figures = {name: psnr(image, truth) for name, image in images.items() if name != "flash"}
    for name, figure in figures.items():
        print(f"{name:12s}{figure:6.2f} dB")
    write_image(options.output, ImageData(torch.cat([truth, *images.values()], dim=-1).clamp(0, 1)))
    return figures


def _fall_off(size: int) -> torch.Tensor:
    """Return the relative light of a flash, 1 in the centre and less than a half in the corners."""
    place = torch.linspace(-1, 1, size)
    return 1 / (1 + 0.8 * (place[:, None].square() + place[None].square()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("flash.png"))
    parser.add_argument("--size", type=int, default=96, help="side of the scene in pixels")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=400, help="maximum number of steps")
    return parser


if __name__ == "__main__":
    main()
