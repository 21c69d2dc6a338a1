"""Noise that is added to z at each step, so that theta cannot fit each pixel to one z.

z + s n with n ~ N(0, 1) drawn anew, s the paper's "noise-based regularisation" (Ulyanov et al., IJCV 2020, section
"Technical details").
"""

from __future__ import annotations

import torch

from hybridprior._internal.random import stream

__all__ = ["InputNoise"]


class InputNoise:
    """z with new noise at each call."""

    def __init__(self, z: torch.Tensor, s: float, *, seed: int) -> None:
        """Allocate the noise.

        Args:
            z: The generator's input, mostly `(1, D, H, W)`, on its device.
            s: Standard deviation of the noise, in units of z; without any where it is 0.
            seed: Of the noise.
        """
        self.z, self.s, self.rng = z, s, stream(seed, "jitter", z.device)
        # Torch draws the normal distribution ten times faster where the memory has no gaps or strides.
        self.drawn = torch.empty(z.permute(0, 2, 3, 1).shape if z.ndim == 4 else z.shape, device=z.device)
        self.noise = self.drawn.permute(0, 3, 1, 2) if z.ndim == 4 else self.drawn

    def __call__(self) -> torch.Tensor:
        """Return z + s n, like z."""
        if not self.s:
            return self.z
        self.drawn.normal_(0, self.s, generator=self.rng)
        return self.z + self.noise
