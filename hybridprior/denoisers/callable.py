"""Any function (x, sigma) -> x0 as a denoiser, those of deepinv among them.

deepinv's denoisers are modules called as `model(x, sigma)` with intensity in [0, 1] and sigma a number or a tensor
`(B,)`: the same contract, so that duck typing is all it takes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from hybridprior._internal.imports import takes
from hybridprior.denoisers.base import Denoiser
from hybridprior.errors import ConfigError, ShapeError

__all__ = ["CallableDenoiser"]


class CallableDenoiser(Denoiser):
    """A function of noisy images and sigma."""

    precision = "fp32"

    def __init__(
        self,
        function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        *,
        channels: tuple[int, ...] = (1, 3),
        sigma_range: tuple[float, float] = (0.0, 1.0),
        multiple: int = 1,
    ) -> None:
        """Wrap a function; a module is held as one, with its weights frozen, so that it moves between devices.

        Args:
            function: Takes images `(B, C, H, W)` and sigma `(B,)`, both in units of intensity; returns images.
            channels: The numbers of channels it takes; other images are denoised channel by channel.
            sigma_range: What it knows; sigma is clipped to it.
            multiple: The sides it takes are multiples of this number.

        Raises:
            ConfigError: It does not take two arguments.
        """
        super().__init__()
        if not takes(function, 2):
            raise ConfigError(
                "A denoiser is a function of (x, sigma), and this one does not take two arguments. "
                "Give lambda x, sigma: network(x) for one that is told no sigma, and network(x, sigma=sigma) by name."
            )
        self.function = function.requires_grad_(False).eval() if isinstance(function, nn.Module) else function
        self.channels, self.sigma_range, self.multiple = channels, sigma_range, multiple

    def __deepcopy__(self, memo: dict[int, Any]) -> CallableDenoiser:
        """Return a copy with a network of its own; a function, and what it holds, is shared."""
        function = copy.deepcopy(self.function, memo) if isinstance(self.function, nn.Module) else self.function
        made = type(self)(function, channels=self.channels, sigma_range=self.sigma_range, multiple=self.multiple)
        made.precision = self.precision
        return made

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the function's value.

        Raises:
            ShapeError: It is no image of x's shape.
        """
        clean = self.function(x, sigma.reshape(-1))
        if not isinstance(clean, torch.Tensor) or clean.shape != x.shape:
            made = tuple(clean.shape) if isinstance(clean, torch.Tensor) else type(clean).__name__
            raise ShapeError(f"A denoiser returns an image of the shape it was given, {tuple(x.shape)}, not {made}.")
        return clean
