"""What a report says: frozen data, apart from where it was read and from how it is drawn.

A `Page` has scenes; a `Scene` is one image with every `Shown` of it (degraded, restored, truth) and the `Run`s that
restored it. Build one yourself, or let `from_folder` and `from_result` do it, and `render` it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridprior.evaluation.tables import Table

__all__ = ["ROLES", "Believed", "Curve", "Deviation", "Page", "Run", "Scene", "Share", "Shown"]

ROLES = ("local", "global", "both", "nothing")
"""Which priors a run used; the page's colours: red, blue, green as in the map of who was believed, and grey."""


@dataclass(frozen=True)
class Shown:
    """An image in the page."""

    name: str
    """What it is called in the page."""
    source: str
    """The image itself, as a data URI."""
    width: int
    """Pixels of the embedded image."""
    height: int
    """Likewise."""
    group: str = ""
    """The degradation that it belongs to, where an image was degraded in several ways."""
    shrunk_from: tuple[int, int] | None = None
    """Width and height of the file, where it was too large to be embedded as it is."""
    note: str = ""
    """A few words under it: figures, how it was made."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the file."""
        return self.shrunk_from or (self.width, self.height)


@dataclass(frozen=True)
class Curve:
    """A figure over the steps of a run."""

    quantity: str
    """What is drawn: "PSNR", "E", "held-out error"; curves of one quantity share a panel."""
    unit: str
    """Its unit, for the panel's title."""
    steps: tuple[int, ...]
    """Counted from 1, rising."""
    values: tuple[float, ...]
    """As many, finite."""
    chosen: int | None = None
    """The step that was chosen without ground truth."""
    oracle: int | None = None
    """The step that the ground truth would have chosen."""


@dataclass(frozen=True)
class Share:
    """How much one candidate of the fusion was believed."""

    name: str
    """The candidate: "local", "global", "hybrid", "warm_started" ..."""
    weight: float | None
    """Its mean weight in the image, in [0, 1]."""
    error: float | None = None
    """Its mean squared residual on measurements that it has not seen, noise included."""
    standard_error: float | None = None
    """Standard error of that."""

    @property
    def measured(self) -> str:
        """The error and its spread in words, to the digits that the spread leaves."""
        return _measured(self.error, self.standard_error)


@dataclass(frozen=True)
class Believed:
    """Who helped, where the priors were fused."""

    kind: str
    """One "combination", a "map", a combination of a "few", "tiles" by themselves, or "none"."""
    shares: tuple[Share, ...]
    """The candidates."""
    gain: float | None = None
    """What the fusion's mean squared residual is less than that of the best candidate."""
    gain_standard_error: float | None = None
    """Standard error of the gain."""
    map: Shown | None = None
    """Where: red local, blue global, green both."""

    @property
    def gained(self) -> str:
        """The gain and its spread in words; "" where the fusion is its best candidate."""
        return _measured(self.gain, self.gain_standard_error) if self.gain else ""


@dataclass(frozen=True)
class Deviation:
    """How far off each pixel is, where that was found out."""

    facts: tuple[tuple[str, str], ...] = ()
    """Name and value: where it came from, and its fit."""
    map: Shown | None = None
    """Where: the standard deviation from 0, black, to `white`."""
    white: float | None = None
    """The standard deviation that is shown white, in [0, 1]."""


@dataclass(frozen=True)
class Run:
    """One restoration."""

    name: str
    """What it is called in the page, unique in its scene and group."""
    recipe: str = ""
    """What it is made of; the curves of one recipe, whatever the seed, are drawn alike."""
    role: str = "both"
    """One of `ROLES`."""
    group: str = ""
    """The degradation that it belongs to, as in `Shown`."""
    facts: tuple[tuple[str, str], ...] = ()
    """Name and value, in the order of reading."""
    message: str = ""
    """How it ended, in a sentence."""
    curves: tuple[Curve, ...] = ()
    """Its figures over the steps."""
    believed: Believed | None = None
    """Who helped."""
    deviation: Deviation | None = None
    """How far off each pixel is."""
    config: str = ""
    """The configuration as text, JSON as a rule."""


@dataclass(frozen=True)
class Scene:
    """One image: what it looked like, and what became of it."""

    name: str
    """The image's name."""
    shown: tuple[Shown, ...] = ()
    """All images of it."""
    runs: tuple[Run, ...] = ()
    """The restorations."""
    left: int = 0
    """Which of `shown` the comparison has at the left to begin with."""
    right: int = -1
    """And which at the right."""


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    """The heading."""
    scenes: tuple[Scene, ...] = ()
    """A section each."""
    facts: tuple[tuple[str, str], ...] = ()
    """Name and value, under the heading."""
    tables: tuple[Table, ...] = ()
    """Tables about all scenes."""
    plots: tuple[Shown, ...] = ()
    """Drawings about all scenes."""
    command: str = ""
    """The command that made it all."""
    request: str = ""
    """What was asked for, as text, JSON as a rule."""
    missing: tuple[str, ...] = ()
    """What should be there and is not, a sentence each."""
    compressed: bool = False
    """Whether the images lost a little when they were embedded."""


def _measured(value: float | None, spread: float | None) -> str:
    if value is None:
        return ""
    if not spread:
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(spread)))
    return f"{value:.{digits}f} ± {spread:.{digits}f}"
