"""Deep Decoder: an underparametrised network with 1x1 convolutions only.

Heckel and Hand, "Deep Decoder: Concise image representations from untrained non-convolutional networks", ICLR 2019,
section 2: each layer is a 1x1 convolution, bilinear upsampling by 2, ReLU and channel normalisation; the last layer has
no upsampling. The network has too few weights to fit noise and needs no early stopping.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from hybridprior.errors import ConfigError
from hybridprior.generators.base import GENERATORS, Generator, Shape, uniform

__all__ = ["Decoder", "DecoderConfig"]


@dataclass(frozen=True)
class DecoderConfig:
    """Architecture; the defaults are those of the paper for denoising."""

    channels: tuple[int, ...] = (128,) * 5
    """Channels of each upsampling layer, from the coarsest."""
    input_depth: int = 128
    """Channels of z."""
    input_scale: float = 0.1
    """z is drawn uniformly from [0, `input_scale`)."""
    sigmoid: bool = True
    """Whether a sigmoid limits the output to [0, 1]."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` if the fields do not define a network."""
        if not self.channels or min((*self.channels, self.input_depth)) < 1:
            raise ConfigError("decoder: give at least one layer, and positive numbers of channels.")


@GENERATORS.register("decoder")
class Decoder(Generator):
    """The network of Deep Decoder."""

    Config = DecoderConfig
    capturable = True

    def __init__(self, channels: int, config: DecoderConfig | None = None) -> None:
        """Construct the network for images with `channels` channels.

        Args:
            channels: Channels of the image.
            config: Architecture; `DecoderConfig()` if not given.
        """
        super().__init__()
        self.config = config = config or DecoderConfig()
        self.multiple = 2 ** len(config.channels)
        widths = (config.input_depth, *config.channels)
        following = (*widths[1:], widths[-1])
        self.mix = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in zip(widths, following, strict=True))
        self.norm = nn.ModuleList(nn.BatchNorm2d(width, track_running_stats=False) for width in following)
        self.output = nn.Conv2d(widths[-1], channels, 1, bias=False)
        self.last = nn.Sigmoid() if config.sigmoid else nn.Identity()

    def input(self, shape: Shape, rng: torch.Generator) -> torch.Tensor:
        """Return z, `(B, input_depth, H / 2^n, W / 2^n)`."""
        batch, _, height, width = shape
        small = (batch, self.config.input_depth, height // self.multiple, width // self.multiple)
        return uniform(small, self.config.input_scale, rng)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the image, `(B, C, H, W)`."""
        x = z
        for layer, (mix, norm) in enumerate(zip(self.mix, self.norm, strict=True)):
            x = mix(x)
            if layer < len(self.config.channels):
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = norm(F.relu(x))
        with torch.autocast(z.device.type, enabled=False):
            out: torch.Tensor = self.last(self.output(x.float()))
        return out
