"""Images unlike photographs: errors of the learned prior, and the stacking weights.

Printed text, and a facade of equal windows, with noise. Each is restored with the local prior alone, with the
pretrained denoiser alone, and with `regulariser="auto"`, which weights both by their error on held-out data. Text needs
scikit-image:

    pip install scikit-image
    python examples/out_of_distribution.py -o out_of_distribution.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from skimage.data import page

from hybridprior import restore, write_image
from hybridprior._internal.random import stream
from hybridprior.io.image import ImageData, as_tensor
from hybridprior.metrics import psnr

WINDOW = 16
"""The side of a window including the wall around it, in pixels."""


def text(side: int) -> torch.Tensor:
    """Return a crop of a printed page, `(1, 3, H, W)`."""
    return as_tensor(page()[40 : 40 + side, 60 : 60 + side]).expand(-1, 3, -1, -1)


def facade(side: int) -> torch.Tensor:
    """Return a facade, `(1, 3, H, W)`: one window, repeated."""
    wall, pane = torch.tensor([0.7, 0.6, 0.5]), torch.tensor([0.15, 0.2, 0.3])
    window = wall[:, None, None].repeat(1, WINDOW, WINDOW)
    window[:, 4:13, 5:12] = pane[:, None, None]
    window[:, 4:13, 8] = 0.8
    count = -(-side // WINDOW)
    return window.repeat(1, count, count)[None, :, :side, :side]


IMAGES = {"text": text, "facade": facade}


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Print a table, write the images next to each other, and return the PSNRs in dB by image and route."""
    options = _parser().parse_args(arguments)
    common = {"preset": options.preset, "max_steps": options.steps, "seed": 0}
    sigma = options.sigma / 255
    figures, rows = {}, []
    for name, make in IMAGES.items():
        truth = make(options.size)
        y = truth + sigma * torch.randn(truth.shape, generator=stream(0, "noise"))
        fused = restore(y, sigma=sigma, regulariser="auto", **common)
        images = {
            "local": restore(y, sigma=sigma, regulariser="none", **common).image,
            "global": restore(y, sigma=sigma, regulariser="denoiser", generator="pixels").image,
            "auto": fused.image,
        }
        figures[name] = {route: psnr(image, truth) for route, image in images.items()}
        weights = zip(fused.fusion.names, fused.fusion.weights, strict=True)
        stacking = ", ".join(f"{name} {weight:.0%}" for name, weight in weights if weight > 0.005)
        print(f"{name:6s}", *(f"{route} {figure:.2f} dB" for route, figure in figures[name].items()), f"({stacking})")
        rows.append(torch.cat([truth, y, *images.values()], dim=-1))
    write_image(options.output, ImageData(torch.cat(rows, dim=-2)))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("out_of_distribution.png"))
    parser.add_argument("--size", type=int, default=96, help="side of the images in pixels")
    parser.add_argument("--sigma", type=float, default=25, help="noise in units of 0-255")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=600, help="maximum number of steps of the network")
    return parser


if __name__ == "__main__":
    main()
