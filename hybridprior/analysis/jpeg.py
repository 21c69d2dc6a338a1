"""Traces of JPEG in an image: the tables of a file, and the 8 x 8 blocks in the pixels.

The cosine coefficients of decoded pixels are multiples of the quantisation steps (Fan, de Queiroz, "Identification of
Bitmap Compression History: JPEG Detection and Quantizer Estimation", IEEE TIP 2003); the estimated quality is that of
the largest likelihood. Pixels that were changed since show only the edges of the blocks (Wang, Sheikh, Bovik,
"No-Reference Perceptual Quality Assessment of JPEG Compressed Images", ICIP 2002, eq. 1).
"""

from __future__ import annotations

import math
import os
from functools import cache

import torch
import torch.nn.functional as F

__all__ = ["blockiness", "file_steps", "losses", "pixel_quality", "quality_of", "steps_of", "zeroed_variance"]

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
"""The highest quality that is estimated; above it most steps are 1 and leave no trace."""

ROUNDING = 0.4
"""Standard deviation of a coefficient's error by colour conversion and rounding to eight bits."""

STRAYS = 0.1
"""Share of the coefficients that are not near a multiple for other reasons."""

ENOUGH = 64
"""Least number of coefficients other than 0 for an estimate of the quality."""

MARGIN = 0.05
"""Least gain in log-likelihood per coefficient over a smooth density."""

MANY, A_FEW = 1024, 256
"""Largest number of blocks: for the quality, and for the position of the grid."""

SMALLEST, LARGEST = 4 * BLOCK, 64 * BLOCK
"""Least side of an image for an estimate, and the side of the central part that is used."""

FLAT = 0.1
"""Share of the blocks, the flattest ones, whose coefficients are noise."""


def file_steps(path: str | os.PathLike[str]) -> torch.Tensor | None:
    """Return the steps of luminance `(8, 8)` of a JPEG file, or None for any other file.

    Args:
        path: The file; None is returned for one that Pillow does not open.

    Example:
        >>> file_steps("missing.jpg") is None
        True
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
    """Return the quality from 1 to 100 whose steps are nearest, in ratio, to those given, `(8, 8)`.

    Example:
        >>> quality_of(steps_of(30))
        30
    """
    return min(range(1, 101), key=lambda quality: float((steps_of(quality).log() - steps.log()).abs().mean()))


def steps_of(quality: int) -> torch.Tensor:
    """Return the steps of luminance `(8, 8)` at a quality from 1 to 100, scaled as by the Independent JPEG Group.

    Example:
        >>> steps_of(50)[0, :3]
        tensor([16., 11., 10.], dtype=torch.float64)
    """
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(LUMA, dtype=torch.float64) * scale + 50) / 100).floor().clamp(1, 255)


def blockiness(y: torch.Tensor) -> float:
    """Return the relative excess of the differences of neighbouring pixels across the edges of blocks; 0 for none.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].

    Example:
        >>> blockiness(torch.rand(1, 3, 8, 8))  # too small for an estimate
        0.0
    """
    if min(y.shape[-2:]) < SMALLEST:
        return 0.0
    luma = _luma(y)
    down, across = (luma.diff(dim=dim).abs().mean(dim=(0, 1, other)) for dim, other in ((-2, 3), (-1, 2)))
    return max(0.0, (_excess(down) + _excess(across)) / 2)


def pixel_quality(y: torch.Tensor) -> int | None:
    """Return the JPEG quality at which pixels were compressed, or None if they have no trace of JPEG.

    Args:
        y: `(1, C, H, W)` with C of 1 or 3, intensity in [0, 1]; eight-bit values that were not changed since.

    Example:
        >>> pixel_quality(torch.rand(1, 3, 64, 64)) is None
        True
    """
    if y.shape[1] not in (1, 3) or min(y.shape[-2:]) < SMALLEST:
        return None
    coefficients = _on_grid(y)
    best, largest = None, 0.0
    for quality in range(1, BEST + 1):
        steps = steps_of(quality).reshape(-1, 1)
        counted = (coefficients.abs() > steps / 2) & (steps > 1)
        if int(counted.sum()) < ENOUGH:
            continue
        offset = (coefficients / steps - (coefficients / steps).round()) * steps
        normal = torch.exp(-0.5 * (offset / ROUNDING).square()) / (ROUNDING * math.sqrt(2 * math.pi))
        gain = torch.log((1 - STRAYS) * steps * normal + STRAYS)[counted]
        if float(gain.mean()) > MARGIN and float(gain.sum()) > largest:
            best, largest = quality, float(gain.sum())
    return best


def losses(y: torch.Tensor, steps: torch.Tensor) -> tuple[float, float]:
    """Return the noise before JPEG and the error of JPEG, as standard deviations in [0, 1].

    Noise of standard deviation s exceeds half a step q with probability 2 Phi(-q / 2 s): s is the maximum-likelihood
    estimate from the numbers of coefficients other than 0 in the flattest blocks. The squared error of a coefficient is
    q^2 / 12 if it is not 0, else the mean square of a Laplacian within half a step.

    Args:
        y: `(1, C, H, W)` with C of 1 or 3, intensity in [0, 1].
        steps: The quantisation steps of luminance, `(8, 8)`.

    Example:
        >>> losses(torch.rand(1, 3, 8, 8), steps_of(30))  # too small for an estimate
        (0.0, 0.0)
    """
    if y.shape[1] not in (1, 3) or min(y.shape[-2:]) < SMALLEST:
        return 0.0, 0.0
    coefficients = _on_grid(y)[1:]
    if coefficients.shape[1] == 0:
        return 0.0, 0.0
    q = steps.reshape(-1)[1:]
    nonzero = (coefficients.abs() > q[:, None] / 2).double()
    order = coefficients.square().sum(0).argsort()[: max(1, round(FLAT * nonzero.shape[1]))]
    share = nonzero[:, order].mean(1)
    levels = torch.arange(0.5, 80, 0.5, dtype=torch.float64)
    exceed = torch.special.erfc(q / 2 / levels[:, None] / math.sqrt(2)).clamp(1e-4, 1 - 1e-4)
    likelihood = (share * exceed.log() + (1 - share) * (1 - exceed).log()).sum(1)
    p = nonzero.mean(1)
    error = (p * q**2 / 12 + (1 - p) * zeroed_variance(p, q)).mean()
    return float(levels[likelihood.argmax()]) / 255, math.sqrt(float(error)) / 255


def zeroed_variance(nonzero: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return the mean square of coefficients that were rounded to 0: that of a Laplacian within half a step.

    Args:
        nonzero: Share of the coefficients that were not rounded to 0, which determines the Laplacian's scale.
        steps: The quantisation steps, in the same shape.

    Example:
        >>> zeroed_variance(torch.tensor([0.9]), torch.tensor([6.0]))  # nearly uniform: 6^2 / 12
        tensor([2.9...])
    """
    p = nonzero.clamp(1e-4, 1 - 1e-4)
    half, scale = steps / 2, -steps / 2 / p.log()
    return (2 * scale**2 - p * (half**2 + 2 * half * scale + 2 * scale**2)) / (1 - p)


def _on_grid(y: torch.Tensor) -> torch.Tensor:
    """Return the cosine transforms `(64, N)` of the image's blocks, on the grid with most coefficients of 0.

    Blocks with clipped pixels are left out, since clipping changes the coefficients.
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
    """Return the relative excess of the largest of eight phases of the mean differences over its two neighbours.

    The other phases are not used, since an edge of the image extends over several phases.
    """
    phases = slopes[: len(slopes) // BLOCK * BLOCK].reshape(-1, BLOCK).median(dim=0).values
    beside = (phases.roll(1) + phases.roll(-1)) / 2
    return float((phases / beside.clamp_min(1e-6) - 1).max())


def _luma(y: torch.Tensor) -> torch.Tensor:
    """Return the luminance `(1, 1, H, W)` in double precision; the mean of channels that are not three."""
    weights = torch.tensor(WEIGHTS if y.shape[1] == 3 else [1 / y.shape[1]] * y.shape[1], dtype=torch.float64)
    return torch.einsum("bchw,c->bhw", y.cpu().double(), weights)[:, None]
