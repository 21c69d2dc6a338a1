"""Stacking: weights of the candidates that minimise the squared error on validation measurements.

Let r_k be candidate k's residual on the validation measurements. Stacking (Wolpert 1992; Breiman, "Stacked
Regressions", 1996) takes the convex combination with the least squared residual,

    w = argmin |sum_k w_k r_k|^2,  w_k >= 0,  sum_k w_k = 1.

The noise of the validation measurements is the same in every r_k, so that it changes the minimum but not the weights
that attain it. The weights are averaged over bootstrap draws, in which every measurement counts as often as a draw of
the exponential distribution says (Rubin, "The Bayesian Bootstrap", 1981; Breiman, "Bagging Predictors", 1996):
candidates of equal error share the weight, and one with a clearly larger error gets none. A map of weights is fitted
cell by cell without draws, each cell with its neighbours and shrunk towards the weights of the whole image. Each half
of the validation measurements tests the weights that the other half proposes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

import torch
import torch.nn.functional as F

from hybridprior._internal.random import stream
from hybridprior.fusion.config import StackingConfig
from hybridprior.fusion_weights import FusionWeights, uniform_weights
from hybridprior.problem import Problem

__all__ = ["FusionWeights", "fit_stacking_weights", "significantly_worse", "simplex", "uniform_weights"]

KINDS = ("few", "combination", "map")
"""The proposals, the simplest first: one combination of the preferred candidates, one of all candidates, and a map."""


def fit_stacking_weights(
    images: Mapping[str, torch.Tensor],
    validation: Problem,
    *,
    seed: int = 0,
    preferred: Collection[str] = (),
    config: StackingConfig | None = None,
) -> FusionWeights:
    """Return the stacking weights of candidates.

    Args:
        images: `(1, C, H, W)` of each candidate, made without the validation measurements.
        validation: The problem with only these measurements.
        seed: Seed of the halves for cross-validation.
        preferred: Candidates that share the weight unless another choice is better by two standard errors; none if
            empty.
        config: Numbers of the fit; the defaults if not given.

    Returns:
        The weights, with `map` in the image's size.

    Example:
        >>> from hybridprior.operators import Identity
        >>> truth = torch.rand(1, 1, 32, 32)
        >>> train, validation = Problem.make(truth, Identity(), sigma=0.1).recorrupt(0.2, seed=0)
        >>> fit_stacking_weights({"good": truth, "bad": 1 - truth}, validation).shares
        'good 100 %, bad 0 %'
    """
    config = config or StackingConfig()
    names = tuple(images)
    residuals, share = _residuals(list(images.values()), validation)
    has_map = validation.operator.tile_multiple is not None and validation.y.ndim == 4
    halves = _halves(share, seed)
    chosen = [k for k, name in enumerate(names) if name in preferred]
    kinds = KINDS[0 if chosen else 1 : 3 if has_map else 2]
    squares = {}
    for kind in kinds:
        first, second = (_propose(kind, residuals, part, chosen, config) for part in halves)
        squares[kind] = _squared(residuals, second) * halves[0] + _squared(residuals, first) * halves[1]
    kind = _simplest(squares, share)
    final = _propose(kind, residuals, share, chosen, config)
    weights = F.interpolate(final[None], validation.shape[-2:], mode="bilinear", align_corners=False)[0].float()
    single = residuals.square() * share
    errors = [_mean(row, share) for row in single]
    best = min(single, key=lambda row: float(row.sum()))
    gain, standard_error = _mean(best - squares[kind], share)
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


def significantly_worse(x: torch.Tensor, than: torch.Tensor, validation: Problem) -> bool:
    """Return whether an image has a larger validation error than another, by two standard errors.

    Args:
        x: `(1, C, H, W)`.
        than: The other image, `(1, C, H, W)`.
        validation: The problem with only the validation measurements.

    Example:
        >>> from hybridprior.operators import Identity
        >>> truth = torch.rand(1, 1, 32, 32)
        >>> train, validation = Problem.make(truth, Identity(), sigma=0.1).recorrupt(0.2, seed=0)
        >>> significantly_worse(1 - truth, truth, validation), significantly_worse(truth, truth, validation)
        (True, False)
    """
    residuals, share = _residuals([x, than], validation)
    squares = residuals.square()
    loss, standard_error = _mean((squares[0] - squares[1]) * share, share)
    return loss > 2 * standard_error


def simplex(gram: torch.Tensor, *, ridge: float = StackingConfig.ridge) -> torch.Tensor:
    """Return argmin w' G w over w >= 0 that add up to 1, `(K,)`, by trying every set of candidates.

    Args:
        gram: G, `(K, K)`, symmetric and not negative.
        ridge: Added to the diagonal, relative to its mean.

    Example:
        >>> simplex(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
        tensor([0.7500, 0.2500])
    """
    count = len(gram)
    gram = gram + ridge * gram.diagonal().mean().clamp_min(1e-30) * torch.eye(count, dtype=gram.dtype)
    best, least = torch.full((count,), 1 / count, dtype=gram.dtype), math.inf
    for size in range(1, count + 1):
        for subset in itertools.combinations(range(count), size):
            part = gram[list(subset)][:, list(subset)]
            raw = torch.linalg.solve(part, torch.ones(size, dtype=gram.dtype))
            w = raw / raw.sum()
            value = float(w @ part @ w)
            if bool((w >= 0).all()) and value < least:
                least, best = value, torch.zeros(count, dtype=gram.dtype)
                best[list(subset)] = w
    return best


def _residuals(images: Sequence[torch.Tensor], validation: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the residuals `(K, B, C, H, W)` and how much each measurement counts, `(B, C, H, W)`.

    Measurements of another number of dimensions than four become `(1, 1, 1, N)`.
    """
    y = validation.y
    with torch.no_grad():
        residuals = torch.stack([(validation.operator(x.to(y)) - y).cpu().double() for x in images])
    share = (torch.ones_like(y) if validation.weights is None else validation.weights).cpu().double()
    if y.ndim != 4:
        return residuals.reshape(len(images), 1, 1, 1, -1), share.reshape(1, 1, 1, -1)
    return residuals, share


def _halves(share: torch.Tensor, seed: int) -> list[torch.Tensor]:
    half = torch.rand(share.shape[-2:], generator=stream(seed, "halves")) < 0.5
    return [share * half, share * ~half]


def _propose(
    kind: str, residuals: torch.Tensor, share: torch.Tensor, preferred: Sequence[int], config: StackingConfig
) -> torch.Tensor:
    """Return weights `(K, rows, columns)` fitted to part of the validation measurements."""
    if kind == "few":
        weights = torch.zeros(len(residuals), dtype=residuals.dtype)
        weights[list(preferred)] = _bagged(residuals[list(preferred)], share, config)
        return weights[:, None, None]
    if kind == "combination":
        return _bagged(residuals, share, config)[:, None, None]
    products = torch.einsum("kbchw,lbchw->klhw", residuals * share, residuals)
    whole = products.sum((-2, -1))
    counts = share.amax(1)
    rows, columns = _cells(counts, config.cell_measurements)
    area = counts[0].numel() / (rows * columns)
    local = 9 * area * F.avg_pool2d(F.adaptive_avg_pool2d(products, (rows, columns)), 3, 1, 1)
    shrunk = local + config.shrinkage * (whole / counts.sum())[..., None, None]
    cells = [simplex(shrunk[:, :, i, j], ridge=config.ridge) for i in range(rows) for j in range(columns)]
    return torch.stack(cells, -1).reshape(-1, rows, columns)


def _bagged(residuals: torch.Tensor, share: torch.Tensor, config: StackingConfig) -> torch.Tensor:
    """Return the mean of the weights over bootstrap draws, `(K,)`; the channels of a pixel are drawn together."""
    rng, place = stream(0, "draws"), share.amax((0, 1)) > 0
    each = torch.einsum("kbchw,lbchw->klhw", residuals * share, residuals)[..., place]
    total = torch.zeros(len(residuals), dtype=residuals.dtype)
    for _ in range(config.bootstrap_draws):
        counts = torch.rand(each.shape[-1], generator=rng, dtype=residuals.dtype).clamp_min(1e-12).log().neg()
        total += simplex(each @ counts, ridge=config.ridge)
    return total / config.bootstrap_draws


def _simplest(squares: Mapping[str, torch.Tensor], share: torch.Tensor) -> str:
    """Return the simplest proposal whose error is within two standard errors of the least."""
    best = min(squares, key=lambda name: float(squares[name].sum()))
    for kind, values in squares.items():
        loss, standard_error = _mean(values - squares[best], share)
        if kind == best or loss < 2 * standard_error:
            return kind
    return best


def _cells(counts: torch.Tensor, measurements: int) -> tuple[int, int]:
    """Return the rows and columns of the map's cells, each with as many measurements as given on average."""
    height, width = counts.shape[-2:]
    cells = float(counts.sum()) / measurements
    rows = max(1, round(math.sqrt(cells * height / width)))
    return min(rows, height), min(max(1, round(cells / rows)), width)


def _squared(residuals: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the squared residual of the combination at each measurement."""
    place = F.interpolate(weights[None], residuals.shape[-2:], mode="bilinear", align_corners=False)[0]
    return (residuals * place[:, None, None]).sum(0).square()


def _mean(values: torch.Tensor, share: torch.Tensor) -> tuple[float, float]:
    """Return the mean over the validation measurements and its standard error; the channels of a pixel count once."""
    chosen = share.amax((0, 1)) > 0
    each = values.sum((0, 1))[chosen] / share.sum((0, 1))[chosen]
    standard_error = float(each.std(correction=1)) / math.sqrt(len(each)) if len(each) > 1 else math.inf
    return float(each.mean()), standard_error
