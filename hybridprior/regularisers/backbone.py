"""Pretrained networks of timm as functions of images: their feature maps, or their class scores.

Images are normalised with the mean and standard deviation of the network's training data. The weights are frozen.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hybridprior.errors import WeightsError

__all__ = ["TimmClasses", "TimmStages"]


class _Timm(nn.Module):
    """A network of timm with its normalisation."""

    mean: torch.Tensor
    std: torch.Tensor

    staged = False
    """Whether the output is the feature maps of the stages instead of the class scores."""

    def __init__(self, name: str, weights: str | None = None) -> None:
        """Load a network.

        Args:
            name: Name of the model in timm.
            weights: File of the weights; if not given, timm loads its own from the hub or the cache.

        Raises:
            WeightsError: An unknown name, or weights that cannot be used.
        """
        super().__init__()
        import timm
        from timm.data import resolve_model_data_config  # type: ignore[attr-defined]

        overlay = {"file": weights} if weights else None
        options: dict[str, Any] = {"features_only": True} if self.staged else {}
        try:
            network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
        except Exception as error:  # timm's errors have no common class
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(
                f"timm cannot load '{name}' with pretrained weights ({reason}); give a file of weights."
            ) from error
        self.network = network.requires_grad_(False).eval()
        data = resolve_model_data_config(self.network)  # type: ignore[no-untyped-call]
        self.register_buffer("mean", torch.tensor(data["mean"])[:, None, None])
        self.register_buffer("std", torch.tensor(data["std"])[:, None, None])

    def forward(self, x: torch.Tensor) -> Any:
        return self.network((x.expand(-1, 3, -1, -1) - self.mean) / self.std)


class TimmStages(_Timm):
    """The feature maps of the stages of a network, the finest first."""

    staged = True

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the feature maps `(B, K, h, w)` of x, `(B, 1 or 3, H, W)`, intensity in [0, 1]."""
        maps: list[torch.Tensor] = super().forward(x)
        return maps


class TimmClasses(_Timm):
    """The class scores of a network before the softmax."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits `(B, K)` of x, `(B, 1 or 3, H, W)`, intensity in [0, 1]."""
        logits: torch.Tensor = super().forward(x)
        return logits
