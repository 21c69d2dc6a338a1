"""Traces of JPEG in an image: the tables of a file, and what eight-by-eight blocks left in the pixels.

Decoded pixels, transformed as the encoder did, have coefficients that lie on the multiples of the quantisation steps
(Fan, de Queiroz, "Identification of Bitmap Compression History: JPEG Detection and Quantizer Estimation", IEEE TIP
2003). The quality is the one whose steps explain them best. Pixels that were changed since keep only the edges of the
blocks (Wang, Sheikh, Bovik, "No-Reference Perceptual Quality Assessment of JPEG Compressed Images", ICIP 2002, eq. 1).
"""

from __future__ import annotations

import math
import os
from functools import cache

import torch
import torch.nn.functional as F

__all__ = ["blockiness", "file_steps", "losses", "pixel_quality", "quality_of", "steps_of", "zeroed"]

BLOCK = 8
"""Side of a block."""

LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of luminance at quality 50: ITU-T T.81, table K.1."""

WEIGHTS = (0.299, 0.587, 0.114)
"""Luminance of red, green and blue: JFIF."""

BEST = 98
"""The quality above which most steps are 1 and leave no trace."""

ROUNDING = 0.4
"""Standard deviation of a coefficient after colours were converted and rounded to eight bits."""

STRAYS = 0.1
"""Share of the coefficients that are off their multiples for some other reason."""

ENOUGH = 64
"""Coefficients that are not 0, at least, that a quality is judged on."""

MARGIN = 0.05
"""Nats a coefficient by which the multiples must explain the coefficients better than a smooth density does."""

MANY, A_FEW = 1024, 256
"""Blocks looked at, at most: for the quality, and for the corner of the grid."""

SMALLEST, LARGEST = 4 * BLOCK, 64 * BLOCK
"""The least side of an image that is looked at, and the side of its middle that is."""

FLAT = 0.1
"""Share of the blocks, the flattest, whose coefficients are taken for noise."""


def file_steps(path: str | os.PathLike[str]) -> torch.Tensor | None:
    """Return the steps of luminance `(8, 8)` that a JPEG file names, or None for any other file.

    Args:
        path: A file that Pillow opens; what it does not open has no steps either.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            tables = getattr(image, "quantization", None)
    except (OSError, Image.DecompressionBombError):
        return None
    if not tables:
        return None
    return torch.tensor(tables[min(tables)], dtype=torch.float64).reshape(BLOCK, BLOCK).clamp_min(1)


def quality_of(steps: torch.Tensor) -> int:
    """Return the quality from 1 to 100 whose steps are nearest, in ratio, to those given, `(8, 8)`."""
    return min(range(1, 101), key=lambda quality: float((steps_of(quality).log() - steps.log()).abs().mean()))


def steps_of(quality: int) -> torch.Tensor:
    """Return the steps of luminance `(8, 8)` at a quality from 1 to 100, as the Independent JPEG Group scales them."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(LUMA, dtype=torch.float64) * scale + 50) / 100).floor().clamp(1, 255)


def blockiness(y: torch.Tensor) -> float:
    """Return by how much neighbours differ more across the edges of blocks than elsewhere: 0 for none, 1 for twice.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
    """
    if min(y.shape[-2:]) < SMALLEST:
        return 0.0
    luma = _luma(y)
    down, across = (luma.diff(dim=dim).abs().mean(dim=(0, 1, other)) for dim, other in ((-2, 3), (-1, 2)))
    return max(0.0, (_excess(down) + _excess(across)) / 2)


def pixel_quality(y: torch.Tensor) -> int | None:
    """Return the quality at which pixels once went through JPEG, or None where no trace of that is left.

    Args:
        y: `(1, C, H, W)` with C of 1 or 3, intensity in [0, 1]; eight-bit numbers that were not changed since.
    """
    if y.shape[1] not in (1, 3) or min(y.shape[-2:]) < SMALLEST:
        return None
    coefficients = _on_grid(y)
    best, evidence = None, 0.0
    for quality in range(1, BEST + 1):
        steps = steps_of(quality).reshape(-1, 1)
        counted = (coefficients.abs() > steps / 2) & (steps > 1)
        if int(counted.sum()) < ENOUGH:
            continue
        offset = (coefficients / steps - (coefficients / steps).round()) * steps
        normal = torch.exp(-0.5 * (offset / ROUNDING).square()) / (ROUNDING * math.sqrt(2 * math.pi))
        gain = torch.log((1 - STRAYS) * steps * normal + STRAYS)[counted]
        if float(gain.mean()) > MARGIN and float(gain.sum()) > evidence:
            best, evidence = quality, float(gain.sum())
    return best


def losses(y: torch.Tensor, steps: torch.Tensor) -> tuple[float, float]:
    """Return the noise that was there before JPEG and the error that JPEG added, as standard deviations in [0, 1].

    Noise of standard deviation s exceeds half a step q with probability 2 Phi(-q / 2 s): s is the likeliest one for the
    coefficients of the flattest blocks that are not 0. The error is that of rounding, q^2 / 12, for coefficients that
    are not 0, and for those that are the mean square of a Laplacian within half a step.

    Args:
        y: `(1, C, H, W)` with C of 1 or 3, intensity in [0, 1].
        steps: Those of its JPEG, `(8, 8)`.
    """
    if y.shape[1] not in (1, 3) or min(y.shape[-2:]) < SMALLEST:
        return 0.0, 0.0
    coefficients = _on_grid(y)[1:]
    if coefficients.shape[1] == 0:
        return 0.0, 0.0
    q = steps.reshape(-1)[1:]
    kept = (coefficients.abs() > q[:, None] / 2).double()
    order = coefficients.square().sum(0).argsort()[: max(1, round(FLAT * kept.shape[1]))]
    share = kept[:, order].mean(1)
    levels = torch.arange(0.5, 80, 0.5, dtype=torch.float64)
    exceed = torch.special.erfc(q / 2 / levels[:, None] / math.sqrt(2)).clamp(1e-4, 1 - 1e-4)
    likelihood = (share * exceed.log() + (1 - share) * (1 - exceed).log()).sum(1)
    p = kept.mean(1)
    error = (p * q**2 / 12 + (1 - p) * zeroed(p, q)).mean()
    return float(levels[likelihood.argmax()]) / 255, math.sqrt(float(error)) / 255


def zeroed(kept: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return the mean square of coefficients that were rounded to 0: a Laplacian's within half a step.

    Args:
        kept: Share of the coefficients that were not, which says how wide the Laplacian is.
        steps: The quantisation steps, in the same shape.
    """
    p = kept.clamp(1e-4, 1 - 1e-4)
    half, spread = steps / 2, -steps / 2 / p.log()
    return (2 * spread**2 - p * (half**2 + 2 * half * spread + 2 * spread**2)) / (1 - p)


def _on_grid(y: torch.Tensor) -> torch.Tensor:
    """Return the cosine transforms `(64, N)` of the image's blocks, on the grid where most of them were rounded to 0.

    Blocks with clipped pixels are left out: their coefficients moved.
    """
    top, left = (max(0, side - LARGEST) // 2 // BLOCK * BLOCK for side in y.shape[-2:])
    y = y[..., top : top + LARGEST, left : left + LARGEST].cpu()
    luma, clipped = 255 * _luma(y) - 128, ((y <= 0) | (y >= 1)).any(dim=1, keepdim=True).double()
    corners = ((top, left) for top in range(BLOCK) for left in range(BLOCK))
    corner = max(corners, key=lambda corner: _near_zero(_coefficients(luma, clipped, corner, A_FEW)))
    return _coefficients(luma, clipped, corner, MANY)


def _near_zero(coefficients: torch.Tensor) -> float:
    return float((coefficients.abs() < 1).double().mean()) if coefficients.shape[1] else 0.0


def _coefficients(luma: torch.Tensor, clipped: torch.Tensor, corner: tuple[int, int], most: int) -> torch.Tensor:
    top, left = corner
    blocks, marks = (F.unfold(part[..., top:, left:], BLOCK, stride=BLOCK)[0] for part in (luma, clipped))
    blocks = blocks[:, marks.amax(dim=0) == 0]
    blocks = blocks[:, :: max(1, math.ceil(blocks.shape[1] / most))]
    transform: torch.Tensor = torch.kron(_basis(), _basis()) @ blocks
    return transform


@cache
def _basis() -> torch.Tensor:
    """Return the orthonormal cosine transform of eight numbers, `(8, 8)`."""
    frequency, place = torch.meshgrid(*[torch.arange(BLOCK, dtype=torch.float64)] * 2, indexing="ij")
    basis = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis


def _excess(slopes: torch.Tensor) -> float:
    """Return by how much the steepest of eight phases of the mean differences exceeds those beside it.

    Not all the others, since what is steep in the image itself spreads over several phases.
    """
    phases = slopes[: len(slopes) // BLOCK * BLOCK].reshape(-1, BLOCK).median(dim=0).values
    beside = (phases.roll(1) + phases.roll(-1)) / 2
    return float((phases / beside.clamp_min(1e-6) - 1).max())


def _luma(y: torch.Tensor) -> torch.Tensor:
    """Return the luminance `(1, 1, H, W)` in double precision; the mean of channels that are not three."""
    weights = torch.tensor(WEIGHTS if y.shape[1] == 3 else [1 / y.shape[1]] * y.shape[1], dtype=torch.float64)
    return torch.einsum("bchw,c->bhw", y.cpu().double(), weights)[:, None]
