"""A degraded photograph on a computer without a GPU: diagnosed, then restored in a second and in a minute.

    python examples/photo_without_gpu.py photo.jpg -o restored.png

Without a file the photograph of the package with synthetic noise is used, and the PSNR is printed as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from hybridprior import diagnose, read_image, restore, write_image
from hybridprior._internal.random import stream
from hybridprior.data import demo_image
from hybridprior.io.image import ImageData
from hybridprior.metrics import psnr

SIGMA = 20 / 255
"""Standard deviation of the synthetic noise."""

ROUTES = {
    "denoiser alone": {"regulariser": "denoiser", "generator": "pixels"},
    "network alone": {"regulariser": "none"},
    "fusion": {"regulariser": "auto"},
}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print the diagnosis and a table, write the images next to each other, and return the seconds of each route."""
    options = _parser().parse_args(arguments)
    truth = None
    if options.photo is None:
        truth = read_image(demo_image()).pixels[..., : options.size, : options.size].contiguous()
        y = (truth + SIGMA * torch.randn(truth.shape, generator=stream(0, "camera"))).clamp(0, 1)
    else:
        y = read_image(options.photo).pixels[..., : options.size, : options.size].contiguous()
    found = diagnose(y, file=options.photo)
    print(found.reason, *found.warnings)
    images, seconds = [y], {}
    for name, route in ROUTES.items():
        steps = None if "generator" in route else options.steps
        sigma = max(found.sigma, found.jpeg_error)
        result = restore(y, sigma=sigma, device="cpu", preset="fast", max_steps=steps, seed=0, **route)
        seconds[name] = result.timings.total
        quality = "" if truth is None else f"{psnr(result.image, truth):8.2f} dB"
        print(f"{name:20s}{seconds[name]:8.1f} s{quality}")
        images.append(result.image)
    images += [] if truth is None else [truth]
    write_image(options.output, ImageData(torch.cat(images, dim=-1)))
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path, help="a file; the photograph of the package if not given")
    parser.add_argument("-o", "--output", type=Path, default=Path("photo_without_gpu.png"))
    parser.add_argument("--size", type=int, default=192, help="longest side of the crop that is restored")
    parser.add_argument("--steps", type=int, default=400, help="maximum number of steps of the network")
    return parser


if __name__ == "__main__":
    main()
