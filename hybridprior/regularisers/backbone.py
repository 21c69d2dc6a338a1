"""Networks of timm that were trained on photographs, as functions of images: their stages, or their classes.

They see images with the mean and spread that they were trained on, and are not trained here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hybridprior.errors import WeightsError

__all__ = ["TimmClasses", "TimmStages"]


class _Timm(nn.Module):
    """A network of timm behind its normalisation."""

    mean: torch.Tensor
    spread: torch.Tensor

    staged = False
    """Whether it gives its stages, and not its classes."""

    def __init__(self, name: str, weights: str | None = None) -> None:
        """Load a network.

        Args:
            name: timm's name.
            weights: File of its weights; timm's own, from its hub or cache, if not given.

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
                f"timm cannot make '{name}' with pretrained weights ({reason}); name their file with weights."
            ) from error
        self.network = network.requires_grad_(False).eval()
        data = resolve_model_data_config(self.network)  # type: ignore[no-untyped-call]
        self.register_buffer("mean", torch.tensor(data["mean"])[:, None, None])
        self.register_buffer("spread", torch.tensor(data["std"])[:, None, None])

    def forward(self, x: torch.Tensor) -> Any:
        return self.network((x.expand(-1, 3, -1, -1) - self.mean) / self.spread)


class TimmStages(_Timm):
    """The feature maps of a network's stages, the finest first."""

    staged = True

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps `(B, K, h, w)` of grey or colour images x, intensity in [0, 1]."""
        maps: list[torch.Tensor] = super().forward(x)
        return maps


class TimmClasses(_Timm):
    """What a network makes of an image: a number for each class, before the softmax."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits `(B, K)` of grey or colour images x, intensity in [0, 1]."""
        logits: torch.Tensor = super().forward(x)
        return logits
