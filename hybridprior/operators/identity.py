"""The identity: every pixel is measured, with noise. The task is denoising."""

from __future__ import annotations

import torch

from hybridprior.analysis.estimate import estimate_noise
from hybridprior.noise_model import NoiseModel
from hybridprior.operators.base import OPERATORS, Box, Operator

__all__ = ["Identity"]


@OPERATORS.register("identity")
class Identity(Operator):
    """A x = x.

    Example:
        >>> Identity()(torch.ones(1, 1, 2, 2)).sum()
        tensor(4.)
    """

    is_identity = True
    tile_multiple = 1
    capturable = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x."""
        return x

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return y."""
        return y

    def noise_model(self, y: torch.Tensor) -> NoiseModel:
        """Return the noise of y, estimated from y: white or not, as a function of intensity."""
        return estimate_noise(y)

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the identity, and the same part."""
        return self, box
