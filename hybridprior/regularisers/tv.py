"""Total variation: the sum of the magnitudes of the gradient.

Rudin, Osher, Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 1992. The prior is p(x) =
exp(-TV(x) / b) / Z(b), and Z(b) is proportional to b to the power of the number of pixels. The maximum-likelihood
estimate of b is then the mean of TV per pixel and channel. The default is this mean over 373 photographs, so that R =
TV / b is in nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from hybridprior.errors import ConfigError
from hybridprior.regularisers.base import REGULARISERS, Regulariser

__all__ = ["TotalVariation", "TotalVariationConfig", "total_variation"]


@dataclass(frozen=True)
class TotalVariationConfig:
    """The scale of the prior."""

    scale: float = 0.043
    """b: mean magnitude of the gradient in photographs, in units of intensity per pixel."""
    smoothing: float = 1e-3
    """Magnitude below which TV is smoothed, so that flat images have a derivative."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a scale or a smoothing that is not positive."""
        if not self.scale > 0 or not self.smoothing > 0:
            raise ConfigError("tv: scale and smoothing must be positive.")


def total_variation(x: torch.Tensor, smoothing: float = 1e-3) -> torch.Tensor:
    """Return the isotropic total variation, summed over pixels and channels.

    Args:
        x: `(B, C, H, W)`.
        smoothing: epsilon in sqrt(dx^2 + dy^2 + epsilon^2) - epsilon.

    Example:
        >>> import torch
        >>> from hybridprior.regularisers import total_variation
        >>> x = torch.zeros(1, 1, 2, 4)
        >>> x[..., 2:] = 1  # an edge of height 1 through two rows
        >>> round(float(total_variation(x, smoothing=1e-6)), 3)
        2.0
    """
    right = F.pad(x[..., :, 1:] - x[..., :, :-1], (0, 1, 0, 0))
    below = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    return ((right.square() + below.square() + smoothing**2).sqrt() - smoothing).sum()


@REGULARISERS.register("tv")
class TotalVariation(Regulariser):
    """R(x) = TV(x) / b."""

    Config = TotalVariationConfig

    def __init__(self, config: TotalVariationConfig | None = None) -> None:
        """Set the scale.

        Args:
            config: `TotalVariationConfig()` if not given.
        """
        super().__init__()
        self.config = config or TotalVariationConfig()

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return TV(x) / b in nats, a scalar."""
        return total_variation(x, self.config.smoothing) / self.config.scale
