"""A user-defined operator and denoiser: a double exposure, restored with non-local means and with f_theta.

The camera moved while the shutter was open: y = (x + a shifted x) + noise. The operator is a class of a few lines, the
denoiser a function of an image and a noise level, here non-local means from scikit-image:

    pip install scikit-image
    python examples/own_operator.py -o own_operator.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from skimage.restoration import denoise_nl_means

from hybridprior import Operator, read_image, restore, write_image
from hybridprior._internal.random import stream
from hybridprior.data import demo_image
from hybridprior.io.image import ImageData
from hybridprior.metrics import psnr
from hybridprior.regularisers import RED

SIGMA = 5 / 255


class Ghost(Operator):
    """A x = (x + strength S x) / (1 + strength), S a circular shift to the right."""

    def __init__(self, shift: int = 6, strength: float = 0.6) -> None:
        """Set the shift in pixels and the strength of the second exposure relative to the first."""
        super().__init__()
        self.shift, self.strength = shift, strength

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both exposures."""
        return (x + self.strength * x.roll(self.shift, dims=-1)) / (1 + self.strength)


def non_local_means(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return denoised images `(B, C, H, W)`; sigma `(B,)` is the standard deviation of their noise."""
    cleaned = [
        denoise_nl_means(one.permute(1, 2, 0).numpy(), 5, 6, h=0.8 * level, sigma=level, channel_axis=-1)
        for one, level in zip(x.detach().cpu().float(), sigma.tolist(), strict=True)
    ]
    return torch.stack([torch.from_numpy(one).permute(2, 0, 1) for one in cleaned]).to(x)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print a table, write the images next to each other, and return the PSNRs in dB."""
    options = _parser().parse_args(arguments)
    truth = read_image(demo_image()).pixels[..., : options.size, : options.size].contiguous()
    ghost = Ghost()
    y = ghost(truth) + SIGMA * torch.randn(truth.shape, generator=stream(0, "camera"))
    prior = RED(denoiser=non_local_means)
    common = {"sigma": SIGMA, "seed": 0, "preset": options.preset}
    images = {
        "input": y,
        "f_theta alone": restore(y, ghost, max_steps=options.steps, **common).image,
        "non-local means alone": restore(y, ghost, regulariser=prior, generator="pixels", **common).image,
        "both": restore(y, ghost, regulariser=prior, max_steps=options.steps, **common).image,
    }
    figures = {name: psnr(image, truth) for name, image in images.items()}
    for name, figure in figures.items():
        print(f"{name:24s}{figure:6.2f} dB")
    write_image(options.output, ImageData(torch.cat([truth, *images.values()], dim=-1)))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("own_operator.png"))
    parser.add_argument("--size", type=int, default=64, help="side of the crop of the photograph in pixels")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--steps", type=int, default=300, help="maximum number of steps of the network")
    return parser


if __name__ == "__main__":
    main()
