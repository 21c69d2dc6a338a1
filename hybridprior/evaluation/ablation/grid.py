"""The grid of an ablation: combinations x conditions x seeds.

A combination is a generator, a regulariser and a weight. Pixels with "auto" are left out, because "auto" combines a
network with R. "none" and "auto" have one cell without a weight.
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
from hybridprior.resolve import AUTO, check_parts, configure

__all__ = ["SIGMA", "Combination", "Grid", "conditions"]

SIGMA = {"denoise": 25 / 255, "deblur": 0.01}
"""Default standard deviation of the noise by task, in [0, 1]; 0 for other tasks."""

WEIGHTLESS = ("none", AUTO)

PIXELS = "pixels"

PAPERS_MULTIPLE = 32
"""Divisor of the sides of images for super-resolution, as in Deep Image Prior."""


@dataclass(frozen=True)
class Combination:
    """A combination of generator, regulariser and weight.

    Example:
        >>> Combination("pixels", "denoiser", 1.0).label
        'pixels + denoiser 1'
    """

    generator: str
    """Name of f_theta."""
    regulariser: str
    """Name of R, or "auto"."""
    weight: float | None
    """lambda; None for "none" and "auto"."""

    @property
    def label(self) -> str:
        """The combination as text: "skip", "pixels + denoiser 1", "skip + auto"."""
        words = [self.generator] if self.regulariser == "none" else [self.generator, "+", self.regulariser]
        return " ".join([*words, *([] if self.weight is None else [f"{self.weight:g}"])])


@dataclass(frozen=True)
class Grid:
    """The grid that is run for each image.

    Example:
        >>> [combination.label for combination in Grid().combinations()]
        ['skip', 'skip + denoiser 1', 'pixels', 'pixels + denoiser 1']
    """

    conditions: tuple[Degradation, ...] = (Degradation(sigma=SIGMA["denoise"]),)
    """How the clean images are degraded."""
    generators: tuple[str, ...] = ("skip", PIXELS)
    """Names of f_theta."""
    regularisers: tuple[str, ...] = ("none", "denoiser")
    """Names of R, sums such as "denoiser+tv", or "auto"."""
    weights: tuple[float, ...] = (1.0,)
    """Values of lambda."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the restorations; the seed of the noise is that of the condition."""
    preset: str = "balanced"
    """Preset of the configurations."""
    denoiser: str | None = None
    """Denoiser of R; its default if None."""
    steps: int | None = None
    """Maximum number of steps of networks; the preset's if None. Pixels always have the preset's number."""
    crop: int | None = None
    """Side of a centre crop of the images."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` if the grid is empty, or if a name or a number is not valid."""
        for field in ("conditions", "generators", "regularisers", "weights", "seeds"):
            values = getattr(self, field)
            if not values:
                raise ConfigError(f"The grid has no {field}. Give at least one.")
            if len(set(values)) < len(values):
                raise ConfigError(f"The grid has a value of {field} twice. Remove one.")
        labels = [(how.task, how.label) for how in self.conditions]
        if len(set(labels)) < len(labels):
            raise ConfigError("Two conditions of the grid differ in their seed only. Run them as two ablations.")
        for name in self.generators:
            GENERATORS.find(name)
        for name in itertools.chain(*(names.split("+") for names in self.regularisers if names != AUTO)):
            REGULARISERS.find(name)
        for how in self.conditions:
            find_preset(self.preset, how.task)
        if not self.combinations():
            raise ConfigError(
                "The grid has no valid combination: 'auto' needs a network. Add a generator other than pixels."
            )

    def combinations(self) -> list[Combination]:
        """Return the valid combinations in the order of the grid."""
        found = [
            Combination(generator, regulariser, weight)
            for generator, regulariser in itertools.product(self.generators, self.regularisers)
            if (generator, regulariser) != (PIXELS, AUTO)
            for weight in ((None,) if regulariser in WEIGHTLESS else self.weights)
        ]
        return found

    def configure(self, how: Degradation, parts: Combination, seed: int = 0) -> RestoreConfig:
        """Return the configuration of one restoration.

        Pixels without R are fitted for a fixed number of steps, because held-out pixels carry no information about
        each other. Pixels with an R that uses a denoiser are solved by plug-and-play, to its last iteration.

        Args:
            how: The degradation.
            parts: The combination.
            seed: The seed of the restoration.
        """
        networkless = parts.generator == PIXELS
        return configure(
            find_preset(self.preset, how.task),
            Overrides(
                generator=parts.generator,
                regulariser=parts.regulariser,
                weight=1.0 if parts.weight is None else parts.weight,
                denoiser=self.denoiser if _has_denoiser(parts.regulariser) else None,
                stopping="fixed" if networkless and parts.regulariser == "none" else None,
                max_steps=None if networkless else self.steps,
                seed=seed,
            ),
        )

    def check(self) -> None:
        """Build the components of all combinations to check that they can run.

        Raises:
            ConfigError: Components cannot be combined, or a number is out of its range.
            WeightsError: Weights cannot be loaded.
        """
        for how, parts in itertools.product(self.conditions, self.combinations()):
            check_parts(self.configure(how, parts, max(self.seeds)))

    @property
    def multiple(self) -> int:
        """Divisor of the sides of the images in all conditions: 32 as in the paper, or a multiple of the scales."""
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
    """Return each task at each noise level and at each level of its own parameter.

    Args:
        tasks: "denoise", "sr", "inpaint", "deblur", "dejpeg", "demosaic".
        sigmas: Standard deviations of the noise, in [0, 1]; the default of each task if not given.
        scales: sr: factors of the downsampling.
        missing: inpaint: fractions of missing pixels.
        blurs: deblur: kernels, as for `hybridprior.operators.kernels.make_psf`.
        qualities: dejpeg: JPEG qualities.
        kernel: sr: the low-pass filter.
        seed: Seed of the noise and of the missing pixels.

    Raises:
        ConfigError: A task is unknown, or a number is out of its range.

    Example:
        >>> [how.label for how in conditions(["denoise", "sr"], scales=[2, 4])]
        ['sigma 25', 'x2', 'x4']
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


def _has_denoiser(regulariser: str) -> bool:
    """Return whether a regulariser uses a denoiser."""
    if regulariser == AUTO:
        return True
    parts: list[Any] = [REGULARISERS.find(name).Config for name in regulariser.split("+")]  # type: ignore[attr-defined]
    return any("denoiser" in {field.name for field in dataclasses.fields(part)} for part in parts)
