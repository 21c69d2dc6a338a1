"""The noise level sigma, estimated from the measurements themselves.

Chen, Zhu, Heng, "An Efficient Statistical Method for Image Noise Level Estimation", ICCV 2015: the covariance of small
patches has the noise's variance as the common value of its least eigenvalues, because clean patches fill only a few
dimensions. The largest eigenvalues are dropped until the mean of the rest is their median.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hybridprior.fidelity import SIGMA_FLOOR

__all__ = ["estimate_sigma"]

PATCH = 8


def estimate_sigma(y: torch.Tensor, known: torch.Tensor | None = None) -> float:
    """Return the standard deviation of white noise in y, `SIGMA_FLOOR` at the least.

    Where patches are too few for an estimate (a tiny picture, or one with a hole every few pixels) the floor is
    returned.

    Args:
        y: `(1, C, H, W)`, intensity in [0, 1].
        known: 1 where a pixel was measured, in a shape that expands to y's; patches with a hole are left out.
    """
    if y.ndim != 4 or min(y.shape[-2:]) < PATCH:
        return SIGMA_FLOOR
    size = min(PATCH, max(3, int((min(y.shape[-2:]) ** 2 / 4) ** 0.25)))
    patches = F.unfold(y.double().transpose(0, 1), size).permute(1, 0, 2).reshape(size * size, -1)
    if known is not None:
        whole = F.unfold(known.expand_as(y).double().transpose(0, 1), size).permute(1, 0, 2).reshape(size * size, -1)
        patches = patches[:, whole.amin(dim=0) > 0.5]
    if patches.shape[1] < 4 * size * size:
        return SIGMA_FLOOR
    values = torch.linalg.eigvalsh(torch.cov(patches))
    for count in range(len(values), 0, -1):
        rest = values[:count]
        if rest.mean() <= rest.median():
            break
    return max(float(rest.mean().clamp_min(0).sqrt()), SIGMA_FLOOR)
