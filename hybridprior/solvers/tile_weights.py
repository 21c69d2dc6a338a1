"""The stacking weights of an image that was fused tile by tile.

Each tile has its own validation measurements and weights. The map of the whole image is blended from the tiles' maps,
as the image is from theirs; errors and the gain are means over the tiles, weighted by their numbers of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from hybridprior.fusion_weights import FusionWeights
from hybridprior.operators.base import Box
from hybridprior.solvers.canvas import Canvas

__all__ = ["join"]


def join(parts: Sequence[tuple[Box, FusionWeights]], shape: Sequence[int], overlap: int) -> FusionWeights:
    """Return the stacking weights of the whole image.

    A candidate that a tile does not have gets the weight 0 there, and its error is that of the other tiles. Where there
    is no tile, all candidates have equal weights.

    Args:
        parts: Tiles and their weights; one at least.
        shape: `(1, C, H, W)` of the image.
        overlap: Pixels over which neighbouring tiles are blended.

    Example:
        >>> from hybridprior.fusion_weights import uniform_weights
        >>> tile = uniform_weights(["local", "global"], (1, 3, 8, 8))
        >>> join([(Box(0, 0, 8, 8), tile)], (1, 3, 8, 8), overlap=2).map.shape
        torch.Size([2, 8, 8])
    """
    names = tuple(dict.fromkeys(name for _, part in parts for name in part.names))
    canvas = Canvas((1, len(names), *shape[-2:]), overlap)
    for box, part in parts:
        canvas.add(box, _planes(part, names))
    canvas.fill(torch.tensor(1 / len(names)))
    weights = canvas.image()[0]
    found = [[_figures(box, part, name) for box, part in parts if name in part.names] for name in names]
    errors, standard_errors = zip(*map(_mean, found), strict=True)
    gain, gain_standard_error = _mean([(_pixels(box), part.gain, part.gain_standard_error) for box, part in parts])
    return FusionWeights(
        names=names,
        errors=errors,
        standard_errors=standard_errors,
        weights=tuple(float(w.mean()) for w in weights),
        map=weights,
        kind="none" if all(part.kind == "none" for _, part in parts) else "tiles",
        gain=gain,
        gain_standard_error=gain_standard_error,
    )


def _planes(part: FusionWeights, names: Sequence[str]) -> torch.Tensor:
    """Return a tile's map `(1, K, h, w)` for all names."""
    planes = dict(zip(part.names, part.map, strict=True))
    nothing = torch.zeros(part.map.shape[-2:])
    return torch.stack([planes.get(name, nothing) for name in names])[None]


def _figures(box: Box, part: FusionWeights, name: str) -> tuple[int, float, float]:
    """Return a tile's number of pixels, and a candidate's error there with its standard error."""
    place = part.names.index(name)
    return _pixels(box), part.errors[place], part.standard_errors[place]


def _pixels(box: Box) -> int:
    return box.height * box.width


def _mean(figures: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Return the mean of the finite figures, weighted by pixels, and its standard error."""
    known = [(pixels, value, standard_error) for pixels, value, standard_error in figures if math.isfinite(value)]
    total = sum(pixels for pixels, _, _ in known)
    if not known:
        return math.nan, math.nan
    mean = sum(pixels * value for pixels, value, _ in known) / total
    return mean, math.sqrt(sum((pixels * standard_error) ** 2 for pixels, _, standard_error in known)) / total
