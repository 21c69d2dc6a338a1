"""The generator f_theta: a network whose weights theta are optimised and whose structure is the local prior.

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
    """Base class of the generators: an image as a function of weights.

    Subclasses set `multiple` and implement `input` and `forward`. The constructor takes `(channels, config)`, where
    `config` is an instance of the frozen dataclass `Config`, which holds all defaults.
    """

    Config: type
    """Frozen dataclass of the options."""

    multiple: int = 1
    """The sides of the images of `forward` are multiples of this number."""

    smallest: int = 1
    """Smallest side of the images of `forward`, in pixels."""

    uses_input_noise: bool = False
    """Whether the solver adds noise to z in each step. It is False where z is not noise itself."""

    is_network: bool = True
    """Whether theta is the weights of a network, whose architecture is a prior."""

    capturable: bool = False
    """Whether `forward` can be captured as a CUDA graph: the kernels do not depend on values, and nothing is copied to
    the GPU."""

    def padded(self, shape: Shape) -> Shape:
        """Return the smallest shape of an image of this generator that contains an image of `shape`.

        Args:
            shape: `(B, C, H, W)` of the wanted image, any H, W >= 1.
        """
        height, width = (max(self.smallest, math.ceil(side / self.multiple) * self.multiple) for side in shape[-2:])
        return (shape[0], shape[1], height, width)

    def input(self, shape: Shape, rng: torch.Generator) -> torch.Tensor:
        """Return the fixed input z for images of `shape`.

        Args:
            shape: `(B, C, H, W)` as returned by `padded`.
            rng: The random generator.
        """
        raise NotImplementedError

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the image x = f_theta(z), `(B, C, H, W)`, intensity in [0, 1]."""
        raise NotImplementedError


GENERATORS: Registry[Callable[..., Generator]] = Registry("generator")


def build_generator(name: str, channels: int, options: Mapping[str, Any] | None = None, *, seed: int = 0) -> Generator:
    """Return the generator registered as `name`, with weights drawn from `seed`.

    The global random state of the process is not changed.

    Args:
        name: A registered name: "skip", "decoder", "pixels".
        channels: Channels of the image.
        options: Fields of the generator's `Config` that differ from the defaults.
        seed: Seed of the initial theta.

    Raises:
        ConfigError: An unknown name or option, or `channels` below 1.

    Example:
        >>> import torch
        >>> from hybridprior.generators import build_generator
        >>> network = build_generator("decoder", 3, {"channels": (8, 8), "input_depth": 4})
        >>> shape = network.padded((1, 3, 30, 21))
        >>> network(network.input(shape, torch.Generator().manual_seed(0))).shape
        torch.Size([1, 3, 32, 24])
    """
    factory = GENERATORS.find(name)
    if channels < 1:
        raise ConfigError("channels must be at least 1.")
    config = build_config(factory.Config, options or {}, part=name)  # type: ignore[attr-defined]
    with drawn(seed, "theta"):
        return factory(channels, config)


def uniform(shape: Shape, high: float, rng: torch.Generator) -> torch.Tensor:
    """Return noise drawn uniformly from [0, high), on the CPU, so that all devices start with the same values.

    Args:
        shape: `(B, C, H, W)`.
        high: Upper end.
        rng: Random generator on the CPU.

    Example:
        >>> import torch
        >>> from hybridprior.generators.base import uniform
        >>> bool(uniform((1, 2, 3, 4), 0.1, torch.Generator()).max() < 0.1)
        True
    """
    return torch.rand(shape, generator=rng).mul_(high)
