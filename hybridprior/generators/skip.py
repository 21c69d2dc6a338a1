"""The encoder-decoder network with skip connections of Deep Image Prior, in all its published variants.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", IJCV 2020, figure 21 and the tables of section "Technical details".
Encoder: two convolutions in each level, the first with stride 2. Decoder: batch norm of the concatenation, a
convolution and a 1x1 convolution, each followed by batch norm and leaky ReLU. The skip connections are 1x1 convolutions
to a few channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hybridprior.errors import ConfigError, unknown_name
from hybridprior.generators.base import GENERATORS, Generator, Shape, uniform
from hybridprior.generators.cuda import fused
from hybridprior.generators.cuda.doubling import doubled

__all__ = ["Skip", "SkipConfig"]

PADDINGS = ("reflect", "zeros", "replicate")
UPSAMPLES = ("bilinear", "nearest")
DOWNSAMPLES = ("stride", "avg", "max", "lanczos2", "lanczos3")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.2, inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
}


@dataclass(frozen=True)
class SkipConfig:
    """Architecture; the defaults are those of the paper for denoising and super-resolution.

    `down`, `up` and `skip` have one number for each level, from the finest to the coarsest.
    """

    input: str = "noise"
    """z: uniform "noise" in [0, `input_scale`), or the "mesh" of coordinates in [0, 1] (two channels)."""
    input_depth: int = 32
    """Channels of z if it is noise."""
    input_scale: float = 0.1
    """Upper end of the noise."""
    down: tuple[int, ...] = (128,) * 5
    """Channels of the convolutions in the encoder."""
    up: tuple[int, ...] = (128,) * 5
    """Channels of the convolutions in the decoder."""
    skip: tuple[int, ...] = (4,) * 5
    """Channels of the skip connections; 0 for none."""
    filter_down: int = 3
    """Side of the kernels in the encoder, odd."""
    filter_up: int = 3
    """Side of the kernels in the decoder, odd."""
    filter_skip: int = 1
    """Side of the kernels in the skip connections, odd."""
    upsample: str = "bilinear"
    """Upsampling: "bilinear" or "nearest"."""
    downsample: str = "stride"
    """Downsampling: "stride", "avg", "max", "lanczos2" or "lanczos3"."""
    padding: str = "reflect"
    """Padding of the convolutions: "reflect", "zeros" or "replicate"."""
    activation: str = "leaky_relu"
    """"leaky_relu" (slope 0.2), "relu", "elu" or "swish"."""
    conv1x1_up: bool = True
    """Whether each level of the decoder ends with a 1x1 convolution."""
    sigmoid: bool = True
    """Whether a sigmoid limits the output to [0, 1]."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` if the fields do not define a network."""
        if not len(self.down) == len(self.up) == len(self.skip) >= 1:
            raise ConfigError("skip: 'down', 'up' and 'skip' must have the same length, one number for each level.")
        if min(self.down + self.up + (self.input_depth,)) < 1 or min(self.skip) < 0:
            raise ConfigError("skip: numbers of channels must be positive (those of 'skip' may be 0).")
        if any(side < 1 or side % 2 == 0 for side in (self.filter_down, self.filter_up, self.filter_skip)):
            raise ConfigError("skip: the sides of the filters must be odd.")
        for kind, name, known in (
            ("input", self.input, ("noise", "mesh")),
            ("upsample", self.upsample, UPSAMPLES),
            ("downsample", self.downsample, DOWNSAMPLES),
            ("padding", self.padding, PADDINGS),
            ("activation", self.activation, ACTIVATIONS),
        ):
            if name not in known:
                raise unknown_name(f"skip {kind}", name, known)


class _Chain(nn.Sequential):
    """A sequence of layers. On a GPU a convolution with its batch norm and leaky ReLU is fused."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layers = list(self)
        while layers:
            x, taken = _first(layers, x)
            layers = layers[taken:]
        return x


class _Level(nn.Module):
    """One level: the skip connection, the encoder, the coarser levels and the decoder."""

    def __init__(self, channels: int, level: int, config: SkipConfig) -> None:
        super().__init__()
        down, up, skip = config.down[level], config.up[level], config.skip[level]
        deepest = level == len(config.down) - 1
        self.skip = _block(channels, skip, config.filter_skip, config) if skip else None
        self.down = _Chain(
            *_halving(channels, down, config), *_finish(down, config), _block(down, down, config.filter_down, config)
        )
        self.deeper = nn.Identity() if deepest else _Level(down, level + 1, config)
        merged = skip + (down if deepest else config.up[level + 1])
        self.norm = _norm(merged)
        self.up = _block(merged, up, config.filter_up, config)
        self.close = _block(up, up, 1, config) if config.conv1x1_up else nn.Identity()
        self.mode = config.upsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.deeper(self.down(x))
        if self.skip is None:
            y = doubled(y, self.mode)
        elif self.mode == "bilinear" and fused.fits(y):
            y = fused.merged(self.skip(x), y)
        else:
            y = torch.cat([self.skip(x), doubled(y, self.mode)], dim=1)
        y = fused.normalised(y, self.norm, filled=True) if fused.fits(y) else self.norm(y)
        out: torch.Tensor = self.close(self.up(y))
        return out


@GENERATORS.register("skip")
class Skip(Generator):
    """The network of Deep Image Prior."""

    Config = SkipConfig
    uses_input_noise = True
    capturable = True

    def __init__(self, channels: int, config: SkipConfig | None = None) -> None:
        """Construct the network for images with `channels` channels.

        Args:
            channels: Channels of the image.
            config: Architecture; `SkipConfig()` if not given.
        """
        super().__init__()
        self.config = config = config or SkipConfig()
        self.multiple = 2 ** len(config.down)
        # Reflection padding and batch norm need two pixels along each side at the coarsest level.
        self.smallest = self.multiple * max(2, config.filter_down // 2 + 1, config.filter_up // 2 + 1)
        planes = 2 if config.input == "mesh" else config.input_depth
        self.scales = _Level(planes, 0, config)
        self.output = _conv(config.up[0], channels, 1, config)
        self.last = nn.Sigmoid() if config.sigmoid else nn.Identity()

    def input(self, shape: Shape, rng: torch.Generator) -> torch.Tensor:
        """Return z, `(B, input_depth or 2, H, W)`."""
        batch, _, height, width = shape
        if self.config.input == "noise":
            return uniform((batch, self.config.input_depth, height, width), self.config.input_scale, rng)
        rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
        return torch.stack([columns, rows]).expand(batch, 2, height, width).contiguous()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the image, `(B, C, H, W)`."""
        features = self.scales(z)
        # The last convolution is never bf16: the resolution of bf16 above 1/2 is only that of eight bits.
        if fused.fits(features) and self.output.out_channels < fused.EIGHT:
            theta, sigmoid = (self.output.weight, self.output.bias), self.config.sigmoid
            return fused.mixed(features, *theta, sigmoid=sigmoid, kind=torch.float32)
        with torch.autocast(z.device.type, enabled=False):
            x: torch.Tensor = self.last(self.output(features.float()))
        return x


def _conv(channels_in: int, channels_out: int, side: int, config: SkipConfig, stride: int = 1) -> nn.Conv2d:
    padding = side // 2
    mode: Any = config.padding if padding else "zeros"
    return nn.Conv2d(channels_in, channels_out, side, stride=stride, padding=padding, padding_mode=mode)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, track_running_stats=False)


def _finish(channels: int, config: SkipConfig) -> tuple[nn.Module, nn.Module]:
    return _norm(channels), ACTIVATIONS[config.activation]()


def _first(layers: list[nn.Module], x: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Apply the first layer, or the first two or three where they are fused; return the result and their number."""
    conv, norm, act = (*layers[:3], None, None)[:3]
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and fused.fits(x):
        y = fused.unbiased(conv, x)
        if isinstance(act, nn.LeakyReLU):
            return fused.normalised(y, norm, act.negative_slope), 3
        return fused.normalised(y, norm), 2
    out: torch.Tensor = layers[0](x)
    return out, 1


def _block(channels_in: int, channels_out: int, side: int, config: SkipConfig) -> nn.Sequential:
    return _Chain(_conv(channels_in, channels_out, side, config), *_finish(channels_out, config))


def _halving(channels_in: int, channels_out: int, config: SkipConfig) -> list[nn.Module]:
    if config.downsample == "stride":
        return [_conv(channels_in, channels_out, config.filter_down, config, stride=2)]
    layers: list[nn.Module] = [_conv(channels_in, channels_out, config.filter_down, config)]
    if config.downsample == "avg":
        layers.append(nn.AvgPool2d(2))
    elif config.downsample == "max":
        layers.append(nn.MaxPool2d(2))
    else:
        from hybridprior.operators.downsample import Downsample

        layers.append(Downsample(2, kernel=config.downsample))
    return layers
