"""How good a denoiser is: mean PSNR on held-out photographs for each noise level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hybridprior.errors import InputError
from hybridprior.metrics import psnr
from hybridprior.training.data import Photographs, centre

__all__ = ["SIGMAS", "Validation"]

SIGMAS = (5, 15, 25, 50, 75, 100)
"""Noise levels judged, in units of 0-255."""

Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Validation:
    """Centre crops of photographs that no training saw."""

    images: tuple[torch.Tensor, ...]
    """Each `(1, 3, H, W)`, intensity in [0, 1]."""
    sigmas: tuple[int, ...] = SIGMAS
    """Noise levels, in units of 0-255."""

    @classmethod
    def read(cls, paths: Sequence[Path], *, side: int = 256, sigmas: Sequence[int] = SIGMAS) -> Validation:
        """Return the validation on the centres of photographs.

        Args:
            paths: The files.
            side: Of a centre crop; the whole side where it is shorter.
            sigmas: Noise levels, in units of 0-255.

        Raises:
            InputError: No photograph.
        """
        if not paths:
            raise InputError("Validation needs one photograph at least.")
        crops = [centre(image, side)[None].float() / 255 for image in Photographs(paths, smallest=1).images]
        return cls(tuple(crops), tuple(sigmas))

    @torch.no_grad()
    def measure(self, denoise: Denoise) -> dict[int, float]:
        """Return the mean of the images' PSNRs in dB for each noise level.

        The noise is drawn by a CPU generator seeded 0 for each image; the outputs are clipped to [0, 1].

        Args:
            denoise: Takes noisy images `(1, 3, H, W)` and sigma `(1, 1, 1, 1)`.
        """
        figures = {}
        for sigma in self.sigmas:
            values = []
            for x in self.images:
                noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
                level = torch.full((1, 1, 1, 1), sigma / 255)
                values.append(psnr(denoise(x + level * noise, level).cpu(), x))
            figures[sigma] = sum(values) / len(values)
        return figures
