"""The Bayer filter: a sensor saw one colour at each pixel. The task is demosaicing.

Bayer, "Color imaging array", US patent 3,971,065, 1976.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hybridprior.analysis.noise import estimate_sigma, flattest_sigma
from hybridprior.errors import ShapeError, unknown_name
from hybridprior.operators.base import OPERATORS, Box, Operator, Shape

__all__ = ["PATTERNS", "BayerMosaic"]

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
"""The colours of the upper left two by two pixels, row by row."""


@OPERATORS.register("demosaic")
class BayerMosaic(Operator):
    """A x = the sum over colours c of m_c x_c: a mosaic `(B, 1, H, W)` of an image `(B, 3, H, W)`."""

    task = "demosaic"
    tile_multiple = 2
    tile: torch.Tensor

    def __init__(self, pattern: str = "RGGB") -> None:
        """Choose the pattern.

        Args:
            pattern: One of `PATTERNS`.

        Raises:
            ConfigError: Another one.
        """
        super().__init__()
        if pattern not in PATTERNS:
            raise unknown_name("Bayer pattern", pattern, PATTERNS)
        tile = torch.zeros(1, 3, 2, 2)
        for place, colour in enumerate(pattern):
            tile[0, "RGB".index(colour), place // 2, place % 2] = 1
        self.register_buffer("tile", tile)

    def seen(self, like: torch.Tensor) -> torch.Tensor:
        """Return m: 1 where a colour was seen, `(1, 3, H, W)`, for a mosaic or an image."""
        height, width = like.shape[-2:]
        repeated = self.tile.repeat(1, 1, (height + 1) // 2, (width + 1) // 2)
        return repeated[..., :height, :width].to(like.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mosaic."""
        return (x * self.seen(x)).sum(dim=1, keepdim=True)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return A^T y: each value in its own colour, and 0 in the others."""
        return y * self.seen(y)

    def image_shape(self, shape: Shape) -> Shape:
        """Return the mosaic's shape with three colours."""
        return (shape[0], 3, *shape[2:]) if len(shape) == 4 else shape

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return the bilinear interpolation of each colour."""
        seen = self.seen(y).expand(y.shape[0], -1, -1, -1)
        row = torch.tensor([1.0, 2.0, 1.0], dtype=y.dtype, device=y.device)
        window = (row[:, None] * row).expand(3, 1, 3, 3)
        total, weight = (F.conv2d(part, window, padding=1, groups=3) for part in (y * seen, seen))
        # An image of one row or column has colours that nobody saw near: the mean of y stands for them.
        there = y.mean(dim=(2, 3), keepdim=True).expand_as(total)
        return torch.where(seen > 0, y.expand_as(total), torch.where(weight > 0, total / weight.clamp_min(1), there))

    def noise_level(self, y: torch.Tensor) -> float:
        """Return that of the four small images that the mosaic is made of, seen as one of four channels.

        In so small an image texture looks like noise: there is no more than where it is flattest.
        """
        four = F.pixel_unshuffle(y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2], 2)
        return min(estimate_sigma(four), flattest_sigma(four))

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the same operator, and the same part of the mosaic."""
        return self, box

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y is no mosaic."""
        if y.ndim != 4 or y.shape[1] != 1:
            raise ShapeError(f"A mosaic is grey, (B, 1, H, W), not {tuple(y.shape)}.")
