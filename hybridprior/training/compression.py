"""JPEG compression of training patches with Pillow."""

from __future__ import annotations

import io

import numpy as np
import torch

__all__ = ["jpeg"]


def jpeg(x: torch.Tensor, quality: int, *, subsampled: bool) -> torch.Tensor:
    """Return an image `(3, H, W)` after JPEG; a grey image is compressed as grey.

    Args:
        x: Intensity in [0, 1].
        quality: From 1 to 100.
        subsampled: Whether chroma has half the resolution.

    Example:
        >>> import torch
        >>> from hybridprior.training.compression import jpeg
        >>> jpeg(torch.rand(3, 16, 24), 50, subsampled=True).shape
        torch.Size([3, 16, 24])
    """
    from PIL import Image

    pixels = (x.clamp(0, 1) * 255).round().to(torch.uint8)
    grey = bool((pixels == pixels[:1]).all())
    image = Image.fromarray(pixels[0].numpy() if grey else pixels.permute(1, 2, 0).contiguous().numpy())
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=2 if subsampled and not grey else 0)
    decoded = torch.from_numpy(np.array(Image.open(buffer))).float() / 255
    return decoded.expand(3, -1, -1) if grey else decoded.permute(2, 0, 1)
