"""Bilinear upsampling by 2 in bf16, for which torch has no fast gradient on CPUs.

Along each side the result is (x[i-1] + 3 x[i]) / 4 and (3 x[i] + x[i+1]) / 4, with the border repeated. The adjoint
also repeats the border and is a depthwise convolution with (1, 3, 3, 1) / 4 and stride 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F

__all__ = ["doubled"]

TAPS = (0.25, 0.75, 0.75, 0.25)


def doubled(x: torch.Tensor, mode: str) -> torch.Tensor:
    """Return feature maps of twice the height and width.

    Args:
        x: `(B, C, H, W)`.
        mode: "bilinear" or "nearest".

    Example:
        >>> import torch
        >>> from hybridprior.generators.cuda.doubling import doubled
        >>> doubled(torch.rand(1, 2, 3, 4), "bilinear").shape
        torch.Size([1, 2, 6, 8])
    """
    if mode == "nearest":
        return F.interpolate(x, scale_factor=2, mode="nearest")
    if x.dtype == torch.bfloat16:
        enlarged: torch.Tensor = _Doubled.apply(x)
        return enlarged
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


@lru_cache
def _kernel(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return the kernel of the adjoint. It is cached, since a CUDA graph cannot copy it from the host."""
    taps = torch.tensor(TAPS, dtype=dtype)
    return torch.outer(taps, taps).to(device)


class _Doubled(torch.autograd.Function):
    """Bilinear upsampling with its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Upsample in the type of x; autocast would use fp32."""
        with torch.autocast(x.device.type, enabled=False):
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Apply the adjoint to the gradient."""
        channels = gradient.shape[1]
        kernel = _kernel(gradient.dtype, gradient.device).expand(channels, 1, 4, 4).contiguous()
        with torch.autocast(gradient.device.type, enabled=False):
            return F.conv2d(F.pad(gradient, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=channels)
