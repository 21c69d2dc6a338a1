"""What is wrong with an image, and which task mends it: `diagnose()`.

Two errors are measured and the larger one is named: noise, white or not (`hybridprior.analysis.noise`), and what JPEG
rounded away (`hybridprior.analysis.jpeg`). The thresholds were chosen on photographs; docs/choosing.md has the
confusion table.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hybridprior.analysis.jpeg import blockiness, file_steps, losses, pixel_quality, quality_of, steps_of
from hybridprior.analysis.noise import channel_sigmas, estimate_sigma, grain
from hybridprior.io.files import read_image
from hybridprior.io.image import as_tensor, plausible

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LEAVE", "Diagnosis", "diagnose"]

LEAVE = "leave"
"""The task of an image that is clean: there is none."""

NOISY = 2.5 / 255
"""sigma above which noise is worth taking off; textured photographs without noise are taken for up to 2."""

GOOD_QUALITY = 90
"""The JPEG quality from which on an image is left alone."""

EVEN = 0.72
"""Evenness above which what the flattest patches hold is noise, and not the image's own texture."""

SHARED = 0.2
"""Correlation of neighbours above which noise is not white."""

UNEQUAL = 1.5
"""Ratio of the channels' noise levels above which one sigma fits none of them."""

BLOCKY = 0.6
"""Blockiness above which there was a JPEG, whatever happened to its pixels since."""

LUMINANCE = math.sqrt(0.299**2 + 0.587**2 + 0.114**2)
"""Standard deviation of the luminance's noise, in units of that of three independent channels."""


@dataclass(frozen=True)
class Diagnosis:
    """What an image's pixels, and its file, say of how it was degraded."""

    sigma: float
    """Standard deviation of the noise, in [0, 1]; for a JPEG, of the noise before it was compressed."""
    sigmas: tuple[float, ...]
    """That of white noise in each channel; JPEG takes most of it away."""
    correlation: float
    """How much noise has in common with its neighbour's, where there is noise: 0 for white noise, 1 for a copy."""
    jpeg_quality: int | None
    """1 to 100: what the file's tables say, or the pixels' own trace; None where there is none."""
    jpeg_error: float
    """Standard deviation of what JPEG rounded away of the luminance, in [0, 1], as far as its steps tell; 0 without."""
    blockiness: float
    """By how much neighbours differ more across the edges of blocks than elsewhere."""
    task: str
    """"denoise", "dejpeg", or "leave" for an image that is clean."""
    reason: str
    """Why this task, in one sentence."""
    warnings: tuple[str, ...] = ()
    """What speaks against the model of white noise, and what to do about it; a sentence each."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)


def diagnose(
    image: torch.Tensor | np.ndarray | Image.Image | str | os.PathLike[str],
    *,
    file: str | os.PathLike[str] | None = None,
) -> Diagnosis:
    """Return how an image was degraded, as far as it shows, and which task mends that.

    Blur, missing pixels and a small size do not show: somebody must say so.

    Args:
        image: A file, or an image as `restore` takes it: `(1, C, H, W)`, `(C, H, W)`, `(H, W)` or `(H, W, C)`.
        file: Where an image that was read already came from; a JPEG's tables are looked at.

    Raises:
        InputError: A file that cannot be read, or pixels that are no intensities.
        ShapeError: No image.
    """
    if isinstance(image, str | os.PathLike):
        file, y = image, read_image(image).pixels
    else:
        y = as_tensor(image).contiguous()  # sums differ in their last digits with the layout
        plausible(y)
    steps = None if file is None else file_steps(file)
    if steps is None and (found := pixel_quality(y)) is not None:
        steps = steps_of(found)
    quality = None if steps is None else quality_of(steps)
    sigma, correlation, error = _errors(y, steps)
    sigmas, edges = channel_sigmas(y), blockiness(y)
    task, reason = _decide(sigma, sigma * _share(y) > error, error, quality)
    warnings = _warnings(task, sigmas, correlation, edges, quality)
    return Diagnosis(sigma, sigmas, correlation, quality, error, edges, task, reason, warnings)


def _errors(y: torch.Tensor, steps: torch.Tensor | None) -> tuple[float, float, float]:
    """Return sigma, how much neighbours share of it, and the error of JPEG as a standard deviation, in [0, 1]."""
    left = grain(y)
    even = left.evenness > EVEN
    sigma = max(estimate_sigma(y), left.sigma if even else 0.0)
    error = 0.0
    if steps is not None:
        before, error = losses(y, steps)
        sigma = max(sigma, before / _share(y) if even else 0.0)
    return sigma, left.correlation if even and sigma > NOISY else 0.0, error


def _share(y: torch.Tensor) -> float:
    return LUMINANCE if y.shape[1] == 3 else 1.0


def _decide(sigma: float, larger: bool, error: float, quality: int | None) -> tuple[str, str]:
    """Return the task and the reason; `larger` says whether noise is more than what JPEG rounded away."""
    noise = f"noise of sigma {255 * sigma:.1f} (of 255)"
    if sigma > NOISY and larger:
        jpeg = "" if quality is None else f", more than its JPEG of quality {quality} lost"
        return "denoise", f"The image has {noise}{jpeg}."
    if quality is not None and quality < GOOD_QUALITY:
        more = f"more than its {noise}" if sigma > NOISY else "and no noise that shows"
        return (
            "dejpeg",
            f"The image went through JPEG at quality {quality}: an error of about {255 * error:.1f}, {more}.",
        )
    if sigma > NOISY:
        return LEAVE, f"The image has {noise}, less than its JPEG of quality {quality} lost, and that is a good one."
    jpeg = "no trace of JPEG" if quality is None else f"its JPEG of quality {quality} is a good one"
    return LEAVE, f"The image is clean: what noise there may be is below {255 * NOISY:.1f} of 255, and {jpeg}."


def _warnings(
    task: str, sigmas: tuple[float, ...], correlation: float, edges: float, quality: int | None
) -> tuple[str, ...]:
    """Return what does not fit white noise."""
    made = []
    if correlation > SHARED:
        made.append(
            f"The noise is not white: neighbours share {100 * correlation:.0f} % of it, as after a JPEG, a resize or a "
            "camera's own sharpening. Start from the raw image, or halve its size first."
        )
    if task == "denoise" and max(sigmas) > NOISY and max(sigmas) > UNEQUAL * min(sigmas):
        levels = ", ".join(f"{255 * level:.1f}" for level in sigmas)
        made.append(f"The channels' noise differs (sigma {levels}); restore them one by one for the best result.")
    if quality is None and edges > BLOCKY:
        made.append(
            "There are edges of JPEG blocks, but the pixels were changed since; start from the file before that."
        )
    return tuple(made)
