"""Attribution: the part of the gain that is due to each prior, by Shapley values.

Let v(S) be the PSNR or SSIM reached with the set S of priors: `local`, the architecture of an untrained network, and
`global`, a pretrained R. v({}) is that of pixels without R, v({local}) of the network without R, v({global}) of pixels
with R. The Shapley values (Shapley, "A Value for n-Person Games", 1953), the gain of each prior averaged over both
orders,

    phi_local  = (v(local) - v({}) + v(both) - v(global)) / 2
    phi_global = (v(global) - v({}) + v(both) - v(local)) / 2

add up to v(both) - v({}). Each contains half of the interaction (Grabisch and Roubens, 1999)

    I = v(both) - v(local) - v(global) + v({})

which is negative if the priors are redundant, and positive if they are complementary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from statistics import mean, pstdev

import torch

from hybridprior._internal.random import stream
from hybridprior.evaluation.ablation.contributions import PARTS, VALUES, Attribution, Share
from hybridprior.evaluation.ablation.grid import PIXELS, Combination
from hybridprior.evaluation.ablation.table import Row
from hybridprior.resolve import AUTO

__all__ = ["attribute", "learned", "shapley"]

HAND_MADE = ("none", "tv")
"""Regularisers that are not learned from data."""

RESAMPLES = 2000
"""Number of bootstrap samples."""

BOUNDS = (0.025, 0.975)
"""Quantiles of the bootstrap."""


def shapley(nothing: float, local: float, global_: float, together: float) -> tuple[float, float, float]:
    """Return phi_local, phi_global and the interaction.

    Args:
        nothing: v({}).
        local: v({local}).
        global_: v({global}).
        together: v({local, global}).

    Example:
        >>> shapley(20.0, 28.0, 30.0, 31.0)
        (4.5, 6.5, -7.0)
    """
    interaction = together - local - global_ + nothing
    return local - nothing + interaction / 2, global_ - nothing + interaction / 2, interaction


def attribute(rows: Sequence[Row]) -> Attribution:
    """Return the attribution of all images, conditions and combinations that have all four values.

    Args:
        rows: The rows of the cells.
    """
    done = [row for row in rows if row.done]
    shares = [
        share
        for condition in dict.fromkeys((row.task, row.condition) for row in done)
        for image in dict.fromkeys(row.image for row in done)
        for share in _shares([r for r in done if (r.task, r.condition) == condition and r.image == image])
    ]
    groups: dict[tuple, list[Share]] = {}
    for share in shares:
        key = (share.task, share.condition, share.generator, share.both, share.step, share.metric)
        groups.setdefault(key, []).append(share)
    return Attribution(tuple(shares), tuple(_averaged(group) for group in groups.values()))


def learned(rows: Sequence[Row]) -> list[tuple[str, float]]:
    """Return the pretrained regularisers with their weights that have cells on pixels.

    Args:
        rows: The rows of the cells.
    """
    found = [
        (row.regulariser, row.weight)
        for row in rows
        if row.generator == PIXELS and row.weight is not None and set(row.regulariser.split("+")) - set(HAND_MADE)
    ]
    return list(dict.fromkeys(found))


def _shares(rows: Sequence[Row]) -> Iterator[Share]:
    """Yield the contributions for one image under one condition."""
    cells = {(row.parts, row.seed): row for row in rows}
    seeds = list(dict.fromkeys(row.seed for row in rows))
    pretrained = learned(rows)
    closest = min((one for one in pretrained if one[0] == "denoiser"), key=lambda one: abs(one[1] - 1), default=None)
    for generator in dict.fromkeys(row.generator for row in rows if row.generator != PIXELS):
        games = [(*one, Combination(generator, *one)) for one in pretrained]
        if closest is not None:
            games.append((*closest, Combination(generator, AUTO, None)))
        for regulariser, weight, both in games:
            sets = (
                Combination(PIXELS, "none", None),
                Combination(generator, "none", None),
                Combination(PIXELS, regulariser, weight),
                both,
            )
            trials = [[cells.get((parts, seed)) for parts in sets] for seed in seeds]
            complete = [[row for row in trial if row is not None] for trial in trials if None not in trial]
            for step, metric in (("chosen", "psnr"), ("oracle", "psnr"), ("chosen", "ssim"), ("oracle", "ssim")):
                values = [[row.figure(step, metric) for row in trial] for trial in complete]
                known = [[v for v in trial if v is not None] for trial in values if None not in trial]
                if known:
                    yield _share(complete[0][-1], step, metric, known)


def _share(row: Row, step: str, metric: str, trials: Sequence[Sequence[float]]) -> Share:
    """Return the mean over seeds; `row` is a cell with both priors."""
    parts = list(zip(*(shapley(*trial) for trial in trials), strict=True))
    how = row.degradation
    noise = 255 * float(how["sigma"])
    level = {"sr": how["scale"], "inpaint": 100 * float(how["missing"]), "dejpeg": how["quality"]}
    return Share(
        image=row.image,
        task=row.task,
        condition=row.condition,
        level=round(float(level.get(row.task, noise)), 6),
        noise=round(noise, 6),
        generator=row.generator,
        both=row.regulariser if row.weight is None else f"{row.regulariser} {row.weight:g}",
        step=step,
        metric=metric,
        **dict(zip(VALUES, map(mean, zip(*trials, strict=True)), strict=True)),
        **dict(zip(PARTS, map(mean, parts), strict=True)),
        seed_spread=max(map(pstdev, parts)) if len(trials) > 1 else None,
    )


def _averaged(shares: Sequence[Share]) -> Share:
    """Return the mean over images, with confidence intervals by the bootstrap over images."""
    names = (*VALUES, *PARTS)
    figures = torch.tensor([[getattr(share, name) for name in names] for share in shares], dtype=torch.float64)
    found = dict(zip(names, figures.mean(0).tolist(), strict=True))
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    if len(shares) > 1:
        drawn = torch.randint(len(shares), (RESAMPLES, len(shares)), generator=stream(0, "bootstrap"))
        bounds = figures[drawn].mean(1).quantile(torch.tensor(BOUNDS, dtype=torch.float64), 0)
        low, high = (dict(zip(names, bound.tolist(), strict=True)) for bound in bounds)
    seed_spreads = [share.seed_spread for share in shares if share.seed_spread is not None]
    spread = mean(seed_spreads) if seed_spreads else None
    return dataclasses.replace(
        shares[0], image="mean", **found, seed_spread=spread, images=len(shares), low=low, high=high
    )
