"""Evidence: measurements that no candidate has seen say how much each of them is believed, and where.

Let r_k be candidate k's residual on the held-out measurements. Stacking (Wolpert 1992; Breiman, "Stacked Regressions",
1996) takes the convex combination with the least squared residual,

    w = argmin |sum_k w_k r_k|^2,  w_k >= 0,  sum_k w_k = 1.

The noise of the held-out measurements is the same in every r_k, so that it moves the least value but not its place.
Which w is the least is chance in part, and its mean over what else the evidence might have been is seldom worse: the
minimum is taken again and again with every measurement counted as often as a draw of the exponential distribution says
(Rubin, "The Bayesian Bootstrap", 1981; Breiman, "Bagging Predictors", 1996). Candidates that evidence cannot tell apart
so share the weight, and one that is plainly worse gets none. A map of weights does the same cell by cell, once, each
cell with its neighbours and drawn to the whole image's answer. Half of the evidence judges whether the map that the
other half proposes is worth it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from hybridprior._internal.random import stream
from hybridprior.problem import Problem

__all__ = ["FusionWeights", "uniform_weights", "simplex", "fit_stacking_weights", "significantly_worse"]

PER_CELL = 150
"""Held-out measurements, channels counted once, that a cell of the map has on average, at least."""

PULL = 150.0
"""How many measurements' worth the whole image's answer has in a cell."""

KINDS = ("few", "combination", "map")
"""What is proposed, the simplest first: a combination of those that were named before, of all, and a map where the
measurements lie like the image."""

DRAWS = 50
"""Minima whose mean is the combination."""

RIDGE = 1e-6
"""Added to the diagonal, relative to its mean, so that equal candidates share their weight."""


@dataclass(frozen=True, eq=False)
class FusionWeights:
    """What the held-out measurements say."""

    names: tuple[str, ...]
    """The candidates."""
    errors: tuple[float, ...]
    """Mean squared residual of each, noise included."""
    standard_errors: tuple[float, ...]
    """Standard errors of these means."""
    weights: tuple[float, ...]
    """Mean weight of each in the fused image."""
    map: torch.Tensor
    """`(K, H, W)`: the weights where they stand; they add up to 1."""
    kind: str
    """One "combination", a "map", a combination of a "few", "tiles" with one of these each, or "none" where there is no
    evidence."""
    gain: float
    """What the fused image's mean squared residual is less than that of the best candidate, cross-validated."""
    gain_standard_error: float
    """Standard error of the gain."""

    @property
    def shares(self) -> str:
        """The weights in words."""
        return ", ".join(f"{name} {100 * w:.0f} %" for name, w in zip(self.names, self.weights, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by candidate, without the map."""
        rows = zip(self.names, self.weights, self.errors, self.standard_errors, strict=True)
        each = {name: {"weight": w, "error": e, "standard_error": s} for name, w, e, s in rows}
        return {
            "kind": self.kind,
            "candidates": each,
            "gain": self.gain,
            "gain_standard_error": self.gain_standard_error,
        }

    def image(self) -> torch.Tensor:
        """Return the map as an image `(1, 3, H, W)`: red for the local prior, blue for the global, green for both.

        Both are `hybrid`, `warm_started` and `finetuned`; `blind` counts as global.
        """
        planes = dict(zip(self.names, self.map, strict=True))
        nothing = torch.zeros(self.map.shape[-2:])

        def sum_of(*names: str) -> torch.Tensor:
            return torch.stack([planes.get(name, nothing) for name in names]).sum(0)

        both = sum_of("hybrid", "warm_started", "finetuned")
        return torch.stack([sum_of("local"), both, sum_of("global", "blind")])[None]

    def most(self, *names: str) -> float:
        """Return the most that some candidates weigh together anywhere."""
        planes = [plane for name, plane in zip(self.names, self.map, strict=True) if name in names]
        return float(torch.stack(planes).sum(0).max()) if planes else 0.0

    def combine(self, images: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted mean of the candidates' images.

        Args:
            images: `(1, C, H, W)` of each candidate that has a weight.
        """
        given = [(w, images[name]) for name, w in zip(self.names, self.map, strict=True) if name in images]
        total = torch.stack([w for w, _ in given]).sum(0)
        same = torch.full_like(total, 1 / len(given))
        return torch.stack([torch.where(total > 0, w / total.clamp_min(1e-6), same) * x for w, x in given]).sum(0)


def fit_stacking_weights(
    images: Mapping[str, torch.Tensor], validation: Problem, *, seed: int = 0, few: Collection[str] = ()
) -> FusionWeights:
    """Return how much each candidate is believed.

    Args:
        images: `(1, C, H, W)` of each candidate, made without the held-out measurements.
        validation: The problem with only these.
        seed: Of the halves.
        few: The candidates that share the weight as long as nothing is surely better; all of them if there are none.
    """
    names = tuple(images)
    with torch.no_grad():
        residuals = torch.stack(
            [(validation.operator(x.to(validation.y)) - validation.y).cpu().double() for x in images.values()]
        )
    counted = torch.ones_like(validation.y) if validation.weights is None else validation.weights
    share = counted.cpu().double()
    placed = validation.operator.tile_multiple is not None and validation.y.ndim == 4
    if validation.y.ndim != 4:
        residuals, share = residuals.reshape(len(names), 1, 1, 1, -1), share.reshape(1, 1, 1, -1)
    half = torch.rand(share.shape[-2:], generator=stream(seed, "halves")) < 0.5
    halves = [share * half, share * ~half]
    asked = [k for k, name in enumerate(names) if name in few]
    kinds = KINDS[0 if asked else 1 : 3 if placed else 2]
    proposals = {kind: [_propose(kind, residuals, part, asked) for part in halves] for kind in kinds}
    squares = {}
    for kind, (first, second) in proposals.items():
        squares[kind] = _squared(residuals, second) * halves[0] + _squared(residuals, first) * halves[1]
    kind = _simplest(squares, share)
    final = _propose(kind, residuals, share, asked)
    single = residuals.square() * share
    errors = [_mean(row, share) for row in single]
    first = min(single, key=lambda row: float(row.sum()))
    gain, standard_error = _mean(first - squares[kind], share)
    weights = F.interpolate(final[None], validation.shape[-2:], mode="bilinear", align_corners=False)[0].float()
    return FusionWeights(
        names=names,
        errors=tuple(error for error, _ in errors),
        standard_errors=tuple(standard_error for _, standard_error in errors),
        weights=tuple(float(w.mean()) for w in weights),
        map=weights,
        kind=kind,
        gain=gain,
        gain_standard_error=standard_error,
    )


def uniform_weights(names: Sequence[str], shape: Sequence[int]) -> FusionWeights:
    """Return what is believed where there is no evidence: each candidate as much as the others.

    Args:
        names: The candidates.
        shape: `(1, C, H, W)` of the image.
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


def significantly_worse(x: torch.Tensor, than: torch.Tensor, validation: Problem) -> bool:
    """Return whether an image is further from the held-out measurements than another, by two standard errors.

    Args:
        x: `(1, C, H, W)`.
        than: The other image.
        validation: The problem with only the held-out measurements.
    """
    with torch.no_grad():
        squares = [
            (validation.operator(each.to(validation.y)) - validation.y).cpu().double().square() for each in (x, than)
        ]
    share = (torch.ones_like(validation.y) if validation.weights is None else validation.weights).cpu().double()
    if share.ndim != 4:
        squares, share = [each.reshape(1, 1, 1, -1) for each in squares], share.reshape(1, 1, 1, -1)
    loss, standard_error = _mean((squares[0] - squares[1]) * share, share)
    return loss > 2 * standard_error


def simplex(gram: torch.Tensor) -> torch.Tensor:
    """Return argmin w' G w over w >= 0 that add up to 1, by trying every set of candidates that take part.

    Args:
        gram: G, `(K, K)`, symmetric and not negative.
    """
    count = len(gram)
    gram = gram + RIDGE * gram.diagonal().mean().clamp_min(1e-30) * torch.eye(count, dtype=gram.dtype)
    best, least = torch.full((count,), 1 / count, dtype=gram.dtype), math.inf
    for size in range(1, count + 1):
        for taking in itertools.combinations(range(count), size):
            part = gram[list(taking)][:, list(taking)]
            raw = torch.linalg.solve(part, torch.ones(size, dtype=gram.dtype))
            w = raw / raw.sum()
            value = float(w @ part @ w)
            if bool((w >= 0).all()) and value < least:
                least, best = value, torch.zeros(count, dtype=gram.dtype)
                best[list(taking)] = w
    return best


def _propose(kind: str, residuals: torch.Tensor, share: torch.Tensor, few: Sequence[int]) -> torch.Tensor:
    """Return weights `(K, rows, columns)` fitted to part of the evidence."""
    if kind == "few":
        weights = torch.zeros(len(residuals), dtype=residuals.dtype)
        weights[list(few)] = _bagged(residuals[list(few)], share)
        return weights[:, None, None]
    products = torch.einsum("kbchw,lbchw->klhw", residuals * share, residuals)
    whole = products.sum((-2, -1))
    if kind == "combination":
        return _bagged(residuals, share)[:, None, None]
    counts = share.amax(1)
    rows, columns = _cells(counts)
    area = counts[0].numel() / (rows * columns)
    local = 9 * area * F.avg_pool2d(F.adaptive_avg_pool2d(products, (rows, columns)), 3, 1, 1)
    drawn = local + PULL * (whole / counts.sum())[..., None, None]
    cells = [simplex(drawn[:, :, i, j]) for i in range(rows) for j in range(columns)]
    return torch.stack(cells, -1).reshape(-1, rows, columns)


def _bagged(residuals: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return the mean of the minima over draws of how often each measurement counts; a pixel's channels go together."""
    rng, place = stream(0, "draws"), share.amax((0, 1)) > 0
    each = torch.einsum("kbchw,lbchw->klhw", residuals * share, residuals)[..., place]
    total = torch.zeros(len(residuals), dtype=residuals.dtype)
    for _ in range(DRAWS):
        often = torch.rand(each.shape[-1], generator=rng, dtype=residuals.dtype).clamp_min(1e-12).log().neg()
        total += simplex(each @ often)
    return total / DRAWS


def _simplest(squares: Mapping[str, torch.Tensor], share: torch.Tensor) -> str:
    """Return the simplest proposal that is within two standard errors of the best."""
    best = min(squares, key=lambda name: float(squares[name].sum()))
    for kind, values in squares.items():
        loss, standard_error = _mean(values - squares[best], share)
        if kind == best or loss < 2 * standard_error:
            return kind
    return best


def _cells(counts: torch.Tensor) -> tuple[int, int]:
    """Return the rows and columns of the map's cells, as many as the evidence bears."""
    height, width = counts.shape[-2:]
    cells = float(counts.sum()) / PER_CELL
    rows = max(1, round(math.sqrt(cells * height / width)))
    return min(rows, height), min(max(1, round(cells / rows)), width)


def _squared(residuals: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the squared residual of the combination at each measurement."""
    place = F.interpolate(weights[None], residuals.shape[-2:], mode="bilinear", align_corners=False)[0]
    return (residuals * place[:, None, None]).sum(0).square()


def _mean(values: torch.Tensor, share: torch.Tensor) -> tuple[float, float]:
    """Return the mean over the held-out measurements, and its standard error; a pixel's channels count once."""
    chosen = share.amax((0, 1)) > 0
    each = values.sum((0, 1))[chosen] / share.sum((0, 1))[chosen]
    standard_error = float(each.std(correction=1)) / math.sqrt(len(each)) if len(each) > 1 else math.inf
    return float(each.mean()), standard_error
