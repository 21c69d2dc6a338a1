"""No regulariser: R = 0, the image-only mode."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hybridprior.regularisers.base import REGULARISERS, Regulariser

__all__ = ["NoRegulariser", "NoneConfig"]


@dataclass(frozen=True)
class NoneConfig:
    """No options."""


@REGULARISERS.register("none")
class NoRegulariser(Regulariser):
    """R(x) = 0."""

    Config = NoneConfig

    def __init__(self, config: NoneConfig | None = None) -> None:
        """Accept the empty configuration."""
        super().__init__()

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return 0."""
        return x.new_zeros(())
