"""Test pictures: a clean one degraded by the conventions of the literature.

Noise is white, Gaussian, not clipped, and drawn from a CPU generator with the stated seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hybridprior.errors import ConfigError, unknown_name
from hybridprior.operators import Identity, Mask, Operator, Resample

__all__ = ["Degradation", "degrade"]


@dataclass(frozen=True)
class Degradation:
    """How a clean picture is degraded."""

    task: str = "denoise"
    """"denoise", "sr" or "inpaint"."""
    sigma: float = 0.0
    """Standard deviation of the noise, in [0, 1]."""
    scale: int = 4
    """sr: how many times smaller."""
    kernel: str = "lanczos2"
    """sr: the low-pass filter."""
    missing: float = 0.5
    """inpaint: share of the pixels that go missing, at random."""
    seed: int = 0
    """Of the generator of noise and of missing pixels."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a task that there is not, or numbers out of their range."""
        if self.task not in ("denoise", "sr", "inpaint"):
            raise unknown_name("task", self.task, ("denoise", "sr", "inpaint"))
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ConfigError(f"sigma is a number, 0 or more, not {self.sigma}.")
        if not 0 < self.missing < 1:
            raise ConfigError(f"missing is a share between 0 and 1, not {self.missing}.")


def degrade(x: torch.Tensor, how: Degradation) -> tuple[torch.Tensor, Operator]:
    """Return the measurements of a clean picture and the operator that made them.

    Args:
        x: `(1, C, H, W)` in [0, 1]; for "sr" its sides are multiples of the scale.
        how: The degradation.

    Raises:
        ConfigError: A picture that the scale does not divide.
    """
    rng = torch.Generator().manual_seed(how.seed)
    operator: Operator = Identity()
    if how.task == "sr":
        operator = Resample(how.scale, how.kernel)
        if x.shape[-2] % how.scale or x.shape[-1] % how.scale:
            raise ConfigError(
                f"A picture of {x.shape[-1]} x {x.shape[-2]} is no multiple of {how.scale}; crop it first."
            )
    elif how.task == "inpaint":
        operator = Mask((torch.rand((1, 1, *x.shape[-2:]), generator=rng) >= how.missing).float())
    y = operator(x)
    if how.sigma:
        noisy = y + how.sigma * torch.randn(y.shape, generator=rng)
        y = operator(noisy) if how.task == "inpaint" else noisy
    return y, operator
