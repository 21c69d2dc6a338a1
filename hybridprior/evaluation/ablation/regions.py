"""Regions: where in the image the local prior is better than the global one.

Let l be the result of the local prior, g that of the global prior, and x the truth. Then

    d = G_s * ((g - x)^2 - (l - x)^2),

is averaged over channels and seeds, and smoothed by a Gaussian of s pixels. Where it is positive, the local prior is
better. The texture of a pixel is the variance of the luma of the truth under the same Gaussian; its quartiles divide
the image into four parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from hybridprior.evaluation.ablation.attribution import learned
from hybridprior.evaluation.ablation.grid import PIXELS, Combination
from hybridprior.evaluation.ablation.table import Row
from hybridprior.io.files import read_image
from hybridprior.metrics import luma

__all__ = ["Region", "compare", "regions"]

SMOOTHING = 4.0
"""Standard deviation s of the Gaussian, in pixels."""


@dataclass(frozen=True, eq=False)
class Region:
    """Where the local prior is better than the global prior, for one image and condition."""

    image: str
    task: str
    condition: str
    generator: str
    """The local prior, a network without R."""
    regulariser: str
    """The global prior, R on pixels."""
    weight: float
    """lambda of the global prior."""
    share: float
    """Fraction of the pixels where the local prior is better."""
    by_texture: tuple[float, ...]
    """The same fraction in each quarter of the pixels, from the smoothest to the most textured."""
    degradation: dict[str, Any]
    """Fields of the `Degradation`."""
    map: torch.Tensor
    """The map d, `(H, W)`, in squared intensity."""
    images: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """The truth, a result of the local prior and one of the global prior, `(1, C, H, W)`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures without map and images."""
        figures = {name: value for name, value in self.__dict__.items() if name not in ("map", "images")}
        return {**figures, "by_texture": list(self.by_texture)}


def compare(
    truth: torch.Tensor, local: Sequence[torch.Tensor], other: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, float, tuple[float, ...]]:
    """Return d, the fraction of pixels where the local prior is better, and that fraction by texture.

    Args:
        truth: `(1, C, H, W)`.
        local: Results of the local prior, one for each seed.
        other: Results of the global prior.

    Example:
        >>> truth = torch.rand(1, 1, 16, 16)
        >>> compare(truth, [truth], [1 - truth])[1]
        1.0
    """
    errors = [torch.stack([(x - truth).square().mean(1, keepdim=True) for x in xs]).mean(0) for xs in (other, local)]
    d = _smoothed(errors[0] - errors[1])[0, 0]
    grey = luma(truth)
    texture = (_smoothed(grey.square()) - _smoothed(grey).square())[0, 0].flatten()
    better = (d > 0).float().flatten()[texture.argsort(stable=True)]
    return d, float(better.mean()), tuple(float(part.mean()) for part in better.tensor_split(4))


def regions(rows: Sequence[Row], folder: Path) -> Iterator[Region]:
    """Yield the comparison of each network with each global prior whose cells are done.

    If a global prior has several weights, the weight nearest to 1 is used.

    Args:
        rows: The rows of the cells.
        folder: Folder of the ablation.
    """
    done = [row for row in rows if row.done]
    for image, task, condition in dict.fromkeys((row.image, row.task, row.condition) for row in done):
        own = [row for row in done if (row.image, row.task, row.condition) == (image, task, condition)]
        nearest: dict[str, float] = {}
        for name, weight in sorted(learned(own), key=lambda one: abs(one[1] - 1)):
            nearest.setdefault(name, weight)
        for generator in dict.fromkeys(row.generator for row in own if row.generator != PIXELS):
            local = _images(own, Combination(generator, "none", None), folder)
            for name, weight in nearest.items() if local else ():
                other = _images(own, Combination(PIXELS, name, weight), folder)
                truth = read_image(folder / "images" / f"{image}.png").pixels
                if local[0].shape != truth.shape:  # a blur whose observed region is smaller than the image
                    continue
                d, share, by_texture = compare(truth, local, other)
                yield Region(
                    image,
                    task,
                    condition,
                    generator,
                    name,
                    weight,
                    share,
                    by_texture,
                    dict(own[0].degradation),
                    d,
                    (truth, local[0], other[0]),
                )


def _images(rows: Sequence[Row], parts: Combination, folder: Path) -> list[torch.Tensor]:
    return [read_image(folder / "cells" / f"{row.id}.png").pixels for row in rows if row.parts == parts]


def _smoothed(x: torch.Tensor) -> torch.Tensor:
    """Return `(1, 1, H, W)` smoothed by the Gaussian, normalised at the borders."""
    reach = round(3 * SMOOTHING)
    taps = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * SMOOTHING**2))
    ones = torch.ones_like(x)
    for kernel in (taps.view(1, 1, -1, 1), taps.view(1, 1, 1, -1)):
        padding = (kernel.shape[2] // 2, kernel.shape[3] // 2)
        x, ones = (F.conv2d(t, kernel, padding=padding) for t in (x, ones))
    return x / ones
