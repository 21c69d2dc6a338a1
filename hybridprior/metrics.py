"""Image quality against ground truth, by the conventions of the literature.

Intensities are clipped to [0, 1] first. Super-resolution is measured on the luma of ITU-R BT.601, scaled to
[16, 235] / 255, without a border of four pixels. The other tasks are measured on all channels.
"""

from __future__ import annotations

import torch

from hybridprior.errors import ShapeError

__all__ = ["compared_channels", "luma", "psnr", "psnr_for_task", "ssim"]

BORDER = 4


def psnr(x: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB, over all channels.

    Args:
        x: `(B, C, H, W)`, clipped to [0, 1].
        reference: The ground truth, in the same shape.

    Raises:
        ShapeError: The shapes differ.

    Example:
        >>> import torch
        >>> from hybridprior.metrics import psnr
        >>> round(psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)), 2)
        20.0
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    _same(x, reference)
    return float(peak_signal_noise_ratio(x.clamp(0, 1), reference.clamp(0, 1), data_range=1.0))


def ssim(x: torch.Tensor, reference: torch.Tensor) -> float | None:
    """Return the structural similarity (Wang et al. 2004, Gaussian window).

    The value is None where a side is shorter than the window of 11 pixels.

    Args:
        x: `(B, C, H, W)`, clipped to [0, 1].
        reference: The ground truth, in the same shape.

    Raises:
        ShapeError: The shapes differ.

    Example:
        >>> import torch
        >>> from hybridprior.metrics import ssim
        >>> x = torch.rand(1, 3, 32, 32)
        >>> round(ssim(x, x), 3)
        1.0
        >>> ssim(x[..., :8], x[..., :8]) is None
        True
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _same(x, reference)
    if min(x.shape[-2:]) < 11:
        return None
    value = structural_similarity_index_measure(x.clamp(0, 1), reference.clamp(0, 1), data_range=1.0)
    return float(value[0] if isinstance(value, tuple) else value)


def luma(x: torch.Tensor) -> torch.Tensor:
    """Return the luma Y of ITU-R BT.601, scaled to [16, 235] / 255, `(B, 1, H, W)`.

    Args:
        x: `(B, 3, H, W)` RGB, or `(B, 1, H, W)`, which is returned unchanged. Intensity in [0, 1].

    Example:
        >>> import torch
        >>> from hybridprior.metrics import luma
        >>> round(float(luma(torch.ones(1, 3, 1, 1))) * 255)
        235
    """
    if x.shape[1] != 3:
        return x
    weights = x.new_tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1)
    return ((x * weights).sum(dim=1, keepdim=True) + 16) / 255


def psnr_for_task(x: torch.Tensor, reference: torch.Tensor, task: str) -> float:
    """Return the PSNR as the literature reports it for a task, in dB.

    For "sr" it is computed on luma without the border, for the other tasks on all channels.

    Args:
        x: `(B, C, H, W)`.
        reference: The ground truth, in the same shape.
        task: A task of the presets.

    Raises:
        ShapeError: The shapes differ.

    Example:
        >>> import torch
        >>> from hybridprior.metrics import psnr_for_task
        >>> x = torch.full((1, 3, 16, 16), 0.5)
        >>> round(psnr_for_task(x + 0.1, x, "denoise"), 2), round(psnr_for_task(x + 0.1, x, "sr"), 2)
        (20.0, 21.32)
    """
    if task == "sr" and min(x.shape[-2:]) > 2 * BORDER:
        inner = slice(BORDER, -BORDER)
        return psnr(luma(x.clamp(0, 1))[..., inner, inner], luma(reference.clamp(0, 1))[..., inner, inner])
    return psnr(x, reference)


def compared_channels(task: str) -> str:
    """Return a description of the channels that `psnr_for_task` compares.

    Args:
        task: A task of the presets.

    Example:
        >>> from hybridprior.metrics import compared_channels
        >>> compared_channels("denoise")
        'all channels'
    """
    return f"Y (BT.601 in [16, 235]), {BORDER} pixels of border removed" if task == "sr" else "all channels"


def _same(x: torch.Tensor, reference: torch.Tensor) -> None:
    if x.shape != reference.shape:
        ours, theirs = tuple(x.shape), tuple(reference.shape)
        raise ShapeError(
            f"The image {ours} and its reference {theirs} have different shapes; crop or resize one of them."
        )
