"""Few-view tomography with a deepinv physics: the local prior, the global prior, and both.

The Shepp-Logan phantom is projected from a few angles, with Gaussian noise. Needs deepinv and scikit-image:

    pip install 'hybridprior[physics]' scikit-image
    python examples/tomography.py -o tomography.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from deepinv.physics import GaussianNoise, Tomography
from skimage.data import shepp_logan_phantom

from hybridprior import restore, write_image
from hybridprior.io.image import ImageData
from hybridprior.metrics import psnr

SIGMA = 0.005
"""Standard deviation of the noise, with A of norm 1."""

ROUTES = {
    "local": {"regulariser": "none"},
    "global": {"regulariser": "denoiser", "generator": "pixels"},
    "fused": {"regulariser": "auto"},
}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print a table, write the images next to each other, and return the PSNRs in dB."""
    options = _parser().parse_args(arguments)
    truth = torch.from_numpy(shepp_logan_phantom()).float()[None, None]
    truth = torch.nn.functional.interpolate(truth, (options.size, options.size), mode="area")
    noise = GaussianNoise(SIGMA, rng=torch.Generator().manual_seed(0))
    physics = Tomography(angles=options.angles, img_width=options.size, normalize=True, noise_model=noise)
    y = physics(truth)
    images = {"truth": truth, "filtered back-projection": physics.fbp(y)}
    for name, route in ROUTES.items():
        steps = None if name == "global" else options.steps
        images[name] = restore(y, physics, preset=options.preset, max_steps=steps, seed=0, **route).image
    figures = {name: psnr(image, truth) for name, image in images.items() if name != "truth"}
    for name, figure in figures.items():
        print(f"{name:26s}{figure:6.2f} dB")
    write_image(options.output, ImageData(torch.cat(list(images.values()), dim=-1)))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("tomography.png"))
    parser.add_argument("--size", type=int, default=64, help="side of the phantom in pixels")
    parser.add_argument("--angles", type=int, default=24, help="projections over half a turn")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=400, help="maximum number of steps of the network")
    return parser


if __name__ == "__main__":
    main()
