"""How close an image is to its ground truth, by the conventions of the literature.

Everything clips to [0, 1] first. Super-resolution is judged on luma, ITU-R BT.601 scaled to [16, 235] / 255, without a
border of four pixels; the other tasks on all channels.
"""

from __future__ import annotations

import torch

from hybridprior.errors import ShapeError

__all__ = ["judged_on", "luma", "psnr", "psnr_for_task", "ssim"]

BORDER = 4


def psnr(x: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB, over all channels.

    Args:
        x: `(B, C, H, W)`, clipped to [0, 1].
        reference: The ground truth, in the same shape.

    Raises:
        ShapeError: The shapes differ.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    _same(x, reference)
    return float(peak_signal_noise_ratio(x.clamp(0, 1), reference.clamp(0, 1), data_range=1.0))


def ssim(x: torch.Tensor, reference: torch.Tensor) -> float | None:
    """Return the structural similarity (Wang et al. 2004, Gaussian window), or None where the image is too small.

    Args:
        x: `(B, C, H, W)`, clipped to [0, 1].
        reference: The ground truth, in the same shape.

    Raises:
        ShapeError: The shapes differ.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _same(x, reference)
    if min(x.shape[-2:]) < 11:
        return None
    value = structural_similarity_index_measure(x.clamp(0, 1), reference.clamp(0, 1), data_range=1.0)
    return float(value[0] if isinstance(value, tuple) else value)


def luma(x: torch.Tensor) -> torch.Tensor:
    """Return Y of ITU-R BT.601, scaled to [16, 235] / 255, `(B, 1, H, W)`; one channel is taken as it is.

    Args:
        x: `(B, 3, H, W)` RGB or `(B, 1, H, W)`, intensity in [0, 1].
    """
    if x.shape[1] != 3:
        return x
    weights = x.new_tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1)
    return ((x * weights).sum(dim=1, keepdim=True) + 16) / 255


def psnr_for_task(x: torch.Tensor, reference: torch.Tensor, task: str) -> float:
    """Return the PSNR that is published for a task: on luma within a border for "sr", else on all channels.

    Args:
        x: `(B, C, H, W)`.
        reference: The ground truth, in the same shape.
        task: One of the presets' tasks.

    Raises:
        ShapeError: The shapes differ.
    """
    if task == "sr" and min(x.shape[-2:]) > 2 * BORDER:
        inner = slice(BORDER, -BORDER)
        return psnr(luma(x.clamp(0, 1))[..., inner, inner], luma(reference.clamp(0, 1))[..., inner, inner])
    return psnr(x, reference)


def judged_on(task: str) -> str:
    """Return in words what `psnr_for_task` compares."""
    return f"Y (BT.601 in [16, 235]), {BORDER} pixels of border removed" if task == "sr" else "all channels"


def _same(x: torch.Tensor, reference: torch.Tensor) -> None:
    if x.shape != reference.shape:
        ours, theirs = tuple(x.shape), tuple(reference.shape)
        raise ShapeError(f"The image {ours} and its reference {theirs} have different shapes.")
