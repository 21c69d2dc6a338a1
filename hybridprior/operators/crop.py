"""The crop: the middle of the image is measured, and a margin around it is missing. The task is outpainting."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hybridprior.errors import ConfigError
from hybridprior.operators.base import OPERATORS, Operator, Shape
from hybridprior.operators.mask import Mask

__all__ = ["Crop"]


@OPERATORS.register("window")
class Crop(Operator):
    """A x = the middle of x.

    Example:
        >>> Crop(2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 4, 4])
    """

    task = "inpaint"

    def __init__(self, margin: int) -> None:
        """Choose the margin.

        Args:
            margin: Missing pixels on each side.

        Raises:
            ConfigError: A margin below 0, or not an integer.
        """
        super().__init__()
        if margin != int(margin) or margin < 0:
            raise ConfigError(f"The margin is an integer number of pixels, 0 or more, not {margin}.")
        self.margin = int(margin)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x without its margin."""
        return x[..., self.margin : x.shape[-2] - self.margin, self.margin : x.shape[-1] - self.margin]

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return y with a margin of zeros."""
        return F.pad(y, (self.margin,) * 4)

    def image_shape(self, shape: Shape) -> Shape:
        """Return y's shape, enlarged by the margin."""
        if len(shape) != 4:
            return shape
        return (*shape[:2], shape[2] + 2 * self.margin, shape[3] + 2 * self.margin)

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return y with its margin filled by averages of the nearest pixels."""
        return Mask(self.known_pixels(y)).initial_estimate(self.adjoint(y))

    def known_pixels(self, y: torch.Tensor) -> torch.Tensor:
        """Return 1 in the middle and 0 in the margin, `(1, 1, H, W)` of the image."""
        return self.adjoint(torch.ones_like(y[:1, :1]))
