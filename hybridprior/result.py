"""What a restoration gives back: the image, how it came about, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hybridprior.config import RestoreConfig
from hybridprior.fusion_weights import FusionWeights

if TYPE_CHECKING:
    from PIL import Image


__all__ = ["Result", "Status", "Step", "Timings", "TracePoint", "Uncertainty"]


class Status(Enum):
    """How a run ended; the value is a message for people."""

    STOPPED = "The stopping rule ended the run."
    FINISHED = "All steps were taken."
    INTERRUPTED = "Interrupted; the best image so far is returned, and the run can be resumed."
    DIVERGED = "The run diverged time and again; the best image before that is returned. Try a lower learning rate."

    def said(self, *, found: bool, rollbacks: int, validation: float | None) -> str:
        """Return the message of a run.

        Args:
            found: Whether any step was good.
            rollbacks: How often it was rolled back.
            validation: Fraction of the measurements that were held out for validation.
        """
        parts = [self.value if found else f"{self.value} No step was good; this is a cheap estimate."]
        if rollbacks:
            parts.append(f"Rolled back {rollbacks} time{'s' if rollbacks > 1 else ''}.")
        if validation is not None:
            parts.append(f"{100 * validation:.2g} % of the measurements were held out and are not in the image.")
        return " ".join(parts)


@dataclass(frozen=True, eq=False)
class Step:
    """What a callback and a stopping rule see of a step. There is no ground truth in it."""

    number: int
    """Counted from 1."""
    image: torch.Tensor
    """The averaged iterate, `(1, C, H, W)`: the solver's own, changed by the next step; clone it to keep it."""
    iterate: torch.Tensor
    """The step's own f_theta(z), `(1, C, H, W)`."""
    energy: float
    """E in nats per measurement; 0.5 at the noise level."""
    prior: float
    """lambda R in nats per measurement."""
    validation_error: float | None
    """Mean squared error of `image` on the held-out measurements, where some are."""
    chosen: int
    """The best step so far, by the rule and not counting this one; 0 at first."""
    seconds: float
    """Time spent, callbacks excluded."""
    tile: tuple[int, int] | None = None
    """Which tile this is, and of how many, where the image is solved tile by tile; `image` is the tile's own."""


@dataclass(frozen=True)
class TracePoint:
    """One step's figures."""

    step: int
    """Counted from 1."""
    energy: float
    """E in nats per measurement."""
    prior: float
    """lambda R in nats per measurement."""
    score: float | None
    """The stopping rule's statistic."""


@dataclass(frozen=True)
class Timings:
    """Where the time went, in seconds, callbacks excluded."""

    setup: float
    """Drawing the network and its input."""
    steps: float
    """The loop."""

    @property
    def total(self) -> float:
        """The whole restoration."""
        return self.setup + self.steps


FLAT = 0.01
"""Ratio of the scaled variance of the samples to the floor's below which the uncertainty is the same everywhere."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Standard deviations of the image's errors, fitted to validation measurements."""

    std: torch.Tensor
    """`(1, C, H, W)`, in units of intensity: sqrt(scale^2 raw^2 + floor^2)."""
    raw: torch.Tensor
    """`(1, C, H, W)`, in units of intensity: standard deviation of the samples."""
    scale: float
    """Factor of the samples' standard deviation."""
    floor: float
    """Standard deviation of every pixel besides, in units of intensity."""
    before: float
    """Mean squared error over mean variance at the validation measurements, without the fit; 1 is calibrated."""
    after: float
    """The same with the fit."""
    method: str
    """How the samples were drawn."""
    samples: int
    """Number of samples."""

    @property
    def flat(self) -> bool:
        """Whether the uncertainty is practically the same at every pixel."""
        return self.scale**2 * float(self.raw.double().square().mean()) < FLAT * self.floor**2

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, without the maps."""
        return {
            "method": self.method,
            "samples": self.samples,
            "scale": self.scale,
            "floor": self.floor,
            "normalised_before": self.before,
            "normalised_after": self.after,
            "std_mean": float(self.std.mean()),
            "std_max": float(self.std.max()),
        }


@dataclass(frozen=True, eq=False)
class Result:
    """A restored image and its history."""

    image: torch.Tensor
    """`(1, C, H, W)`, float32 on the CPU, intensity in [0, 1] for images, not clipped."""
    step: int
    """The step the rule chose; `image` is the averaged iterate there. Of tiles, the mean."""
    status: Status
    """How the run ended."""
    message: str
    """The same in a sentence or two for people, with rollbacks and what was held out."""
    trace: tuple[TracePoint, ...]
    """Figures of each step; of tiles, one after the other."""
    config: RestoreConfig
    """What ran."""
    sigma: float
    """Standard deviation of the noise, as given or estimated, in [0, 1]."""
    timings: Timings
    """Where the time went."""
    precision: str
    """The arithmetic used and why."""
    held_out: float = 0.0
    """Share of the measurements that took no part in the image."""
    fusion: FusionWeights | None = None
    """The stacking weights of a fusion."""
    uncertainty: Uncertainty | None = None
    """How far off each pixel is, where `restore_with_uncertainty` found out."""
    checkpoint: dict[str, Any] | None = field(default=None, repr=False)
    """What `restore(checkpoint=...)` resumes from, where the run was interrupted."""

    def to_array(self) -> np.ndarray:
        """Return the image as `(H, W, C)`, or `(H, W)` where it is grey, float32, clipped to [0, 1]."""
        array = self.image[0].clamp(0, 1).permute(1, 2, 0).numpy()
        return array[..., 0] if array.shape[-1] == 1 else array

    def to_pil(self) -> Image.Image:
        """Return the image as an eight-bit grey or RGB image of Pillow.

        Raises:
            ShapeError: It has neither 1 nor 3 channels.
        """
        from hybridprior.io.image import to_pil

        return to_pil(self.image)
