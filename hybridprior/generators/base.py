"""The generator f_theta: a network whose weights theta are the unknowns, and whose structure is the local prior.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", CVPR 2018, eq. (2): x = f_theta(z) with z fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from hybridprior._internal.random import drawn
from hybridprior._internal.registry import Registry, build_config
from hybridprior.errors import ConfigError

__all__ = ["GENERATORS", "Generator", "build_generator", "uniform"]

Shape = tuple[int, int, int, int]


class Generator(nn.Module):
    """An image as a function of weights.

    Subclasses set `multiple` and write `input` and `forward`. They take `(channels, config)`, with `config` an instance
    of their frozen dataclass `Config`, whose defaults are the only ones.
    """

    Config: type
    """The part's frozen dataclass of options."""

    multiple: int = 1
    """`forward` makes images whose sides are multiples of this number."""

    smallest: int = 1
    """`forward` makes images whose sides are at least this long."""

    uses_input_noise: bool = False
    """Whether the solver's jitter of z regularises it; where z is not noise, or is weak noise, it would only harm."""

    capturable: bool = False
    """Whether `forward` can be recorded as a CUDA graph: the same kernels whatever the values, no copies to a GPU."""

    def padded(self, shape: Shape) -> Shape:
        """Return the smallest shape the generator can make that holds an image of `shape`.

        Args:
            shape: `(B, C, H, W)` of the wanted image, any H, W >= 1.
        """
        height, width = (max(self.smallest, math.ceil(side / self.multiple) * self.multiple) for side in shape[-2:])
        return (shape[0], shape[1], height, width)

    def input(self, shape: Shape, rng: torch.Generator) -> torch.Tensor:
        """Return the fixed input z for images of `shape`.

        Args:
            shape: `(B, C, H, W)` as `padded` returned it.
            rng: The generator of random numbers to draw from.
        """
        raise NotImplementedError

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the image x = f_theta(z), `(B, C, H, W)`, intensity in [0, 1] for images."""
        raise NotImplementedError


GENERATORS: Registry[Callable[..., Generator]] = Registry("generator")


def build_generator(name: str, channels: int, options: Mapping[str, Any] | None = None, *, seed: int = 0) -> Generator:
    """Return the generator registered as `name`, its weights drawn from `seed`.

    The process's own stream of random numbers is left as it was.

    Args:
        name: A registered name: "skip", "decoder", "pixels".
        channels: Channels of the image.
        options: Fields of the generator's `Config` that depart from its defaults.
        seed: Seed of theta's start.

    Raises:
        ConfigError: An unknown name or option, or an image without channels.
    """
    factory = GENERATORS.find(name)
    if channels < 1:
        raise ConfigError("An image needs at least one channel.")
    config = build_config(factory.Config, options or {}, part=name)  # type: ignore[attr-defined]
    with drawn(seed, "theta"):
        return factory(channels, config)


def uniform(shape: Shape, high: float, rng: torch.Generator) -> torch.Tensor:
    """Return noise drawn uniformly from [0, high), on the CPU so that every device starts from the same bits."""
    return torch.rand(shape, generator=rng).mul_(high)
