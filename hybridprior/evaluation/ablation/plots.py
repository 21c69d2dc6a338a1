"""Figures of an ablation: the contribution of each prior, and the regions where the local prior is better."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hybridprior.evaluation.ablation.contributions import Share
from hybridprior.evaluation.ablation.regions import Region
from hybridprior.evaluation.ablation.table import slugged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_attribution", "draw_region", "png"]

RED, BLUE, GREEN, GREY = "#c43c39", "#2f6fb2", "#3a8f4d", "#777777"
"""Local prior, global prior, both, neither, as in the map of the stacking weights."""

VALUES = {
    "nothing": ("neither", GREY),
    "local": ("local", RED),
    "global_": ("global", BLUE),
    "together": ("both", GREEN),
}

PARTS = {
    "shapley_local": ("from local", RED),
    "shapley_global": ("from global", BLUE),
    "interaction": ("interaction", GREY),
}

NOISE = "sigma, of 255"

AXES = {"sr": "scale", "inpaint": "missing pixels, %", "dejpeg": "quality"}
"""Horizontal axis by task; the noise for other tasks."""


def draw_attribution(means: Sequence[Share]) -> Iterator[tuple[str, bytes]]:
    """Yield a file name and a PNG for each task: PSNR with each set of priors, and the Shapley values of the priors.

    The upper panels show PSNR at the step chosen without ground truth, and dotted at the oracle's step. The lower
    panels show the Shapley values with 95 % confidence intervals over images.

    Args:
        means: Means over images.
    """
    psnr = [share for share in means if share.metric == "psnr"]
    for task, noise, kernel in dict.fromkeys((share.task, _noise(share), _kernel(share)) for share in psnr):
        lines = [share for share in psnr if (share.task, _noise(share), _kernel(share)) == (task, noise, kernel)]
        games = list(dict.fromkeys((share.generator, share.both) for share in lines))
        figure = _figure(3.8 * len(games) + 0.6, 6.4)
        panels = figure.subplots(2, len(games), squeeze=False, sharex=True, sharey="row")
        for column, game in enumerate(games):
            own = sorted((s for s in lines if (s.generator, s.both) == game), key=lambda share: share.level)
            _draw_game(panels[0][column], panels[1][column], own)
            panels[0][column].set_title(f"{game[0]}, {game[1]}", fontsize="medium")
            panels[1][column].set_xlabel(AXES.get(task, NOISE))
        panels[0][0].set_ylabel("PSNR, dB")
        panels[1][0].set_ylabel("part of the gain, dB")
        panels[0][-1].legend(frameon=False, fontsize="small")
        panels[1][-1].legend(frameon=False, fontsize="small")
        noisy = "" if noise is None or not noise else f"-sigma-{noise:g}"
        blurred = f"-{slugged(kernel)}" if kernel else ""
        yield f"attribution-{task}{blurred}{noisy}.png", png(figure)


def draw_region(region: Region) -> bytes:
    """Return the truth, a local and a global result, and the map of the better prior, as a PNG.

    Args:
        region: The comparison of the two priors.
    """
    from matplotlib.figure import Figure

    height, width = region.map.shape
    figure = Figure(figsize=(13, 0.4 + 3 * height / width))
    other = f"pixels + {region.regulariser} {region.weight:g}"
    titles = ["truth", f"local: {region.generator}", f"global: {other}"]
    titles.append(f"red: local better, {100 * region.share:.0f} % of the pixels")
    top = 1 - 0.4 / figure.get_figheight()
    panels = [figure.add_axes((0.005 + 0.234 * column, 0, 0.228, top)) for column in range(4)]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize="medium")
        axes.set_axis_off()
    for axes, image in zip(panels, region.images, strict=False):
        shown = image[0].clamp(0, 1).permute(1, 2, 0).numpy()
        axes.imshow(shown if shown.shape[-1] == 3 else shown[..., 0], cmap="gray", vmin=0, vmax=1)
    most = float(region.map.abs().quantile(0.99)) or 1.0
    drawn = panels[3].imshow(region.map.numpy(), cmap="RdBu_r", vmin=-most, vmax=most)
    bar = figure.colorbar(drawn, cax=figure.add_axes((0.94, 0.1 * top, 0.008, 0.8 * top)), ticks=(-most, 0, most))
    bar.ax.set_yticklabels([f"{-most:.2g}", "0", f"{most:.2g}"], fontsize="small")
    return png(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG.

    Args:
        figure: The figure.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_game(values: Axes, parts: Axes, shares: Sequence[Share]) -> None:
    for axes, names in ((values, VALUES), (parts, PARTS)):
        for name, (label, colour) in names.items():
            for step, line in (("chosen", "o-"), ("oracle", ":")):
                own = [share for share in shares if share.step == step]
                if step == "oracle" and axes is parts:
                    continue
                levels, heights = [share.level for share in own], [getattr(share, name) for share in own]
                axes.plot(levels, heights, line, color=colour, label=label if step == "chosen" else None, markersize=4)
                if axes is parts and own and all(share.low for share in own):
                    low, high = ([bound[name] for bound in bounds] for bounds in zip(*map(_bounds, own), strict=True))
                    _draw_bounds(axes, levels, low, high, colour)
        axes.grid(alpha=0.3)
    parts.axhline(0, color="black", linewidth=0.6)


def _draw_bounds(axes: Axes, levels: list[float], low: list[float], high: list[float], colour: str) -> None:
    if len(levels) > 1:
        axes.fill_between(levels, low, high, color=colour, alpha=0.15, linewidth=0)
    else:
        axes.vlines(levels, low, high, color=colour, alpha=0.5)


def _bounds(share: Share) -> tuple[dict[str, float], dict[str, float]]:
    return dict(share.low), dict(share.high)


def _kernel(share: Share) -> str:
    """Return the blur kernel; kernels have no order, so each has a figure of its own."""
    return share.condition.partition(", sigma")[0] if share.task == "deblur" else ""


def _noise(share: Share) -> float | None:
    """Return the noise of a figure; None if the noise is the horizontal axis."""
    return share.noise if share.task in AXES else None
