"""The content of a report as values, independent of files and of HTML.

A `Page` has scenes. A `Scene` is one image with all versions that are `Shown` (degraded, restored, truth) and the
`Run`s that restored it. Build a page, or let `from_folder` or `from_result` do it, and `render` it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridprior.evaluation.tables import Table

__all__ = ["ROLES", "Candidate", "Curve", "Deviation", "Fusion", "Page", "Run", "Scene", "Shown"]

ROLES = ("local", "global", "both", "nothing")
"""The priors of a run. Their colours are red, blue, green, as in the map of the stacking weights, and grey."""


@dataclass(frozen=True)
class Shown:
    """An image in the page."""

    name: str
    """Name in the page."""
    source: str
    """The image as a data URI."""
    width: int
    """Width of the embedded image in pixels."""
    height: int
    """Height of the embedded image in pixels."""
    group: str = ""
    """The degradation, if there are several."""
    shrunk_from: tuple[int, int] | None = None
    """Width and height of the file in pixels, if the embedded image is smaller."""
    note: str = ""
    """Text under the image: combination, PSNR."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the file."""
        return self.shrunk_from or (self.width, self.height)


@dataclass(frozen=True)
class Curve:
    """A figure over the steps of a run."""

    quantity: str
    """The quantity: "PSNR", "E", "held-out error". Curves of one quantity share a panel."""
    unit: str
    """Unit, for the title of the panel."""
    steps: tuple[int, ...]
    """Steps, counted from 1, in order."""
    values: tuple[float, ...]
    """The values at the steps, finite."""
    chosen: int | None = None
    """The step chosen without ground truth."""
    oracle: int | None = None
    """The best step by the ground truth."""


@dataclass(frozen=True)
class Candidate:
    """One candidate of a fusion."""

    name: str
    """Name: "local", "global", "hybrid", "warm_started" ..."""
    weight: float | None
    """Mean stacking weight in the image, in [0, 1]."""
    error: float | None = None
    """Mean squared residual on validation measurements, noise included."""
    standard_error: float | None = None
    """Standard error of the residual."""

    @property
    def measured(self) -> str:
        """The error and its standard error as text, rounded to the significant digits."""
        return _measured(self.error, self.standard_error)


@dataclass(frozen=True)
class Fusion:
    """The stacking weights of a fusion."""

    kind: str
    """Kind of the weights: one "combination", a "map", "few" candidates, "tiles", or "none"."""
    candidates: tuple[Candidate, ...]
    """The candidates."""
    gain: float | None = None
    """Reduction of the mean squared residual relative to the best candidate."""
    gain_standard_error: float | None = None
    """Standard error of the gain."""
    map: Shown | None = None
    """Image of the weights: red local, blue global, green both."""

    @property
    def gained(self) -> str:
        """The gain and its standard error as text; "" if the fusion is the best candidate."""
        return _measured(self.gain, self.gain_standard_error) if self.gain else ""


@dataclass(frozen=True)
class Deviation:
    """The standard deviation of each pixel."""

    facts: tuple[tuple[str, str], ...] = ()
    """Name and value: the method, and its calibration."""
    map: Shown | None = None
    """Image of the standard deviation, from 0 (black) to `white`."""
    white: float | None = None
    """Standard deviation that is white in the image, in [0, 1]."""


@dataclass(frozen=True)
class Run:
    """One restoration."""

    name: str
    """Name in the page, unique in its scene and group."""
    recipe: str = ""
    """Generator and regulariser as text. Curves of one recipe have the same line style for all seeds."""
    role: str = "both"
    """One of `ROLES`."""
    group: str = ""
    """The degradation, as in `Shown`."""
    facts: tuple[tuple[str, str], ...] = ()
    """Name and value, in order."""
    message: str = ""
    """How the run ended, as a sentence."""
    curves: tuple[Curve, ...] = ()
    """The curves over the steps."""
    fusion: Fusion | None = None
    """The stacking weights, if the priors were fused."""
    deviation: Deviation | None = None
    """The standard deviation of each pixel, if it was computed."""
    config: str = ""
    """The configuration as text, usually JSON."""


@dataclass(frozen=True)
class Scene:
    """One image: its versions, and the runs that restored it."""

    name: str
    """Name of the image."""
    shown: tuple[Shown, ...] = ()
    """All versions of the image."""
    runs: tuple[Run, ...] = ()
    """The restorations."""
    left: int = 0
    """Index in `shown` of the image on the left of the comparison."""
    right: int = -1
    """Index in `shown` of the image on the right of the comparison."""


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    """The heading."""
    scenes: tuple[Scene, ...] = ()
    """The images, one section each."""
    facts: tuple[tuple[str, str], ...] = ()
    """Name and value, under the heading."""
    tables: tuple[Table, ...] = ()
    """Tables about all scenes."""
    plots: tuple[Shown, ...] = ()
    """Figures about all scenes."""
    command: str = ""
    """The command line."""
    request: str = ""
    """The request as text, usually JSON."""
    missing: tuple[str, ...] = ()
    """Sentences about missing files."""
    compressed: bool = False
    """Whether the embedded images are compressed with loss."""


def _measured(value: float | None, error: float | None) -> str:
    if value is None:
        return ""
    if not error:
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
