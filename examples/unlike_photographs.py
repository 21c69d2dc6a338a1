"""Fourteen test images that differ from the photographs of the training data.

Synthetic drawings, tiles, spots, stars and textures, and the page, brick, grass, gravel, tissue and deep field of
scikit-image, with two photographs; 128 x 128 each. docs/fusion.md has the results:

    pip install scikit-image
    python examples/unlike_photographs.py -o unlike
    hprior bench denoise --data unlike --preset fast --sigma 25 --reg auto --threads 1
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from skimage import data

SIDE = 128

FOUND = {
    "page": data.page,
    "hubble": data.hubble_deep_field,
    "ihc": data.immunohistochemistry,
    "brick": data.brick,
    "grass": data.grass,
    "gravel": data.gravel,
    "camera-clean": data.camera,
    "astronaut": data.astronaut,
}


def drawing(rng: np.random.Generator) -> np.ndarray:
    """Return black lines and ellipses on white, `(2 H, 2 W)`."""
    image = Image.new("L", (2 * SIDE, 2 * SIDE), 255)
    pen = ImageDraw.Draw(image)
    for number in range(40):
        x0, y0, x1, y1 = rng.integers(0, 2 * SIDE, 4).tolist()
        if number % 2:
            pen.line([x0, y0, x1, y1], fill=0, width=2)
        else:
            box = [min(x0, x1), min(y0, y1), max(x0, x1) + 1, max(y0, y1) + 1]
            pen.ellipse(box, outline=0, width=2)
    return np.array(image)


def fluorescence(rng: np.random.Generator) -> np.ndarray:
    """Return green spots and blue clouds on black, `(H, W, 3)` in [0, 1]."""
    points = np.zeros((SIDE, SIDE))
    for _ in range(60):
        points[tuple(rng.integers(0, SIDE, 2))] = rng.uniform(0.3, 1)
    image = np.zeros((SIDE, SIDE, 3))
    spots, clouds = gaussian_filter(points, 2.2), gaussian_filter(points, 4)
    image[..., 1] = spots / spots.max()
    image[..., 2] = gaussian_filter(points[::-1], 4) / clouds.max() * 0.6
    return image


def stars(rng: np.random.Generator) -> np.ndarray:
    """Return points of different brightness on a dark sky, `(H, W)` in [0, 1]."""
    sky = np.zeros((SIDE, SIDE))
    for _ in range(150):
        sky[tuple(rng.integers(0, SIDE, 2))] = rng.pareto(1.5)
    return np.clip(0.03 + gaussian_filter(sky, 0.9), 0, 1)


def facade() -> np.ndarray:
    """Return a facade of 64 equal windows, `(H, W, 3)` in [0, 1]."""
    window = np.ones((16, 16, 3)) * [0.7, 0.6, 0.5]
    window[4:13, 5:12] = [0.15, 0.2, 0.3]
    window[4:13, 8] = 0.8
    return np.tile(window, (8, 8, 1))


def images() -> dict[str, np.ndarray]:
    """Return all of them by name, `(128, 128, 3)` of bytes."""
    rng = np.random.default_rng(0)
    made = {"drawing": drawing(rng), "fluorescence": fluorescence(rng), "stars": stars(rng), "facade": facade()}
    made["tiles"] = np.kron(rng.random((8, 8, 3)), np.ones((16, 16, 1)))
    made["noise-texture"] = 0.5 + 0.25 * rng.standard_normal((SIDE, SIDE, 3))
    made |= {name: find() for name, find in FOUND.items()}
    return {name: _middle(image) for name, image in made.items()}


def _middle(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8:
        image = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    if image.ndim == 2:
        image = np.stack([image] * 3, -1)
    top, left = ((side - SIDE) // 2 for side in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE, :3]


def main(arguments: Sequence[str] | None = None) -> list[Path]:
    """Write the images and return their files."""
    folder = _parser().parse_args(arguments).output
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, image in sorted(images().items()):
        files.append(folder / f"{name}.png")
        Image.fromarray(image).save(files[-1])
    print(f"{len(files)} images in {folder}")
    return files


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("unlike"), help="a folder")
    return parser


if __name__ == "__main__":
    main()
