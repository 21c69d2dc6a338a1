"""The stacking weights of the candidates as a value: `FusionWeights`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["FusionWeights", "uniform_weights"]

LABELS = {
    "local": "network",
    "global": "denoiser",
    "hybrid": "network with denoiser",
    "warm_started": "warm-started plug-and-play",
    "finetuned": "fine-tuned denoiser",
    "blind": "denoiser at the estimated noise level",
}
"""The candidates in words."""


@dataclass(frozen=True, eq=False)
class FusionWeights:
    """The stacking weights, and the validation errors that they were fitted to."""

    names: tuple[str, ...]
    """The candidates."""
    errors: tuple[float, ...]
    """Mean squared residual of each on the validation measurements, noise included."""
    standard_errors: tuple[float, ...]
    """Standard errors of these means."""
    weights: tuple[float, ...]
    """Mean weight of each in the fused image."""
    map: torch.Tensor
    """`(K, H, W)`: the weights at each pixel; they add up to 1."""
    kind: str
    """One "combination", a "map", a combination of a "few", "tiles" with one of these each, or "none" where there are
    no validation measurements."""
    gain: float
    """Mean squared residual of the best candidate less that of the fused image, cross-validated."""
    gain_standard_error: float
    """Standard error of the gain."""

    @property
    def shares(self) -> str:
        """The mean weights as text, such as "network 20 %, denoiser 80 %"."""
        return ", ".join(
            f"{LABELS.get(name, name)} {100 * w:.0f} %" for name, w in zip(self.names, self.weights, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures of each candidate, without the map, as plain values for JSON."""
        rows = zip(self.names, self.weights, self.errors, self.standard_errors, strict=True)
        each = {name: {"weight": w, "error": e, "standard_error": s} for name, w, e, s in rows}
        return {
            "kind": self.kind,
            "candidates": each,
            "gain": self.gain,
            "gain_standard_error": self.gain_standard_error,
        }

    def image(self) -> torch.Tensor:
        """Return the map as an image `(1, 3, H, W)`: red for the network, blue for the denoiser, green for both.

        Candidates of both are `hybrid`, `warm_started` and `finetuned`; `blind` counts as the denoiser.
        """
        planes = dict(zip(self.names, self.map, strict=True))
        nothing = torch.zeros(self.map.shape[-2:])

        def sum_of(*names: str) -> torch.Tensor:
            return torch.stack([planes.get(name, nothing) for name in names]).sum(0)

        both = sum_of("hybrid", "warm_started", "finetuned")
        return torch.stack([sum_of("local"), both, sum_of("global", "blind")])[None]

    def max_weight(self, *names: str) -> float:
        """Return the largest weight that some candidates have together at any pixel; 0 for no candidate."""
        planes = [plane for name, plane in zip(self.names, self.map, strict=True) if name in names]
        return float(torch.stack(planes).sum(0).max()) if planes else 0.0

    def combine(self, images: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted mean of the candidates' images, `(1, C, H, W)`.

        Where the weights of the given images add up to 0, all of them count the same.

        Args:
            images: `(1, C, H, W)` of the candidates that are combined, by name.
        """
        given = [(w, images[name]) for name, w in zip(self.names, self.map, strict=True) if name in images]
        total = torch.stack([w for w, _ in given]).sum(0)
        same = torch.full_like(total, 1 / len(given))
        return torch.stack([torch.where(total > 0, w / total.clamp_min(1e-6), same) * x for w, x in given]).sum(0)


def uniform_weights(names: Sequence[str], shape: Sequence[int]) -> FusionWeights:
    """Return equal weights, for candidates that cannot be compared.

    Args:
        names: The candidates.
        shape: `(1, C, H, W)` of the image.

    Example:
        >>> uniform_weights(["local", "global"], (1, 3, 8, 8)).shares
        'network 50 %, denoiser 50 %'
    """
    share, unknown = 1 / len(names), (math.nan,) * len(names)
    return FusionWeights(
        names=tuple(names),
        errors=unknown,
        standard_errors=unknown,
        weights=(share,) * len(names),
        map=torch.full((len(names), *shape[-2:]), share),
        kind="none",
        gain=math.nan,
        gain_standard_error=math.nan,
    )
