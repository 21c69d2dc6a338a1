"""Feature inversion: a photograph restored from one stage of a network, with three priors.

Mahendran and Vedaldi, CVPR 2015; with the prior of a network: Ulyanov, Vedaldi, Lempitsky, CVPR 2018.

    python examples/inversion_priors.py --network tf_efficientnet_lite0 --stage 1 -o inversion.png

`--weights FILE` reads the network's weights from a file; without it timm downloads them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from hybridprior import read_image, write_image
from hybridprior.applications import compare_priors, features_of
from hybridprior.data import demo_image
from hybridprior.io.image import ImageData
from hybridprior.metrics import psnr


def main(arguments: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
    """Print a table, write the images next to each other, and return the NLL per feature and the PSNR in dB of each."""
    options = _parser().parse_args(arguments)
    truth = read_image(demo_image()).pixels[..., 8 : 8 + options.size, 8 : 8 + options.size].contiguous()
    y, phi = features_of(truth, options.network, layer=options.stage, weights=options.weights)
    results = compare_priors(y, phi, preset=options.preset, sigma=0.1, weight=options.weight, max_steps=options.steps)
    figures = {name: (each.trace[-1].energy, psnr(each.image, truth)) for name, each in results.items()}
    print(f"{'prior':12s}{'E':>8s}{'PSNR':>8s}")
    for name, (energy, decibels) in figures.items():
        print(f"{name:12s}{energy:8.3f}{decibels:8.2f}")
    images = [truth, *(each.image for each in results.values())]
    write_image(options.output, ImageData(torch.cat(images, dim=-1).clamp(0, 1)))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("inversion.png"))
    parser.add_argument("--network", default="tf_efficientnet_lite0", help="name of the network in timm")
    parser.add_argument("--weights", help="file with its weights")
    parser.add_argument("--stage", type=int, default=1, help="index of the stage; 0 is the finest")
    parser.add_argument("--weight", type=float, default=0.1, help="lambda of total variation")
    parser.add_argument("--size", type=int, default=96, help="side of the crop in pixels")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=400)
    return parser


if __name__ == "__main__":
    main()
