"""The mask: some pixels are measured and the others are missing. The task is inpainting.

`initial_estimate` fills missing pixels by normalised averages over coarser and coarser scales (push and pull): Gortler
et al., "The Lumigraph", SIGGRAPH 1996, section 4.3.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from hybridprior.errors import InputError, ShapeError
from hybridprior.operators.base import OPERATORS, Box, Operator

__all__ = ["Mask"]


@OPERATORS.register("mask")
class Mask(Operator):
    """A x = m x with m in {0, 1}.

    Example:
        >>> known = torch.ones(4, 4)
        >>> known[1, 1] = 0
        >>> Mask(known)(torch.ones(1, 1, 4, 4)).sum()
        tensor(15.)
    """

    task = "inpaint"
    tile_multiple = 1
    capturable = True
    known: torch.Tensor

    def __init__(self, known: torch.Tensor | np.ndarray) -> None:
        """Take the mask.

        Args:
            known: `(H, W)`, `(1 or C, H, W)` or `(1, 1 or C, H, W)`; pixels above 0.5 are measured.

        Raises:
            InputError: No pixel is measured.
            ShapeError: Another shape.
        """
        super().__init__()
        known = torch.as_tensor(
            known.copy() if isinstance(known, np.ndarray) else known
        )  # torch takes no negative strides
        if known.ndim not in (2, 3, 4) or (known.ndim == 4 and known.shape[0] != 1):
            raise ShapeError(f"A mask has the shape (H, W), (C, H, W) or (1, C, H, W), not {tuple(known.shape)}.")
        known = (known.to(torch.float32) > 0.5).to(torch.float32).reshape((1,) * (4 - known.ndim) + known.shape)
        if not known.any():
            raise InputError("The mask marks every pixel as missing. Invert it if white marks the missing pixels.")
        self.register_buffer("known", known)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with 0 at missing pixels."""
        return x * self.known

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return m y."""
        return y * self.known.to(y)

    def observed_mask(self, y: torch.Tensor) -> torch.Tensor:
        """Return m in y's shape."""
        return self.known.expand_as(y)

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return y with missing pixels filled by averages of the nearest measured pixels."""
        known = self.known.expand_as(y).to(y.dtype)
        return known * y + (1 - known) * pull(y * known, known)

    def known_pixels(self, y: torch.Tensor) -> torch.Tensor:
        """Return m, `(1, 1 or C, H, W)`."""
        return self.known

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return a part of the mask, and the same part of y.

        Raises:
            InputError: No pixel is measured there.
        """
        return Mask(box.of(self.known)), box

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y has another size than the mask, or other channels."""
        if y.shape[-2:] != self.known.shape[-2:] or self.known.shape[1] not in (1, y.shape[1]):
            (h, w), (a, b) = self.known.shape[-2:], y.shape[-2:]
            if (h, w) != (a, b):
                raise ShapeError(f"The mask is {w} x {h} and the image {b} x {a}: they must have the same size.")
            own, other = self.known.shape[1], y.shape[1]
            raise ShapeError(
                f"The mask has {own} channels and the image {other}; the mask must have one channel or as many."
            )


def pull(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the normalised average value / weight, from coarser scales where the weight is 0.

    Args:
        value: Values times their weights, `(B, C, H, W)`.
        weight: Weights in the same shape, in [0, 1].

    Example:
        >>> pull(torch.tensor([[[[0.5, 0.0]]]]), torch.tensor([[[[1.0, 0.0]]]]))
        tensor([[[[0.5000, 0.5000]]]])
    """
    height, width = value.shape[-2:]
    if height == width == 1:
        return value / weight.clamp_min(1e-6)
    pad = (0, width % 2, 0, height % 2)
    coarse = [F.avg_pool2d(F.pad(t, pad), 2) for t in (value, weight)]
    below = F.interpolate(pull(*coarse), size=(height + pad[3], width + pad[1]), mode="bilinear", align_corners=False)
    mixed = weight.clamp(0, 1)
    return value / weight.clamp_min(1e-6) * mixed + below[..., :height, :width] * (1 - mixed)
