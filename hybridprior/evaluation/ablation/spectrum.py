"""The spectrum over the steps: which frequencies are fitted when.

Shi, Mettes, Maji, Snoek, "On Measuring and Controlling the Spectral Bias of the Deep Image Prior", IJCV 2022: the
frequency-band correspondence of x with a reference is the mean over a ring of frequencies of

    |F x| / |F reference|, at most 1,

with rings of equal width up to the highest frequency of rows and columns. Amplitudes say how much of a band is there,
but not whether it is right: noise that is fitted raises the correspondence, too. Departs from the paper in that the
error of each band, |F x - F reference|^2 over |F reference|^2, summed over the ring, stands beside it, and in that the
mean intensity, which would outweigh the lowest band, is left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from hybridprior.config import Component
from hybridprior.errors import ConfigError, InputError
from hybridprior.evaluation.ablation.grid import Combination, Grid
from hybridprior.evaluation.ablation.plots import png
from hybridprior.evaluation.ablation.table import markdown
from hybridprior.evaluation.bench import measure
from hybridprior.evaluation.degradation import Degradation
from hybridprior.resolve import FUSED
from hybridprior.result import Step

__all__ = ["BANDS", "Spectrum", "correspondence", "draw_spectra", "spectra", "spectra_table"]

BANDS = 5

DENSITY = 1.08
"""Ratio of two steps that are looked at, at least."""

HALF = 0.5


@dataclass
class Spectrum:
    """A callback that looks at the iterates' bands, and what it saw."""

    label: str
    """What ran."""
    truth: torch.Tensor
    """The reference, `(1, C, H, W)`."""
    bands: int = BANDS
    """How many rings."""
    steps: list[int] = field(default_factory=list)
    """Those that were looked at."""
    correspondence: list[list[float]] = field(default_factory=list)
    """Of each of them, by band from the lowest."""
    error: list[list[float]] = field(default_factory=list)
    """The relative squared error."""

    def __call__(self, step: Step) -> None:
        """Look at a step, if it is time to."""
        if step.tile is None and (not self.steps or step.number >= self.steps[-1] * DENSITY):
            ratio, error = correspondence(step.iterate.cpu(), self.truth, bands=self.bands)
            self.steps.append(step.number)
            self.correspondence.append(ratio)
            self.error.append(error)

    def reached(self, band: int, level: float = HALF) -> int | None:
        """Return the first step from which on a band's correspondence stays at a level or above, if there is one."""
        above = [values[band] >= level for values in self.correspondence]
        last = max((number for number, there in enumerate(above) if not there), default=-1)
        return self.steps[last + 1] if last + 1 < len(self.steps) else None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, without the truth."""
        names = ("label", "bands", "steps", "correspondence", "error")
        least = [min(range(len(self.steps)), key=lambda k: self.error[k][band]) for band in range(self.bands)]
        return {
            **{name: getattr(self, name) for name in names},
            "half": [self.reached(band) for band in range(self.bands)],
            "best_step": [self.steps[k] for k in least],
        }


def correspondence(x: torch.Tensor, reference: torch.Tensor, *, bands: int = BANDS) -> tuple[list[float], list[float]]:
    """Return the frequency-band correspondence of an image with a reference, and the relative error, by band.

    Args:
        x: `(1, C, H, W)`; channels are averaged.
        reference: In the same shape.
        bands: How many rings.

    Raises:
        InputError: An image too small for that many rings.
    """
    height, width = x.shape[-2:]
    if min(height, width) < 2 * bands:
        raise InputError(f"{bands} bands need {2 * bands} pixels a side, not {width} x {height}.")
    ours, theirs = (torch.fft.fft2(image[0].double().mean(0)) for image in (x, reference))
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None]) / 0.5
    ring = (radius * bands).long()
    ring[0, 0] = -1
    ratio = (ours.abs() / theirs.abs().clamp_min(1e-8)).clamp(max=1)
    wrong, right = (ours - theirs).abs().square(), theirs.abs().square()
    masks = [(ring == band) | ((band == bands - 1) & (radius == 1)) for band in range(bands)]
    errors = [float(wrong[mask].sum() / right[mask].sum().clamp_min(1e-12)) for mask in masks]
    return [float(ratio[mask].mean()) for mask in masks], errors


def spectra(
    truth: torch.Tensor,
    *,
    generator: str = "skip",
    regulariser: str = "denoiser",
    weight: float = 1.0,
    sigma: float = 25 / 255,
    preset: str = "balanced",
    max_steps: int | None = None,
    seed: int = 0,
    bands: int = BANDS,
    device: str = "auto",
) -> list[Spectrum]:
    """Return the spectrum over the steps of a network alone, and of the network with R, while both denoise.

    Args:
        truth: A clean image, `(1, C, H, W)` in [0, 1].
        generator: f_theta by name.
        regulariser: R by name.
        weight: lambda.
        sigma: Of the noise, in [0, 1].
        preset: Where the configurations come from; no rule stops them.
        max_steps: The most steps.
        seed: Of the restorations.
        bands: How many rings.
        device: Where.

    Raises:
        ConfigError: An unknown name, or R "auto", which has no steps.
        InputError: An image too small for the bands, or too large to be solved whole.
    """
    if FUSED in (regulariser, *regulariser.split("+")):
        raise ConfigError("The regulariser 'auto' has no steps to look at; take denoiser, score or feature.")
    correspondence(truth, truth, bands=bands)
    how = Degradation(sigma=sigma)
    choices = [Combination(generator, "none", None), Combination(generator, regulariser, weight)]
    grid = Grid(
        (how,),
        (generator,),
        tuple(dict.fromkeys(c.regulariser for c in choices)),
        (weight,),
        preset=preset,
        steps=max_steps,
    )
    grid.check()
    found = []
    for parts in choices[: len(grid.regularisers)]:
        config = dataclasses.replace(grid.configure(how, parts, seed), stopping=Component("fixed"))
        found.append(Spectrum(parts.label, truth, bands))
        measure("image", truth, how, config, device=device, callbacks=found[-1:])
        if not found[-1].steps:
            raise InputError("The image is too large for the memory and is solved in tiles; crop it.")
    return found


def spectra_table(found: Sequence[Spectrum]) -> str:
    """Return in Markdown when each band is half there, and when its error is least."""
    head = ["band", *(f"{s.label}: half" for s in found), *(f"{s.label}: best (error)" for s in found)]
    told = [spectrum.to_dict() for spectrum in found]
    body = []
    for band in range(found[0].bands):
        half = [str(each["half"][band] or "never") for each in told]
        least = [f"{each['best_step'][band]} ({min(values[band] for values in each['error']):.3f})" for each in told]
        body.append([_range(band, found[0].bands), *half, *least])
    return markdown(head, body)


def draw_spectra(found: Sequence[Spectrum]) -> bytes:
    """Return correspondence and error over the steps as a PNG, a column for each run and a line for each band."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.6 + 4.2 * len(found), 6), layout="constrained")
    panels = figure.subplots(2, len(found), squeeze=False, sharex=True, sharey="row")
    for column, spectrum in enumerate(found):
        top, bottom = panels[0][column], panels[1][column]
        for band in range(spectrum.bands):
            colour = colormaps["viridis"](0.9 * band / max(spectrum.bands - 1, 1))
            label = _range(band, spectrum.bands)
            top.plot(spectrum.steps, [values[band] for values in spectrum.correspondence], color=colour, label=label)
            bottom.plot(spectrum.steps, [values[band] for values in spectrum.error], color=colour)
        top.set(title=spectrum.label, xscale="log", ylim=(0, 1.02))
        bottom.set(xscale="log", yscale="log", xlabel="step")
        for axes in (top, bottom):
            axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("frequency-band correspondence")
    panels[1][0].set_ylabel("relative squared error")
    panels[0][0].legend(frameon=False, fontsize="small", title="of the highest frequency", title_fontsize="small")
    return png(figure)


def _range(band: int, bands: int) -> str:
    low, high = (math.floor(100 * number / bands + 0.5) for number in (band, band + 1))
    return f"{low}-{high} %"
