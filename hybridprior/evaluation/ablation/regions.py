"""Regions: where in the image the local prior was the better one.

With the local prior's image l, the global prior's g and the truth x,

    d = G_s * ((g - x)^2 - (l - x)^2),

averaged over channels and seeds and smoothed by a Gaussian of s pixels: above zero the local prior won. The texture of
a pixel is the variance of the truth's luma under the same Gaussian; its quartiles divide the image in four parts.
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
"""s, in pixels."""


@dataclass(frozen=True, eq=False)
class Region:
    """Where the local prior won."""

    image: str
    task: str
    condition: str
    generator: str
    """The local prior."""
    regulariser: str
    """The global prior, on pixels."""
    weight: float
    """lambda of the global prior."""
    share: float
    """Share of the pixels where the local prior won."""
    by_texture: tuple[float, ...]
    """The same in each quarter of the image, from the smoothest to the most textured."""
    degradation: dict[str, Any]
    """Fields of the `Degradation`."""
    map: torch.Tensor
    """d, `(H, W)`, in squared intensity."""
    images: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """The truth, and one local and one global image, `(1, C, H, W)`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, without map and images."""
        kept = {name: value for name, value in self.__dict__.items() if name not in ("map", "images")}
        return {**kept, "by_texture": list(self.by_texture)}


def compare(
    truth: torch.Tensor, local: Sequence[torch.Tensor], other: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, float, tuple[float, ...]]:
    """Return d, the share of pixels where the local prior won, and that share by texture.

    Args:
        truth: `(1, C, H, W)`.
        local: The local prior's images, one a seed.
        other: The global prior's.
    """
    errors = [torch.stack([(x - truth).square().mean(1, keepdim=True) for x in xs]).mean(0) for xs in (other, local)]
    d = _smoothed(errors[0] - errors[1])[0, 0]
    grey = luma(truth)
    texture = (_smoothed(grey.square()) - _smoothed(grey).square())[0, 0].flatten()
    won = (d > 0).float().flatten()[texture.argsort(stable=True)]
    return d, float(won.mean()), tuple(float(part.mean()) for part in won.tensor_split(4))


def regions(rows: Sequence[Row], folder: Path) -> Iterator[Region]:
    """Yield where each network was better than each global prior, as far as their cells are done.

    Of a global prior with several weights, the weight nearest to 1 is taken.

    Args:
        rows: The cells.
        folder: The ablation's.
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
                if local[0].shape != truth.shape:  # a blur whose frame is smaller than the image
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
    """Return `(1, 1, H, W)` under the Gaussian, which the borders cut off."""
    reach = round(3 * SMOOTHING)
    taps = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * SMOOTHING**2))
    ones = torch.ones_like(x)
    for kernel in (taps.view(1, 1, -1, 1), taps.view(1, 1, 1, -1)):
        padding = (kernel.shape[2] // 2, kernel.shape[3] // 2)
        x, ones = (F.conv2d(t, kernel, padding=padding) for t in (x, ones))
    return x / ones
