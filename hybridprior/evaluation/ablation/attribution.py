"""Attribution: how many decibels come from the architecture, how many from the data.

Let v(S) be the figure that is reached with the set S of priors: `local`, the architecture of an untrained network, and
`global`, a pretrained R. v({}) are pixels without R, v({local}) the network without R, v({global}) pixels with R. The
Shapley values (Shapley, "A Value for n-Person Games", 1953), each prior's gain averaged over both orders,

    phi_local  = (v(local) - v({}) + v(both) - v(global)) / 2
    phi_global = (v(global) - v({}) + v(both) - v(local)) / 2

add up to v(both) - v({}). Half of the interaction (Grabisch and Roubens, 1999)

    I = v(both) - v(local) - v(global) + v({})

is in either of them: below zero where the priors know the same, above where each makes the other better.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, pstdev
from typing import Any

import torch

from hybridprior._internal.random import stream
from hybridprior.evaluation.ablation.grid import PIXELS, Combination
from hybridprior.evaluation.ablation.table import Row, latex, markdown
from hybridprior.resolve import FUSED

__all__ = ["Attribution", "Share", "attribute", "learned", "shapley"]

VALUES = ("nothing", "local", "global_", "together")

PARTS = ("shapley_local", "shapley_global", "interaction")

HAND_MADE = ("none", "tv")
"""Regularisers that no data went into."""

RESAMPLES = 2000

BOUNDS = (0.025, 0.975)
"""Quantiles of the bootstrap."""


@dataclass(frozen=True)
class Share:
    """What the priors did for an image, or on average over images, under one condition."""

    image: str
    """Its name, or "mean"."""
    task: str
    condition: str
    level: float
    """sr: the scale; inpaint: the share of missing pixels in percent; dejpeg: the quality; else sigma, of 255."""
    noise: float
    """sigma in units of 0-255."""
    generator: str
    """f_theta of v(local) and v(both)."""
    both: str
    """What v(both) is: R with its weight, or "auto"."""
    judge: str
    """The step: "chosen" without ground truth, or by the "oracle"."""
    metric: str
    """"psnr" in dB, or "ssim"."""
    nothing: float
    """v({}), the mean over seeds, as all that follow."""
    local: float
    """v({local})."""
    global_: float
    """v({global})."""
    together: float
    """v({local, global})."""
    shapley_local: float
    """phi_local."""
    shapley_global: float
    """phi_global."""
    interaction: float
    """I."""
    seed_spread: float | None
    """The greatest of their three standard deviations over seeds, None of a single seed; of a mean, the mean."""
    images: int = 1
    """How many images."""
    low: Mapping[str, float] = field(default_factory=dict)
    """Lower bounds of 95 % over images, by field; none of a single image."""
    high: Mapping[str, float] = field(default_factory=dict)
    """Upper bounds."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name; `global_` is "global"."""
        plain = dataclasses.asdict(self)
        plain = {name: _renamed(value) if isinstance(value, dict) else value for name, value in plain.items()}
        return _renamed(plain)


@dataclass(frozen=True)
class Attribution:
    """What the priors did: for each image, and on average."""

    rows: tuple[Share, ...]
    """An image each."""
    means: tuple[Share, ...]
    """Over images."""

    def to_dict(self) -> dict[str, Any]:
        """Return rows and means as plain values."""
        return {"rows": [row.to_dict() for row in self.rows], "means": [row.to_dict() for row in self.means]}

    def to_markdown(self) -> str:
        """Return the tables of the means, and of each image's PSNR at the chosen step."""
        texts = [f"## {title}\n\n{markdown(head, body)}" for title, head, body in self._tables()]
        return "\n".join(texts) if texts else "No image has all four: pixels and a network, each with R and without.\n"

    def to_latex(self) -> str:
        """Return the same for LaTeX, with the rules of booktabs."""
        return "\n".join(latex(head, body, caption=title) for title, head, body in self._tables())

    def _tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        head = ["neither", "local", "global", "both", "from local", "from global", "interaction", "seeds"]
        for judge, metric in dict.fromkeys((row.judge, row.metric) for row in self.means):
            lines = [row for row in self.means if (row.judge, row.metric) == (judge, metric)]
            title = f"Mean {'PSNR in dB' if metric == 'psnr' else 'SSIM'}, {_step(judge)}"
            body = [[*_where(row), *_figures(row), str(row.images)] for row in lines]
            yield title, ["condition", "parts", *head, "images"], body
        single = [row for row in self.rows if (row.judge, row.metric) == ("chosen", "psnr")]
        if single:
            body = [[row.image, *_where(row), *_figures(row)] for row in single]
            yield (
                "Each image, PSNR in dB, chosen without ground truth",
                ["image", "condition", "parts", *head],
                body,
            )


def shapley(nothing: float, local: float, global_: float, together: float) -> tuple[float, float, float]:
    """Return phi_local, phi_global and the interaction.

    Args:
        nothing: v({}).
        local: v({local}).
        global_: v({global}).
        together: v({local, global}).
    """
    interaction = together - local - global_ + nothing
    return local - nothing + interaction / 2, global_ - nothing + interaction / 2, interaction


def attribute(rows: Sequence[Row]) -> Attribution:
    """Return the attribution of all images, conditions and choices that have all four values.

    Args:
        rows: The cells.
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
        key = (share.task, share.condition, share.generator, share.both, share.judge, share.metric)
        groups.setdefault(key, []).append(share)
    return Attribution(tuple(shares), tuple(_averaged(group) for group in groups.values()))


def learned(rows: Sequence[Row]) -> list[tuple[str, float]]:
    """Return the pretrained regularisers with their weights, as they are found on pixels."""
    found = [
        (row.regulariser, row.weight)
        for row in rows
        if row.generator == PIXELS and row.weight is not None and set(row.regulariser.split("+")) - set(HAND_MADE)
    ]
    return list(dict.fromkeys(found))


def _shares(rows: Sequence[Row]) -> Iterator[Share]:
    """Yield what the cells of one image under one condition say."""
    cells = {(row.parts, row.seed): row for row in rows}
    seeds = list(dict.fromkeys(row.seed for row in rows))
    pretrained = learned(rows)
    closest = min((one for one in pretrained if one[0] == "denoiser"), key=lambda one: abs(one[1] - 1), default=None)
    for generator in dict.fromkeys(row.generator for row in rows if row.generator != PIXELS):
        games = [(*one, Combination(generator, *one)) for one in pretrained]
        if closest is not None:
            games.append((*closest, Combination(generator, FUSED, None)))
        for regulariser, weight, both in games:
            sets = (
                Combination(PIXELS, "none", None),
                Combination(generator, "none", None),
                Combination(PIXELS, regulariser, weight),
                both,
            )
            trials = [[cells.get((parts, seed)) for parts in sets] for seed in seeds]
            whole = [[row for row in trial if row is not None] for trial in trials if None not in trial]
            for judge, metric in (("chosen", "psnr"), ("oracle", "psnr"), ("chosen", "ssim"), ("oracle", "ssim")):
                values = [[row.figure(judge, metric) for row in trial] for trial in whole]
                known = [[v for v in trial if v is not None] for trial in values if None not in trial]
                if known:
                    yield _share(whole[0][-1], judge, metric, known)


def _share(row: Row, judge: str, metric: str, trials: Sequence[Sequence[float]]) -> Share:
    """Return the mean over seeds; `row` is a cell with both priors."""
    parts = list(zip(*(shapley(*trial) for trial in trials), strict=True))
    told = row.degradation
    noise = 255 * float(told["sigma"])
    level = {"sr": told["scale"], "inpaint": 100 * float(told["missing"]), "dejpeg": told["quality"]}
    return Share(
        image=row.image,
        task=row.task,
        condition=row.condition,
        level=round(float(level.get(row.task, noise)), 6),
        noise=round(noise, 6),
        generator=row.generator,
        both=row.regulariser if row.weight is None else f"{row.regulariser} {row.weight:g}",
        judge=judge,
        metric=metric,
        **dict(zip(VALUES, map(mean, zip(*trials, strict=True)), strict=True)),
        **dict(zip(PARTS, map(mean, parts), strict=True)),
        seed_spread=max(map(pstdev, parts)) if len(trials) > 1 else None,
    )


def _averaged(shares: Sequence[Share]) -> Share:
    """Return the mean over images, and its bounds by drawing the images anew."""
    names = (*VALUES, *PARTS)
    figures = torch.tensor([[getattr(share, name) for name in names] for share in shares], dtype=torch.float64)
    found = dict(zip(names, figures.mean(0).tolist(), strict=True))
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    if len(shares) > 1:
        drawn = torch.randint(len(shares), (RESAMPLES, len(shares)), generator=stream(0, "bootstrap"))
        bounds = figures[drawn].mean(1).quantile(torch.tensor(BOUNDS, dtype=torch.float64), 0)
        low, high = (dict(zip(names, bound.tolist(), strict=True)) for bound in bounds)
    spreads = [share.seed_spread for share in shares if share.seed_spread is not None]
    spread = mean(spreads) if spreads else None
    return dataclasses.replace(
        shares[0], image="mean", **found, seed_spread=spread, images=len(shares), low=low, high=high
    )


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in values.items()}


def _step(judge: str) -> str:
    return "chosen without ground truth" if judge == "chosen" else "at the oracle's step"


def _where(row: Share) -> list[str]:
    return [f"{row.task}, {row.condition}", f"{row.generator}, {row.both}"]


def _figures(row: Share) -> list[str]:
    digits = 2 if row.metric == "psnr" else 3
    cells = [f"{getattr(row, name):.{digits}f}" for name in VALUES]
    for name in PARTS:
        text = f"{getattr(row, name):+.{digits}f}"
        bounds = (row.low.get(name, math.nan), row.high.get(name, math.nan))
        cells.append(f"{text} [{bounds[0]:+.{digits}f}, {bounds[1]:+.{digits}f}]" if row.low else text)
    return [*cells, "" if row.seed_spread is None else f"{row.seed_spread:.{digits}f}"]
