"""Any function (x, sigma) -> x0 as a denoiser, for example a denoiser of deepinv.

The denoisers of deepinv are modules called as `model(x, sigma)`, with intensity in [0, 1] and sigma a number or a
tensor `(B,)`. This is the same contract.
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
    """A denoiser made from a function of noisy images and sigma.

    Example:
        >>> import torch
        >>> from hybridprior.denoisers.callable import CallableDenoiser
        >>> halve = CallableDenoiser(lambda x, sigma: x / 2)
        >>> float(halve.denoise(torch.ones(1, 3, 2, 2), 0.1).mean())
        0.5
    """

    precision = "fp32"

    def __init__(
        self,
        function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        *,
        channels: tuple[int, ...] = (1, 3),
        sigma_range: tuple[float, float] = (0.0, 1.0),
        multiple: int = 1,
    ) -> None:
        """Wrap a function. A module becomes a submodule with frozen weights, so that it moves between devices.

        Args:
            function: Takes images `(B, C, H, W)` and sigma `(B,)`, both in units of intensity; returns images.
            channels: Numbers of channels that it accepts; other images are denoised channel by channel.
            sigma_range: Range of sigma, to which sigma is clipped.
            multiple: The sides of the images must be multiples of this number.

        Raises:
            ConfigError: The function does not take two arguments.
        """
        super().__init__()
        if not takes(function, 2):
            raise ConfigError(
                "A denoiser is a function of (x, sigma), and this one does not take two arguments. Use "
                "lambda x, sigma: network(x) for a network without sigma, or network(x, sigma=sigma) for a keyword."
            )
        self.function = function.requires_grad_(False).eval() if isinstance(function, nn.Module) else function
        self.channels, self.sigma_range, self.multiple = channels, sigma_range, multiple

    def __deepcopy__(self, memo: dict[int, Any]) -> CallableDenoiser:
        """Return a copy. A network is copied; a function is shared."""
        function = copy.deepcopy(self.function, memo) if isinstance(self.function, nn.Module) else self.function
        made = type(self)(function, channels=self.channels, sigma_range=self.sigma_range, multiple=self.multiple)
        made.precision = self.precision
        return made

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the result of the function.

        Raises:
            ShapeError: The result is no image in the shape of x.
        """
        clean = self.function(x, sigma.reshape(-1))
        if not isinstance(clean, torch.Tensor) or clean.shape != x.shape:
            made = tuple(clean.shape) if isinstance(clean, torch.Tensor) else type(clean).__name__
            raise ShapeError(
                f"A denoiser must return an image of the shape of its input, {tuple(x.shape)}, not {made}."
            )
        return clean
