"""Pixels as parameters: no architecture prior. The objective is E(A x; y) + lambda R(x)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from hybridprior.generators.base import GENERATORS, Generator, Shape

__all__ = ["Pixels", "PixelsConfig"]


@dataclass(frozen=True)
class PixelsConfig:
    """Initial values."""

    start: float = 0.5
    """Initial intensity of every pixel. Pixels without a gradient keep it."""
    noise_std: float = 0.0
    """Standard deviation of noise added to it. Networks in A or R may have no gradient at a flat image."""


@GENERATORS.register("pixels")
class Pixels(Generator):
    """f_theta(z) = theta, unbounded."""

    Config = PixelsConfig
    is_network = False

    def __init__(self, channels: int, config: PixelsConfig | None = None) -> None:
        """Make an empty theta; `input` sets its size.

        Args:
            channels: Channels of the image.
            config: `PixelsConfig()` if not given.
        """
        super().__init__()
        self.config = config or PixelsConfig()
        self.theta = nn.Parameter(torch.empty(1, channels, 0, 0))

    def input(self, shape: Shape, rng: torch.Generator) -> torch.Tensor:
        """Initialise theta for images of `shape` and return an empty z."""
        std = self.config.noise_std
        noise = std * torch.randn(shape, generator=rng) if std else torch.zeros(shape)
        self.theta.data = (self.config.start + noise).to(self.theta.device)
        return torch.zeros((shape[0], 0, 1, 1))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return theta, `(B, C, H, W)`."""
        return self.theta
