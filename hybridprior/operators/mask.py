"""The mask: some pixels were measured and the others are to be filled in. The task is inpainting.

The estimate `initial` fills the holes by normalised averages over coarser and coarser scales (push and pull): Gortler
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
    """A x = m x with m in {0, 1}."""

    task = "inpaint"
    tile_multiple = 1
    capturable = True
    known: torch.Tensor

    def __init__(self, known: torch.Tensor | np.ndarray) -> None:
        """Keep the pixels where `known` is 1.

        Args:
            known: `(H, W)`, `(1, H, W)` or `(1, 1 or C, H, W)`; over 0.5 is known.

        Raises:
            InputError: Nothing is known.
            ShapeError: Not a mask's shape.
        """
        super().__init__()
        known = torch.as_tensor(known.copy() if isinstance(known, np.ndarray) else known)  # it may run backwards
        if known.ndim not in (2, 3, 4) or (known.ndim == 4 and known.shape[0] != 1):
            raise ShapeError(f"A mask has the shape (H, W), (C, H, W) or (1, C, H, W), not {tuple(known.shape)}.")
        known = (known.to(torch.float32) > 0.5).to(torch.float32).reshape((1,) * (4 - known.ndim) + known.shape)
        if not known.any():
            raise InputError("The mask keeps nothing: every pixel is marked to be filled in. Is it inverted?")
        self.register_buffer("known", known)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with 0 where nothing is known."""
        return x * self.known

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return m y."""
        return y * self.known.to(y)

    def observed_mask(self, y: torch.Tensor) -> torch.Tensor:
        """Return m in y's shape."""
        return self.known.expand_as(y)

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return y with its holes filled by averages of what is known around them."""
        known = self.known.expand_as(y).to(y.dtype)
        return known * y + (1 - known) * pull(y * known, known)

    def known_pixels(self, y: torch.Tensor) -> torch.Tensor:
        """Return m, `(1, 1 or C, H, W)`."""
        return self.known

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the mask's part, and the same part of y.

        Raises:
            InputError: Nothing is known there.
        """
        return Mask(box.of(self.known)), box

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y has another size than the mask, or other channels."""
        if y.shape[-2:] != self.known.shape[-2:] or self.known.shape[1] not in (1, y.shape[1]):
            (h, w), (a, b) = self.known.shape[-2:], y.shape[-2:]
            if (h, w) != (a, b):
                raise ShapeError(f"The mask is {w} x {h} and the image {b} x {a}: they must have the same size.")
            ours, theirs = self.known.shape[1], y.shape[1]
            raise ShapeError(f"The mask has {ours} channels and the image {theirs}: as many, or one for all of them.")


def pull(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the normalised average value / weight, from coarser scales where the weight is 0.

    Args:
        value: What is to be averaged, times its weight, `(B, C, H, W)`.
        weight: In the same shape, in [0, 1].
    """
    height, width = value.shape[-2:]
    if height == width == 1:
        return value / weight.clamp_min(1e-6)
    pad = (0, width % 2, 0, height % 2)
    coarse = [F.avg_pool2d(F.pad(t, pad), 2) for t in (value, weight)]
    below = F.interpolate(pull(*coarse), size=(height + pad[3], width + pad[1]), mode="bilinear", align_corners=False)
    mixed = weight.clamp(0, 1)
    return value / weight.clamp_min(1e-6) * mixed + below[..., :height, :width] * (1 - mixed)
