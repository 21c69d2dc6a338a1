"""How test images are degraded: a frozen dataclass with the defaults of the command line. Importing it is fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridprior.errors import ConfigError, unknown_name
from hybridprior.presets import TASKS

__all__ = ["SIGMA_255", "Degradation"]

SIGMA_255 = {"denoise": 25.0, "deblur": 2.55}
"""Noise level of a task's test images in units of 0-255; 0 for the other tasks."""


@dataclass(frozen=True)
class Degradation:
    """How a clean image is degraded.

    Example:
        >>> Degradation(task="inpaint", missing=0.8).label
        '80 % missing'
    """

    task: str = "denoise"
    """"denoise", "sr", "inpaint", "deblur", "dejpeg" or "demosaic"."""
    sigma: float = 0.0
    """Standard deviation of the noise, in [0, 1]."""
    scale: int = 4
    """sr: the downsampling factor."""
    kernel: str = "lanczos2"
    """sr: the low-pass filter."""
    missing: float = 0.5
    """inpaint: fraction of the pixels that are removed at random."""
    blur: str = "gaussian:2"
    """deblur: the kernel, as `hybridprior.operators.kernels.make_psf` takes it."""
    boundary: str = "circular"
    """deblur: the boundary condition, as `Blur` takes it; "circular" is the convention of published tables."""
    quality: int = 20
    """dejpeg: quality of the JPEG file, 1 to 95."""
    bayer: str = "RGGB"
    """demosaic: the Bayer pattern."""
    seed: int = 0
    """Seed of the noise and of the missing pixels."""

    @property
    def nominal_sigma(self) -> float | None:
        """The noise level that is passed to a restoration: sigma; None for JPEG, whose error is estimated."""
        return None if self.task == "dejpeg" else self.sigma

    def __post_init__(self) -> None:
        """Raise `ConfigError` for an unknown task or a number out of its range."""
        if self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ConfigError(f"sigma is a number, 0 or more, not {self.sigma}.")
        if not 0 < self.missing < 1:
            raise ConfigError(f"missing is a fraction between 0 and 1, not {self.missing}.")

    @property
    def label(self) -> str:
        """The condition in words: "sigma 25", "x4", "50 % missing", and what differs from the defaults."""
        noise = f"sigma {255 * self.sigma:.4g}"
        words = {
            "denoise": [noise],
            "sr": [f"x{self.scale}", *([] if self.kernel == Degradation.kernel else [self.kernel])],
            "inpaint": [f"{100 * self.missing:.4g} % missing"],
            "deblur": [self.blur, *([] if self.boundary == Degradation.boundary else [self.boundary])],
            "dejpeg": [f"quality {self.quality}"],
            "demosaic": [self.bayer],
        }[self.task]
        return ", ".join([*words, noise] if self.sigma and self.task != "denoise" else words)
