"""Pixels as parameters: no architecture prior. What is left of the objective is E + lambda R alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from hybridprior.generators.base import GENERATORS, Generator, Shape

__all__ = ["Pixels", "PixelsConfig"]


@dataclass(frozen=True)
class PixelsConfig:
    """Where the pixels start."""

    start: float = 0.5
    """Intensity of every pixel at the start; what no measurement and no R moves stays there."""
    spread: float = 0.0
    """Standard deviation of the noise around it; a network that is asked of a flat image may have no gradient."""


@GENERATORS.register("pixels")
class Pixels(Generator):
    """f_theta(z) = theta, unbounded."""

    Config = PixelsConfig

    def __init__(self, channels: int, config: PixelsConfig | None = None) -> None:
        """Take the configuration; theta gets its size from `input`.

        Args:
            channels: Channels of the image.
            config: `PixelsConfig()` if not given.
        """
        super().__init__()
        self.config = config or PixelsConfig()
        self.theta = nn.Parameter(torch.empty(1, channels, 0, 0))

    def input(self, shape: Shape, rng: torch.Generator) -> torch.Tensor:
        """Give theta the shape and its start; return an empty z."""
        noise = self.config.spread * torch.randn(shape, generator=rng) if self.config.spread else torch.zeros(shape)
        self.theta.data = (self.config.start + noise).to(self.theta.device)
        return torch.zeros((shape[0], 0, 1, 1))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return theta, `(B, C, H, W)`."""
        return self.theta
