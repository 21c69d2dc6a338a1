"""Activation maximisation of a class of a network, with three priors.

Simonyan, Vedaldi, Zisserman, 2014; with the prior of a network: Ulyanov, Vedaldi, Lempitsky, CVPR 2018.

    python examples/activation_priors.py --network tf_efficientnet_lite0 --unit 360 -o otter.png

`--weights FILE` reads the network's weights from a file; without it timm downloads them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from hybridprior import write_image
from hybridprior.applications import Activation, compare_priors, score_of
from hybridprior.io.image import ImageData


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print a table, write the images next to each other, and return the score of the class (before the softmax)."""
    options = _parser().parse_args(arguments)
    shape = (1, 3, options.size, options.size)
    y, score = score_of(options.unit, options.network, shape=shape, weights=options.weights)
    choice = {"preset": options.preset, "weight": options.weight, "max_steps": options.steps}
    results = compare_priors(y, score, fidelity=Activation(), **choice)
    images = {name: each.image.clamp(0, 1) for name, each in results.items()}
    with torch.no_grad():
        figures = {name: float(score(image)) for name, image in images.items()}
    print(f"{'prior':12s}{'score':>8s}")
    for name, figure in figures.items():
        print(f"{name:12s}{figure:8.2f}")
    write_image(options.output, ImageData(torch.cat(list(images.values()), dim=-1)))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("activation.png"))
    parser.add_argument("--network", default="tf_efficientnet_lite0", help="name of the network in timm")
    parser.add_argument("--weights", help="file with its weights")
    parser.add_argument("--unit", type=int, default=360, help="index of the class; 360 is the otter of ImageNet")
    parser.add_argument("--weight", type=float, default=1e-3, help="lambda of total variation")
    parser.add_argument("--size", type=int, default=128, help="side of the image in pixels")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=300)
    return parser


if __name__ == "__main__":
    main()
