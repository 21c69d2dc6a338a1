"""The canvas: the weighted sum of overlapping tiles, with windows that decrease towards the neighbouring tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from hybridprior.operators.base import Box

__all__ = ["Canvas"]


class Canvas:
    """The weighted sum of tiles."""

    def __init__(self, shape: Sequence[int], overlap: int) -> None:
        """Start with an empty image.

        Args:
            shape: `(B, C, H, W)` of the whole.
            overlap: Pixels over which neighbours fade into each other.
        """
        self.sum, self.weight = torch.zeros(*shape), torch.zeros(1, 1, *shape[-2:])
        self.overlap = overlap

    def add(self, box: Box, tile: torch.Tensor) -> None:
        """Add a tile, weighted by its window.

        Args:
            box: Where it lies.
            tile: `(B, C, h, w)`, of the box's size.
        """
        height, width = self.sum.shape[-2:]
        rows = _ramp(box.height, self.overlap, box.top > 0, box.top + box.height < height)
        columns = _ramp(box.width, self.overlap, box.left > 0, box.left + box.width < width)
        window = rows[:, None] * columns
        box.of(self.sum).add_(tile * window)
        box.of(self.weight).add_(window)

    def fill(self, image: torch.Tensor) -> None:
        """Put an image where no tile is.

        Args:
            image: `(B, C, H, W)`, or what broadcasts to that.
        """
        empty = self.weight == 0
        self.sum = torch.where(empty, image, self.sum)
        self.weight[empty] = 1

    def image(self) -> torch.Tensor:
        """Return the weighted mean, `(B, C, H, W)`."""
        return self.sum / self.weight


def _ramp(length: int, overlap: int, before: bool, after: bool) -> torch.Tensor:
    """Return a window that decreases towards the neighbours of a tile, but not to 0."""
    rise = torch.sin((torch.arange(length) + 0.5).div(overlap).clamp(max=1) * math.pi / 2) ** 2
    one = torch.ones(length)
    return (rise if before else one) * (rise.flip(0) if after else one)
