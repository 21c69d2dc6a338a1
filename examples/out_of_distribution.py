"""Pictures unlike photographs, most of their pixels missing: where the learned prior misleads, and what evidence says.

Printed text and a made field of stars lose seven pixels in ten. Each is restored by the picture alone, by the
pretrained denoiser alone (plug-and-play), and by `regulariser="auto"`, which asks pixels that none of them has seen.
Text needs scikit-image:

    pip install scikit-image
    python examples/out_of_distribution.py -o out_of_distribution.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from skimage.data import page

from hybridprior import Mask, restore, write_picture
from hybridprior.metrics import psnr
from hybridprior.picture import Picture, as_tensor
from hybridprior.seeds import stream

STARS_PER_PIXEL = 0.015
"""How many stars there are."""
WIDTH = 1.1
"""Their standard deviation in pixels: what the telescope's optics make of a point."""


def text(side: int) -> torch.Tensor:
    """Return a part of a printed page, `(1, 1, H, W)`."""
    return as_tensor(page()[40 : 40 + side, 60 : 60 + side])


def stars(side: int) -> torch.Tensor:
    """Return a field of stars on a dark sky, `(1, 1, H, W)`: places even, brightness exponential."""
    rng = stream(0, "stars")
    sky = torch.full((side, side), 0.05)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    for _ in range(round(STARS_PER_PIXEL * side**2)):
        row, column, drawn = torch.rand(3, generator=rng)
        distance = (rows - side * row).square() + (columns - side * column).square()
        sky = sky - 0.35 * torch.log1p(-drawn) * torch.exp(-distance / (2 * WIDTH**2))
    return sky.clamp(0, 1)[None, None]


PICTURES = {"text": text, "stars": stars}


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Print a table, write the pictures side by side, and return the PSNRs in dB by picture and route."""
    options = _parser().parse_args(arguments)
    common = {"preset": options.preset, "steps": options.steps, "seed": 0}
    figures, rows = {}, []
    for name, make in PICTURES.items():
        truth = make(options.size)
        known = torch.rand(truth.shape, generator=stream(0, "known")) >= options.missing
        mask = Mask(known.float())
        y = mask(truth)
        fused = restore(y, mask, sigma=0.0, regulariser="auto", **common)
        pictures = {
            "local": restore(y, mask, sigma=0.0, regulariser="none", **common).picture,
            "global": restore(y, mask, sigma=0.0, regulariser="denoiser", generator="pixels").picture,
            "auto": fused.picture,
        }
        figures[name] = {route: psnr(picture, truth) for route, picture in pictures.items()}
        believed = zip(fused.fusion.names, fused.fusion.weights, strict=True)
        said = ", ".join(f"{who} {weight:.0%}" for who, weight in believed if weight > 0.005)
        print(f"{name:6s}", *(f"{route} {figure:.2f} dB" for route, figure in figures[name].items()), f"({said})")
        rows.append(torch.cat([truth, y, *pictures.values()], dim=-1))
    write_picture(options.output, Picture(torch.cat(rows, dim=-2)))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("out_of_distribution.png"))
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in pixels")
    parser.add_argument("--missing", type=float, default=0.7, help="share of the pixels that are missing")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=400, help="the most steps of the network")
    return parser


if __name__ == "__main__":
    main()
