"""The figures that were published, by suite and image, in dB.

Deep Image Prior: Ulyanov, Vedaldi, Lempitsky, IJCV 2020. Denoising figures of single images are those of the authors'
published outputs. Super-resolution is PSNR on luma. Convolutional sparse coding: Papyan et al., ICCV 2017, as quoted
there.
"""

from __future__ import annotations

from hybridprior.evaluation.degradation import Degradation

__all__ = ["MEANS", "IMAGES", "means", "of_image"]

IMAGES: dict[str, dict[str, float]] = {
    "denoise": {
        "F16": 33.69,
        "baboon": 24.51,
        "house": 32.09,
        "kodim01": 28.44,
        "kodim02": 32.71,
        "kodim03": 33.79,
        "kodim12": 32.68,
        "lena": 32.56,
        "peppers": 31.15,
    },
    "inpaint": {
        "barbara": 32.22,
        "boat": 33.06,
        "house": 39.16,
        "lena": 36.16,
        "peppers": 33.05,
        "cameraman": 29.80,
        "couple": 32.52,
        "fingerprint": 32.84,
        "hill": 32.77,
        "man": 32.20,
        "montage": 34.54,
    },
}
"""Deep Image Prior at sigma 25, at 50 % missing pixels; suite -> image -> PSNR."""

MEANS: dict[str, dict[str, float]] = {
    "denoise, CBM3D's nine, sigma 25": {
        "Deep Image Prior, fixed step": 29.22,
        "Deep Image Prior, averaged": 30.43,
        "Deep Image Prior, two runs": 31.00,
        "CBM3D": 31.42,
        "NLM": 30.26,
    },
    "sr, Set5 x4": {
        "no prior": 26.56,
        "bicubic": 28.44,
        "TV": 28.86,
        "Deep Image Prior": 29.90,
        "LapSRN": 31.59,
        "SRResNet": 32.10,
    },
    "sr, Set14 x4": {
        "no prior": 24.93,
        "bicubic": 26.05,
        "TV": 26.42,
        "Deep Image Prior": 27.01,
        "LapSRN": 28.13,
        "SRResNet": 28.53,
    },
    "sr, Set5 x8": {"bicubic": 24.37, "Deep Image Prior": 25.89, "LapSRN": 26.10},
    "sr, Set14 x8": {"bicubic": 23.10, "Deep Image Prior": 24.15, "LapSRN": 24.36},
    "inpaint, eleven images, 50 % missing": {"Deep Image Prior": 33.44, "convolutional sparse coding": 31.16},
}
"""Means over whole sets."""


def of_image(name: str, how: Degradation) -> float | None:
    """Return Deep Image Prior's figure for an image, if it was published for this degradation."""
    return IMAGES.get(how.task, {}).get(name) if how.label in ("sigma 25", "50 % missing") else None


def means(how: Degradation) -> dict[str, dict[str, float]]:
    """Return the published means for this degradation, whatever the set."""
    return {name: figures for name, figures in MEANS.items() if name.startswith(how.task) and how.label in name}
