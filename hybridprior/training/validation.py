"""Validation of a denoiser: mean PSNR at each noise level, and the gain for the noise of a camera and for JPEG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hybridprior.errors import InputError
from hybridprior.metrics import psnr
from hybridprior.training.data import Photographs, centre
from hybridprior.training.degradations import DegradationConfig, degrade

__all__ = ["SIGMAS", "Validation"]

SIGMAS = (5, 15, 25, 50, 75, 100)
"""Noise levels, in units of 0-255."""

Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Validation:
    """Centre crops of the validation photographs."""

    images: tuple[torch.Tensor, ...]
    """Each `(1, 3, H, W)`, intensity in [0, 1]."""
    sigmas: tuple[int, ...] = SIGMAS
    """Noise levels, in units of 0-255."""

    @classmethod
    def read(cls, paths: Sequence[Path], *, side: int = 256, sigmas: Sequence[int] = SIGMAS) -> Validation:
        """Return the validation on the centres of photographs.

        Args:
            paths: The files.
            side: Side of a centre crop, or the whole side if it is shorter.
            sigmas: Noise levels, in units of 0-255.

        Raises:
            InputError: No photograph.
        """
        if not paths:
            raise InputError("The validation needs at least one photograph.")
        crops = [centre(image, side)[None].float() / 255 for image in Photographs(paths, smallest=1).images]
        return cls(tuple(crops), tuple(sigmas))

    @torch.no_grad()
    def measure(self, denoise: Denoise) -> dict[int, float]:
        """Return the mean PSNR over the images in dB for each noise level.

        The noise of each image is drawn by a CPU generator with seed 0. The outputs are clipped to [0, 1].

        Args:
            denoise: Takes noisy images `(1, 3, H, W)` and sigma `(1, 1, 1, 1)`.

        Example:
            >>> import torch
            >>> from hybridprior.training import Validation
            >>> validation = Validation((torch.full((1, 3, 32, 32), 0.5),), sigmas=(25,))
            >>> round(validation.measure(lambda x, sigma: x)[25])
            20
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

    @torch.no_grad()
    def measure_degraded(self, denoise: Callable[..., torch.Tensor], *, side: int = 128) -> dict[str, float]:
        """Return the mean gain in dB over the degraded patches, for the noise of a camera and for JPEG.

        The degradations are drawn by a CPU generator with seed 0, and the network gets their exact conditions.

        Args:
            denoise: Takes noisy patches `(B, 3, H, W)`, their level and the planes of their condition.
            side: Side of the patches in pixels.
        """
        photographs = Photographs.of(self.images)
        gains = {}
        for name in ("camera", "jpeg"):
            rng, values = torch.Generator().manual_seed(0), []
            camera, jpeg = float(name == "camera"), float(name == "jpeg")
            config = DegradationConfig(camera=camera, jpeg=jpeg, uncertainty=0.0)

            def draw(count: int, size: int, rng: torch.Generator = rng) -> torch.Tensor:
                return photographs.patches(count, size, rng, grey=0.0)

            for _ in range(2 * len(self.images)):
                sample = degrade(draw, 2, side, rng, config)
                after = denoise(sample.noisy, sample.level, sample.planes).cpu()
                pairs = zip(after, sample.noisy, sample.clean, strict=True)
                values += [psnr(a[None], c[None]) - psnr(n[None], c[None]) for a, n, c in pairs]
            gains[name] = sum(values) / len(values)
        return gains
