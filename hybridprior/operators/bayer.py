"""The Bayer filter: a sensor measures one colour at each pixel. The task is demosaicing.

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
"""The colours of the upper left 2 x 2 pixels, row by row."""


@OPERATORS.register("demosaic")
class BayerMosaic(Operator):
    """A x = the sum over colours c of m_c x_c: a mosaic `(B, 1, H, W)` of an image `(B, 3, H, W)`.

    Example:
        >>> BayerMosaic("RGGB")(torch.rand(1, 3, 6, 6)).shape
        torch.Size([1, 1, 6, 6])
    """

    task = "demosaic"
    tile_multiple = 2
    tile: torch.Tensor

    def __init__(self, pattern: str = "RGGB") -> None:
        """Choose the pattern.

        Args:
            pattern: One of `PATTERNS`.

        Raises:
            ConfigError: An unknown pattern.
        """
        super().__init__()
        if pattern not in PATTERNS:
            raise unknown_name("Bayer pattern", pattern, PATTERNS)
        tile = torch.zeros(1, 3, 2, 2)
        for place, colour in enumerate(pattern):
            tile[0, "RGB".index(colour), place // 2, place % 2] = 1
        self.register_buffer("tile", tile)

    def measured(self, like: torch.Tensor) -> torch.Tensor:
        """Return m: 1 where a colour is measured, `(1, 3, H, W)`, for a mosaic or an image."""
        height, width = like.shape[-2:]
        repeated = self.tile.repeat(1, 1, (height + 1) // 2, (width + 1) // 2)
        return repeated[..., :height, :width].to(like.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mosaic."""
        return (x * self.measured(x)).sum(dim=1, keepdim=True)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return A^T y: each value in its own colour, and 0 in the others."""
        return y * self.measured(y)

    def image_shape(self, shape: Shape) -> Shape:
        """Return the mosaic's shape with three colours."""
        return (shape[0], 3, *shape[2:]) if len(shape) == 4 else shape

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return the bilinear interpolation of each colour."""
        measured = self.measured(y).expand(y.shape[0], -1, -1, -1)
        row = torch.tensor([1.0, 2.0, 1.0], dtype=y.dtype, device=y.device)
        window = (row[:, None] * row).expand(3, 1, 3, 3)
        total, weight = (F.conv2d(part, window, padding=1, groups=3) for part in (y * measured, measured))
        # In an image of one row or column some colours have no measured neighbour; the mean of y replaces them.
        mean = y.mean(dim=(2, 3), keepdim=True).expand_as(total)
        near = torch.where(weight > 0, total / weight.clamp_min(1), mean)
        return torch.where(measured > 0, y.expand_as(total), near)

    def noise_level(self, y: torch.Tensor) -> float:
        """Return the noise level of the four small images that make up the mosaic, taken as one of four channels.

        In so small an image texture is taken for noise; the estimate from the flattest patches is an upper limit.
        """
        four = F.pixel_unshuffle(y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2], 2)
        return min(estimate_sigma(four), flattest_sigma(four))

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the same operator, and the same part of the mosaic."""
        return self, box

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y is not a mosaic."""
        if y.ndim != 4 or y.shape[1] != 1:
            raise ShapeError(f"A mosaic is grey, (B, 1, H, W), not {tuple(y.shape)}.")
