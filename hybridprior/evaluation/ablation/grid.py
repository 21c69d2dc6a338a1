"""The grid: parts x conditions x seeds, and what of it makes sense.

A combination is a generator, a regulariser and a weight. Left out are pixels with "auto" (which weighs a network
against R); one cell, without a weight, stands for all weights of "none" and of "auto", which finds its own.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.evaluation.degradation import Degradation
from hybridprior.generators import GENERATORS
from hybridprior.overrides import Overrides
from hybridprior.presets import preset as find_preset
from hybridprior.regularisers import REGULARISERS
from hybridprior.resolve import FUSED, check_parts, configure

__all__ = ["SIGMA", "Combination", "Grid", "conditions"]

SIGMA = {"denoise": 25 / 255, "deblur": 0.01}
"""The noise of a task where none is named, in [0, 1]; else there is none."""

WEIGHTLESS = ("none", FUSED)

PIXELS = "pixels"

PAPERS_MULTIPLE = 32
"""Of the sides of images for super-resolution, as Deep Image Prior crops them."""


@dataclass(frozen=True)
class Combination:
    """A choice of parts."""

    generator: str
    """f_theta by name."""
    regulariser: str
    """R by name, or "auto"."""
    weight: float | None
    """lambda; None where there is nothing to weigh."""

    @property
    def label(self) -> str:
        """The choice in words: "skip", "pixels + denoiser 1", "skip + auto"."""
        words = [self.generator] if self.regulariser == "none" else [self.generator, "+", self.regulariser]
        return " ".join([*words, *([] if self.weight is None else [f"{self.weight:g}"])])


@dataclass(frozen=True)
class Grid:
    """What is run, of every image."""

    conditions: tuple[Degradation, ...] = (Degradation(sigma=SIGMA["denoise"]),)
    """How the clean images are degraded."""
    generators: tuple[str, ...] = ("skip", PIXELS)
    """f_theta by name."""
    regularisers: tuple[str, ...] = ("none", "denoiser")
    """R by name, sums such as "denoiser+tv", or "auto"."""
    weights: tuple[float, ...] = (1.0,)
    """lambda."""
    seeds: tuple[int, ...] = (0,)
    """Of the restorations; the noise has the condition's."""
    preset: str = "balanced"
    """Where the configurations come from."""
    denoiser: str | None = None
    """What R asks, in place of its own."""
    steps: int | None = None
    """The most steps of networks, in place of the preset's. Pixels are solved to the preset's end."""
    crop: int | None = None
    """Side of a centre crop of the images."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for an empty grid, an unknown name or a number out of its range."""
        for field in ("conditions", "generators", "regularisers", "weights", "seeds"):
            values = getattr(self, field)
            if not values:
                raise ConfigError(f"An ablation needs at least one of its {field}.")
            if len(set(values)) < len(values):
                raise ConfigError(f"An ablation's {field} name one twice.")
        labels = [(how.task, how.label) for how in self.conditions]
        if len(set(labels)) < len(labels):
            raise ConfigError("Two of an ablation's conditions differ in no more than a seed; run them apart.")
        for name in self.generators:
            GENERATORS.find(name)
        for name in itertools.chain(*(names.split("+") for names in self.regularisers if names != FUSED)):
            REGULARISERS.find(name)
        for how in self.conditions:
            find_preset(self.preset, how.task)
        if not self.combinations():
            raise ConfigError("Nothing of this grid makes sense: 'auto' needs a network beside pixels.")

    def combinations(self) -> list[Combination]:
        """Return the choices of parts that make sense, in the grid's order."""
        found = [
            Combination(generator, regulariser, weight)
            for generator, regulariser in itertools.product(self.generators, self.regularisers)
            if (generator, regulariser) != (PIXELS, FUSED)
            for weight in ((None,) if regulariser in WEIGHTLESS else self.weights)
        ]
        return found

    def configure(self, how: Degradation, parts: Combination, seed: int = 0) -> RestoreConfig:
        """Return the configuration of one restoration.

        Without R, pixels are fitted for a fixed number of steps, since held-out ones tell nothing of each other; with
        an R that splits they are plug-and-play to its last iteration.

        Args:
            how: The degradation.
            parts: The choice.
            seed: The seed.
        """
        alone = parts.generator == PIXELS
        return configure(
            find_preset(self.preset, how.task),
            Overrides(
                generator=parts.generator,
                regulariser=parts.regulariser,
                weight=1.0 if parts.weight is None else parts.weight,
                denoiser=self.denoiser if _asks(parts.regulariser) else None,
                stopping="fixed" if alone and parts.regulariser == "none" else None,
                max_steps=None if alone else self.steps,
                seed=seed,
            ),
        )

    def check(self) -> None:
        """Load what the grid names, to find out whether it can run.

        Raises:
            ConfigError: Parts that do not go together, or a number out of its range.
            WeightsError: Weights that cannot be used.
        """
        for how, parts in itertools.product(self.conditions, self.combinations()):
            check_parts(self.configure(how, parts, max(self.seeds)))

    @property
    def multiple(self) -> int:
        """Of what the images' sides are multiples, for all conditions alike: the paper's 32, or the scales'."""
        scales = [how.scale for how in self.conditions if how.task == "sr"]
        if not scales:
            return 1
        common = math.lcm(*scales)
        return common if PAPERS_MULTIPLE % common else PAPERS_MULTIPLE

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as plain values."""
        return dataclasses.asdict(self)


def conditions(
    tasks: Iterable[str],
    *,
    sigmas: Sequence[float] | None = None,
    scales: Sequence[int] = (Degradation.scale,),
    missing: Sequence[float] = (Degradation.missing,),
    blurs: Sequence[str] = (Degradation.blur,),
    qualities: Sequence[int] = (Degradation.quality,),
    kernel: str = Degradation.kernel,
    seed: int = 0,
) -> tuple[Degradation, ...]:
    """Return every task at every noise level and at every level of its own.

    Args:
        tasks: "denoise", "sr", "inpaint", "deblur", "dejpeg", "demosaic".
        sigmas: Standard deviations of the noise, in [0, 1]; the usual ones of each task if not given.
        scales: sr: how many times smaller.
        missing: inpaint: shares of the pixels that go missing.
        blurs: deblur: kernels, as `hybridprior.operators.kernels.make_psf` takes them.
        qualities: dejpeg: the JPEG files'.
        kernel: sr: the low-pass filter.
        seed: Of the noise and of the missing pixels.

    Raises:
        ConfigError: A task that there is not, or a number out of its range.
    """
    own: dict[str, list[dict[str, Any]]] = {
        "sr": [{"scale": scale, "kernel": kernel} for scale in scales],
        "inpaint": [{"missing": share} for share in missing],
        "deblur": [{"blur": blur} for blur in blurs],
        "dejpeg": [{"quality": quality} for quality in qualities],
    }
    return tuple(
        Degradation(task=task, sigma=sigma, seed=seed, **level)
        for task in tasks
        for level in own.get(task, [{}])
        for sigma in ((SIGMA.get(task, 0.0),) if sigmas is None else sigmas)
    )


def _asks(regulariser: str) -> bool:
    """Return whether a regulariser asks a denoiser."""
    if regulariser == FUSED:
        return True
    parts: list[Any] = [REGULARISERS.find(name).Config for name in regulariser.split("+")]  # type: ignore[attr-defined]
    return any("denoiser" in {field.name for field in dataclasses.fields(part)} for part in parts)
