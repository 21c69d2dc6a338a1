"""The network of the shipped denoiser: a residual U-Net of dense 3x3 convolutions without biases.

The architecture follows DRUNet (Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", TPAMI 2022):
the noise level is an additional channel. There are two differences. The input is 2x2 pixel-unshuffled, which reduces
the cost to a quarter, and the output is the noise instead of the image. Without biases the output is homogeneous in
contrast and sigma (Mohan et al., ICLR 2020), so that the network generalises to other noise levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from hybridprior.denoisers.base import extend
from hybridprior.errors import ConfigError

__all__ = ["UNet", "UNetConfig"]

GREY = 0.5
"""The intensity that is subtracted from the image."""

FINEST = 1 / 255
"""Below this sigma the output is scaled with sigma, so that an image without noise is not changed."""


@dataclass(frozen=True)
class UNetConfig:
    """Architecture of the network."""

    widths: tuple[int, ...] = (48, 96, 128, 192)
    """Channels of each level. Each level has half the resolution of the one before."""
    blocks: int = 2
    """Residual blocks of each level in the encoder, and the same number in the decoder."""
    unshuffle: int = 2
    """Factor of the pixel-unshuffling before the first level."""
    channels: int = 3
    """Channels of the image."""
    conditions: int = 0
    """Channels for the correlation and quantisation of the noise, beside the noise level; 0 for white noise only."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a network without levels, blocks or channels."""
        sizes = (*self.widths, self.blocks, self.unshuffle, self.channels)
        if not self.widths or min(sizes) < 1 or self.conditions < 0:
            raise ConfigError(
                "A U-Net needs at least one level, block and channel, and an unshuffle factor of at least 1."
            )


class Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a feature map of x's shape."""
        residual: torch.Tensor = self.second(F.relu_(self.first(x)))
        return residual.add_(x)


class UNet(nn.Module):
    """D(x; sigma): the expectation of the clean image given a noisy image and its noise level."""

    def __init__(self, config: UNetConfig | None = None) -> None:
        """Construct the network with weights from the global random state of torch.

        Args:
            config: `UNetConfig()` if not given.
        """
        super().__init__()
        self.config = config = config or UNetConfig()
        self.multiple = config.unshuffle * 2 ** (len(config.widths) - 1)
        patch, widths = config.channels * config.unshuffle**2, config.widths
        pairs = list(zip(widths, widths[1:], strict=False))
        self.head = _conv(patch + 1 + config.conditions, widths[0])
        self.encoder = nn.ModuleList(_level(width, config.blocks) for width in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairs)
        self.expand = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in pairs)
        self.decoder = nn.ModuleList(_level(width, config.blocks) for width in widths[:-1])
        self.tail = _conv(widths[0], patch)
        for module in self.modules():
            if isinstance(module, Block):
                module.second.weight.data.mul_(0.1)
        nn.init.zeros_(self.tail.weight)

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, planes: torch.Tensor | None = None) -> torch.Tensor:
        """Return the denoised image.

        Args:
            x: Noisy images `(B, C, H, W)`, intensity in [0, 1] plus noise, any H, W >= 1.
            sigma: Standard deviation of the noise in the same unit, `(B, 1, 1, 1)` or a map `(B, 1, H, W)`.
            planes: Correlation and quantisation of the noise, `(B, conditions, 1, 1)` or `(B, conditions, H, W)`;
                white noise if not given.
        """
        level = sigma.clamp_min(FINEST)
        maps = self._features(x - GREY, level, planes)
        noise = F.pixel_shuffle(self.tail(self._decode(maps)), self.config.unshuffle)
        return x - sigma / level * noise[..., : x.shape[-2], : x.shape[-1]].float()

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the feature maps of the encoder for clean images x, one for each level, the finest first."""
        return self._features(x - GREY, torch.full_like(x[:, :1], FINEST), None)

    def _features(self, x: torch.Tensor, level: torch.Tensor, planes: torch.Tensor | None) -> list[torch.Tensor]:
        known = level.expand(-1, -1, *x.shape[-2:])
        if self.config.conditions:
            if planes is None:
                planes = level.new_zeros(1, self.config.conditions, 1, 1)
            known = torch.cat([known, planes.expand(len(x), -1, *x.shape[-2:])], dim=1)
        x, known = extend(x, self.multiple), extend(known, self.multiple)
        factor = self.config.unshuffle
        h = self.head(torch.cat([F.pixel_unshuffle(x, factor), F.avg_pool2d(known, factor)], dim=1))
        maps = [self.encoder[0](h)]
        for shrink, blocks in zip(self.shrink, list(self.encoder)[1:], strict=True):
            maps.append(blocks(shrink(maps[-1])))
        return maps

    def _decode(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        h = maps[-1]
        for skip, expand, blocks in reversed(list(zip(maps, self.expand, self.decoder, strict=False))):
            h = blocks(expand(h) + skip)
        return h


def _conv(inward: int, outward: int) -> nn.Conv2d:
    return nn.Conv2d(inward, outward, 3, padding=1, bias=False)


def _level(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(blocks)))
