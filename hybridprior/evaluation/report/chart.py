"""Curves as lines of an SVG: a panel with ticks for each quantity, with the chosen step marked on each curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hybridprior.evaluation.report.page import Curve, Run

__all__ = ["Line", "Panel", "Scale", "panels", "styles"]

WIDTH, HEIGHT = 360, 232
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 40
MOST_POINTS = 300
RANGE_OF_PSNR = 9.0
"""Range of a PSNR panel below the best point, in dB."""

NOISE = 0.5
"""E of the noise level, as NLL per pixel."""


@dataclass(frozen=True)
class Scale:
    """The map from numbers to positions on an axis, linear or logarithmic."""

    low: float
    """Number at `start`."""
    high: float
    """Number at `end`."""
    start: float
    """Position of `low` in units of the drawing."""
    end: float
    """Position of `high` in units of the drawing."""
    log: bool = False
    """Whether the axis is logarithmic."""

    def __call__(self, value: float) -> float:
        """Return the position of a number; it may lie outside of the axis."""
        low, high, at = (math.log(max(x, 1e-300)) if self.log else x for x in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return two to seven round numbers within the axis."""
        if not self.log:
            return _round_numbers(self.low, self.high)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        few = [10.0**k for k in decades if self.low <= 10.0**k <= self.high * 1.0001]
        if len(few) > 7:
            return few[:: math.ceil(len(few) / 7)]
        if len(few) >= 3:
            return few
        return [m * 10.0**k for k in decades for m in (1, 2, 5) if self.low <= m * 10.0**k <= self.high * 1.0001]


@dataclass(frozen=True)
class Line:
    """One run's curve in a panel."""

    recipe: str
    """Recipe of the run."""
    role: str
    """Role of the run, which decides the colour."""
    dash: str
    """Line style, an SVG stroke-dasharray."""
    path: str
    """An SVG path."""
    chosen: tuple[float, float] | None
    """Position of the chosen step in units of the drawing."""
    oracle: tuple[float, float] | None
    """Position of the oracle's step in units of the drawing."""
    words: str
    """Description for screen readers."""


@dataclass(frozen=True)
class Panel:
    """One drawing."""

    title: str
    """The quantity and its unit."""
    group: str
    """The degradation."""
    lines: tuple[Line, ...]
    """The curves."""
    x_ticks: tuple[tuple[float, str], ...]
    """Position and label."""
    y_ticks: tuple[tuple[float, str], ...]
    """Position and label."""
    noise: float | None = None
    """Position of the noise level, in a panel of E."""
    frame: tuple[int, int, int, int] = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
    """Left, top, right and bottom of the axes."""
    size: tuple[int, int] = (WIDTH, HEIGHT)
    """Width and height of the drawing."""


DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2", "9 2 2 2 2 2")


def panels(runs: Sequence[Run]) -> list[Panel]:
    """Return a panel for each quantity and group of runs.

    Args:
        runs: The runs of a scene.
    """
    line_styles = styles(runs)
    found: dict[tuple[str, str], list[tuple[Run, Curve, str]]] = {}
    for run in runs:
        for curve in run.curves:
            title = f"{curve.quantity}, {curve.unit}" if curve.unit else curve.quantity
            found.setdefault((run.group, title), []).append((run, curve, line_styles[run.recipe or run.name][1]))
    groups = dict.fromkeys(run.group for run in runs)
    return [_panel(title, group, rows) for group in groups for (of, title), rows in found.items() if of == group]


def styles(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """Return role and line style of each recipe; recipes with the same role have different line styles.

    Args:
        runs: The runs of a scene.
    """
    recipes = {run.recipe or run.name: run.role for run in runs}
    seen = dict.fromkeys(recipes.values(), 0)
    found = {}
    for name, role in recipes.items():
        found[name] = role, DASHES[seen[role] % len(DASHES)]
        seen[role] += 1
    return found


def _panel(title: str, group: str, rows: Sequence[tuple[Run, Curve, str]]) -> Panel:
    """Return the panel of curves of one quantity."""
    curves = [curve for _, curve, _ in rows]
    x, y = _horizontal(curves), _vertical(curves)
    quantity = curves[0].quantity
    lines = [
        Line(
            recipe=run.recipe or run.name,
            role=run.role,
            dash=dash,
            path=_path(curve, x, y),
            chosen=_place(curve, curve.chosen, x, y),
            oracle=_place(curve, curve.oracle, x, y) if quantity == "PSNR" else None,
            words=_words(run, curve),
        )
        for run, curve, dash in rows
    ]
    return Panel(
        title=title,
        group=group,
        lines=tuple(lines),
        x_ticks=tuple((round(x(tick), 1), _label(tick)) for tick in x.ticks()),
        y_ticks=tuple((round(y(tick), 1), _label(tick)) for tick in y.ticks()),
        noise=round(y(NOISE), 1) if quantity == "E" and y.low < NOISE < y.high else None,
    )


def _horizontal(curves: Sequence[Curve]) -> Scale:
    """Return the axis of the steps, logarithmic if the lengths of the runs differ much."""
    ends = [curve.steps[-1] for curve in curves]
    if max(ends) > 8 * min(ends):
        return Scale(1, max(ends), LEFT, WIDTH - RIGHT, log=True)
    return Scale(0, max(ends), LEFT, WIDTH - RIGHT)


def _vertical(curves: Sequence[Curve]) -> Scale:
    """Return the axis of the values, logarithmic if they are positive with a large range; of PSNR, the upper part."""
    values = [value for curve in curves for value in curve.values]
    low, high = min(values), max(values)
    if curves[0].quantity == "PSNR":
        low = max(low, high - RANGE_OF_PSNR)
    elif low > 0 and high > 6 * low:
        low = min(low, 0.9 * NOISE) if curves[0].quantity == "E" and low < 2 * NOISE else low
        return Scale(low / 1.06, high * 1.06, HEIGHT - BOTTOM, TOP, log=True)
    margin = 0.06 * (high - low) or 0.5
    return Scale(low - margin, high + margin, HEIGHT - BOTTOM, TOP)


def _path(curve: Curve, x: Scale, y: Scale) -> str:
    """Return an SVG path through the points, or through every n-th point of a long curve."""
    every = math.ceil(len(curve.steps) / MOST_POINTS)
    points = list(zip(curve.steps, curve.values, strict=True))
    selected = points[::every] + (points[-1:] if (len(points) - 1) % every else [])
    return "M" + "L".join(f"{x(step):.1f} {y(value):.1f}" for step, value in selected)


def _place(curve: Curve, step: int | None, x: Scale, y: Scale) -> tuple[float, float] | None:
    """Return the position of a step on the curve, or None if it is outside."""
    if step is None or not curve.steps[0] <= step <= curve.steps[-1]:
        return None
    after = next(index for index, at in enumerate(curve.steps) if at >= step)
    before = max(0, after - 1)
    (s0, v0), (s1, v1) = ((curve.steps[i], curve.values[i]) for i in (before, after))
    value = v1 if s0 == s1 else v0 + (step - s0) / (s1 - s0) * (v1 - v0)
    return round(x(step), 1), round(y(value), 1)


def _words(run: Run, curve: Curve) -> str:
    """Return a description of a curve."""
    text = f"{run.name}: from {curve.values[0]:.4g} to {curve.values[-1]:.4g} in {curve.steps[-1]} steps"
    return f"{text}, step {curve.chosen} chosen." if curve.chosen else f"{text}."


def _round_numbers(low: float, high: float) -> list[float]:
    """Return three to six multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _label(value: float) -> str:
    """Return the label of a tick."""
    if value and not 1e-3 <= abs(value) < 1e5:
        base, _, power = f"{value:.0e}".partition("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{raised}" if base == "1" else f"{base}·10{raised}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
