"""Deep Decoder: an underparametrised network without convolutions wider than a pixel.

Heckel and Hand, "Deep Decoder: Concise image representations from untrained non-convolutional networks", ICLR 2019,
section 2: each layer mixes channels (1x1 convolution), doubles the image bilinearly, applies ReLU and normalises each
channel; a last one does so at full size. With few weights it cannot fit noise, and needs no early stopping.
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
    """The network's shape; the defaults are the paper's for denoising."""

    channels: tuple[int, ...] = (128,) * 5
    """Channels of each doubling layer, from the coarsest."""
    input_depth: int = 128
    """Planes of z."""
    input_scale: float = 0.1
    """Upper end of the noise z, drawn uniformly from [0, `input_scale`)."""
    sigmoid: bool = True
    """Whether the output goes through a sigmoid, and so stays in [0, 1]."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` where the fields do not make a network."""
        if not self.channels or min((*self.channels, self.input_depth)) < 1:
            raise ConfigError("decoder: at least one layer, and positive channels.")


@GENERATORS.register("decoder")
class Decoder(Generator):
    """Deep Decoder's network."""

    Config = DecoderConfig
    capturable = True

    def __init__(self, channels: int, config: DecoderConfig | None = None) -> None:
        """Draw a network for images of `channels` channels.

        Args:
            channels: Channels of the image.
            config: The network's shape; `DecoderConfig()` if not given.
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
