"""The spectrum over the steps: when each frequency band is fitted.

Shi, Mettes, Maji, Snoek, "On Measuring and Controlling the Spectral Bias of the Deep Image Prior", IJCV 2022: the
frequency-band correspondence of x with a reference is the mean over a ring of frequencies of

    |F x| / |F reference|, at most 1,

with rings of equal width up to the highest frequency of rows and columns. The correspondence compares amplitudes only:
fitted noise raises it, too. There are two differences from the paper. The relative error of each band,
|F x - F reference|^2 over |F reference|^2, both summed over the ring, is reported as well. The mean intensity is left
out, because it would dominate the lowest band.
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
from hybridprior.evaluation.bench import measure
from hybridprior.evaluation.degradation import Degradation
from hybridprior.evaluation.tables import Cell, Column, Table
from hybridprior.resolve import AUTO
from hybridprior.result import Step

__all__ = ["BANDS", "Spectrum", "correspondence", "draw_spectra", "spectra", "spectra_table"]

BANDS = 5
"""Default number of rings."""

DENSITY = 1.08
"""Minimum ratio of two successive measured steps."""

HALF = 0.5
"""Correspondence at which a band counts as half fitted."""


@dataclass
class Spectrum:
    """A callback that measures the frequency bands of the iterates."""

    label: str
    """The combination of generator and regulariser."""
    truth: torch.Tensor
    """The reference, `(1, C, H, W)`."""
    bands: int = BANDS
    """Number of rings."""
    steps: list[int] = field(default_factory=list)
    """The measured steps."""
    correspondence: list[list[float]] = field(default_factory=list)
    """Correspondence at each of them, by band from the lowest."""
    error: list[list[float]] = field(default_factory=list)
    """Relative squared error at each of them, by band from the lowest."""

    def __call__(self, step: Step) -> None:
        """Measure a step, unless it is too close to the last one.

        Args:
            step: The step.
        """
        if step.tile is None and (not self.steps or step.number >= self.steps[-1] * DENSITY):
            ratio, error = correspondence(step.iterate.cpu(), self.truth, bands=self.bands)
            self.steps.append(step.number)
            self.correspondence.append(ratio)
            self.error.append(error)

    def reached(self, band: int, level: float = HALF) -> int | None:
        """Return the first step from which on the correspondence of a band stays at or above a level, or None."""
        above = [values[band] >= level for values in self.correspondence]
        last = max((number for number, reached in enumerate(above) if not reached), default=-1)
        return self.steps[last + 1] if last + 1 < len(self.steps) else None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, without the reference."""
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
        reference: The reference, in the same shape.
        bands: Number of rings.

    Raises:
        InputError: The image is too small for that many rings.

    Example:
        >>> x = torch.rand(1, 1, 16, 16)
        >>> correspondence(x, x, bands=2)
        ([1.0, 1.0], [0.0, 0.0])
    """
    height, width = x.shape[-2:]
    if min(height, width) < 2 * bands:
        raise InputError(f"{bands} bands need an image of at least {2 * bands} pixels a side, not {width} x {height}.")
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
    """Return the spectrum over the steps of denoising with a network without R, and with R.

    Args:
        truth: A clean image, `(1, C, H, W)` in [0, 1].
        generator: Name of f_theta.
        regulariser: Name of R.
        weight: lambda.
        sigma: Standard deviation of the noise, in [0, 1].
        preset: Preset of the configurations; early stopping is turned off.
        max_steps: Maximum number of steps.
        seed: Seed of the restorations.
        bands: Number of rings.
        device: The device.

    Raises:
        ConfigError: A name is unknown, or R is "auto", which has no steps.
        InputError: The image is too small for the bands, or too large to be solved without tiles.
    """
    if AUTO in (regulariser, *regulariser.split("+")):
        raise ConfigError("The regulariser 'auto' has no steps to measure. Use denoiser, score or feature.")
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


def spectra_table(found: Sequence[Spectrum]) -> Table:
    """Return the step from which on each band is half fitted, and the step with its least error.

    Args:
        found: The spectra.
    """
    columns = [Column("band"), *(Column(f"{s.label}: half", 0) for s in found)]
    columns += [Column(f"{s.label}: {name}", digits) for s in found for name, digits in (("best", 0), ("error", 3))]
    figures = [spectrum.to_dict() for spectrum in found]
    rows = []
    for band in range(found[0].bands):
        half: list[Cell] = [each["half"][band] or "never" for each in figures]
        least = [(each["best_step"][band], min(values[band] for values in each["error"])) for each in figures]
        rows.append((_range(band, found[0].bands), *half, *(value for pair in least for value in pair)))
    return Table("Frequency bands", tuple(columns), tuple(rows))


def draw_spectra(found: Sequence[Spectrum]) -> bytes:
    """Return correspondence and error over the steps as a PNG: a column for each run, a line for each band.

    Args:
        found: The spectra.
    """
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
