"""The degradation of an image, and the task that corrects it: `diagnose()`.

Two errors are estimated: noise, white or correlated (`hybridprior.analysis.noise`), and the rounding of JPEG
(`hybridprior.analysis.jpeg`). The larger one determines the task. The thresholds were chosen on photographs;
docs/choosing.md has the confusion table.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from hybridprior.analysis.estimate import estimate_noise, flattest_level
from hybridprior.analysis.jpeg import blockiness, file_steps, losses, pixel_quality, quality_of, steps_of
from hybridprior.analysis.noise import channel_sigmas, estimate_sigma, grain
from hybridprior.io.files import read_image
from hybridprior.io.image import as_tensor, plausible
from hybridprior.noise_model import NoiseModel

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LEAVE", "Diagnosis", "diagnose"]

LEAVE = "leave"
"""The task of a clean image: none."""

NOISY = 2.5 / 255
"""sigma above which noise is removed, in units of intensity; texture without noise is estimated at up to 2/255."""

GOOD_QUALITY = 90
"""The JPEG quality from which an image is left unchanged."""

EVEN = 0.72
"""Evenness above which the flattest patches have noise, and not texture."""

NOISY_CORRELATED = 3.0 / 255
"""sigma above which noise that is not white is removed; texture without noise is taken for up to that more often."""

FLATTEST = 0.4
"""Standard deviation in the flattest patches, in units of sigma, at the least: a drawing has patches without noise."""

CAMERA_QUALITY = 70
"""The JPEG quality from which noise that is as large as the error of JPEG is taken for that of a camera."""

UNIFORM = 0.6
"""Evenness of the flattest patches, at full or half size, above which they show noise that is not white."""

SHARED = 0.2
"""Correlation of neighbouring pixels above which noise is not white."""

UNEQUAL = 1.5
"""Ratio of the channels' noise levels above which they are not described by one sigma."""

BLOCKY = 0.6
"""Blockiness above which the image was a JPEG, even if its pixels were changed since."""

LUMINANCE = math.sqrt(0.299**2 + 0.587**2 + 0.114**2)
"""Standard deviation of the luminance's noise, relative to that of three independent channels."""


@dataclass(frozen=True)
class Diagnosis:
    """The degradation of an image, from its pixels and its file."""

    sigma: float
    """Standard deviation of the noise, in [0, 1]; of a JPEG, that of the noise before compression."""
    sigmas: tuple[float, ...]
    """Standard deviation of white noise in each channel, in [0, 1]; JPEG removes most of it."""
    correlation: float
    """Correlation of the noise of neighbouring pixels, where there is noise: 0 for white noise, 1 for equal values."""
    jpeg_quality: int | None
    """1 to 100, from the tables of the file or from the pixels; None if there is no trace of JPEG."""
    jpeg_error: float
    """Standard deviation of JPEG's rounding error in the luminance, in [0, 1], from the steps; 0 without JPEG."""
    blockiness: float
    """Relative excess of the differences of neighbouring pixels across the edges of blocks."""
    task: str
    """"denoise", "dejpeg", or "leave" for an image that is clean."""
    reason: str
    """Why this task, in one sentence."""
    warnings: tuple[str, ...] = ()
    """Deviations from white noise and what to do about them, a sentence each."""

    noise: NoiseModel = field(default_factory=NoiseModel)
    """The noise of the pixels as they are, JPEG's errors included."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)


def diagnose(
    image: torch.Tensor | np.ndarray | Image.Image | str | os.PathLike[str],
    *,
    file: str | os.PathLike[str] | None = None,
) -> Diagnosis:
    """Return the degradation of an image and the task that corrects it.

    Blur, missing pixels and a small size are not detected: give the operator for them.

    Args:
        image: A file, or an image as `restore` takes it: `(1, C, H, W)`, `(C, H, W)`, `(H, W)` or `(H, W, C)`.
        file: The file of an image that was read already, for the tables of a JPEG.

    Raises:
        InputError: A file that cannot be read, or pixels that are not intensities.
        ShapeError: Not an image.

    Example:
        >>> image = 0.5 + 0.1 * torch.randn(1, 3, 64, 64)
        >>> diagnose(image).task
        'denoise'
    """
    if isinstance(image, str | os.PathLike):
        file, y = image, read_image(image).pixels
    else:
        y = as_tensor(image).contiguous()  # the last digits of sums depend on the layout
        plausible(y)
    steps = None if file is None else file_steps(file)
    if steps is None and (found := pixel_quality(y)) is not None:
        steps = steps_of(found)
    quality = None if steps is None else quality_of(steps)
    noise = estimate_noise(y)
    sigma, correlation, error = _errors(y, steps, noise)
    sigmas, edges = channel_sigmas(y), blockiness(y)
    # The denoiser for noise that is not white removes the errors of JPEG as well.
    larger = sigma * _share(y) > error or (sigma == noise.sigma and not noise.is_white)
    task, reason = _decide(sigma, larger, error, quality)
    warnings = _warnings(task, sigmas, correlation, edges, quality)
    return Diagnosis(sigma, sigmas, correlation, quality, error, edges, task, reason, warnings, noise)


def _errors(y: torch.Tensor, steps: torch.Tensor | None, noise: NoiseModel) -> tuple[float, float, float]:
    """Return sigma, the correlation of neighbouring pixels, and the error of JPEG as a standard deviation in [0, 1]."""
    left = grain(y)
    even = left.evenness > EVEN
    sigma = max(estimate_sigma(y), left.sigma if even else 0.0)
    error = 0.0
    if steps is None:
        sigma = min(sigma, flattest_level(y) / FLATTEST)
    else:
        before, error = losses(y, steps)
        sigma = max(sigma, before / _share(y) if even else 0.0)
    factor = 1.0 if steps is None or quality_of(steps) >= CAMERA_QUALITY else math.sqrt(2)
    if not noise.is_white and noise.sigma > max(NOISY_CORRELATED, factor * error):
        evenness = max(left.evenness, grain(F.avg_pool2d(y, 2)).evenness) if min(y.shape[-2:]) > 1 else 0.0
        if evenness > UNIFORM:
            return noise.sigma, noise.correlation[0], error
    return sigma, left.correlation if even and sigma > NOISY else 0.0, error


def _share(y: torch.Tensor) -> float:
    return LUMINANCE if y.shape[1] == 3 else 1.0


def _decide(sigma: float, larger: bool, error: float, quality: int | None) -> tuple[str, str]:
    """Return the task and the reason; `larger` is whether the noise is above the rounding error of JPEG."""
    noise = f"noise of sigma {255 * sigma:.1f}/255"
    if sigma > NOISY and larger:
        jpeg = "" if quality is None else f", more than the error of its JPEG compression at quality {quality}"
        return "denoise", f"The image has {noise}{jpeg}."
    if quality is not None and quality < GOOD_QUALITY:
        more = f"more than its {noise}" if sigma > NOISY else "and no measurable noise"
        return (
            "dejpeg",
            f"The image was compressed by JPEG at quality {quality}: an error of about {255 * error:.1f}/255, {more}.",
        )
    if sigma > NOISY:
        return (
            LEAVE,
            f"The image has {noise}, less than the error of its JPEG compression at the high quality {quality}.",
        )
    jpeg = "no trace of JPEG" if quality is None else f"JPEG compression of the high quality {quality}"
    return LEAVE, f"The image is clean: noise below {255 * NOISY:.1f}/255 and {jpeg}."


def _warnings(
    task: str, sigmas: tuple[float, ...], correlation: float, edges: float, quality: int | None
) -> tuple[str, ...]:
    """Return a sentence for each deviation from white noise."""
    made = []
    if correlation > SHARED:
        made.append(
            f"The noise is not white: the correlation of neighbouring pixels is {100 * correlation:.0f} %, as after "
            "JPEG, resizing or denoising in the camera. The shipped denoiser takes that into account."
        )
    if task == "denoise" and max(sigmas) > NOISY and max(sigmas) > UNEQUAL * min(sigmas):
        levels = ", ".join(f"{255 * level:.1f}" for level in sigmas)
        made.append(f"The channels' noise levels differ (sigma {levels}); restore them one by one for the best result.")
    if quality is None and edges > BLOCKY:
        made.append(
            "There are edges of JPEG blocks, but the pixels were changed since; start from the unchanged JPEG file."
        )
    return tuple(made)
