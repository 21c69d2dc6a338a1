"""Records in JSON, of `hprior restore` and of ablations, made into runs.

A record may come from a run that was killed, or from another version: what is not there, or is of another type, is
left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridprior.evaluation.report.page import Believed, Curve, Deviation, Run, Share, Shown

__all__ = ["curves_of", "group_of", "inner", "number", "read_record", "recipe", "role", "run_of", "word"]

NETWORKLESS, PRIORLESS, FUSED = "pixels", "none", "auto"

SCORES = {
    "heldout": ("held-out error", "mean square"),
    "variance": ("variance of the iterates", "mean square"),
    "auto": ("error on the judging part", "mean square"),
}
"""What a stopping rule's statistic is called, or the fusion's, and its unit."""

TASKS = {
    "denoise": "denoising",
    "sr": "super-resolution",
    "inpaint": "inpainting",
    "deblur": "deblurring",
    "dejpeg": "JPEG traces",
    "demosaic": "demosaicking",
    "leave": "left as it is",
}


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, or None where there is none that can be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def number(value: object) -> float | None:
    """Return a finite number as it is, and None for everything else."""
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if plain else None  # type: ignore[arg-type]


def word(value: object) -> str:
    """Return a text or a number as text, and "" for everything else."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def inner(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object within a record, an empty one where it is not."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def run_of(
    record: Mapping[str, Any],
    *,
    name: str,
    recipe: str,
    role: str,
    group: str = "",
    map: Shown | None = None,
    std: Shown | None = None,
) -> Run:
    """Return the run that a record describes.

    Args:
        record: A sidecar, or a cell of an ablation.
        name: What the run is called.
        recipe: What it is made of.
        role: One of `ROLES`.
        group: The degradation that it belongs to.
        map: The image of who was believed where.
        std: The image of how far off each pixel is.
    """
    config = record.get("config")
    return Run(
        name=name,
        recipe=recipe,
        role=role,
        group=group,
        facts=tuple(_facts(record)),
        message=word(record.get("message")) or word(record.get("error")),
        curves=tuple(curves_of(record)),
        believed=_believed(record, map),
        deviation=_deviation(record, std),
        config=json.dumps(config, indent=2, ensure_ascii=False) if config else "",
    )


def role(generator: object, regulariser: object) -> str:
    """Return which priors a generator and a regulariser are, one of `ROLES`."""
    if generator == NETWORKLESS:
        return "nothing" if regulariser in (PRIORLESS, None, "") else "global"
    return "local" if regulariser in (PRIORLESS, None, "") else "both"


def recipe(generator: object, regulariser: object, weight: object = None) -> str:
    """Return in words which parts a run is made of."""
    kind, g, r = role(generator, regulariser), word(generator) or "?", word(regulariser)
    words = {"nothing": "no prior", "local": f"{g} alone", "global": f"{r} alone", "both": f"{g} + {r}"}[kind]
    plain = number(weight)
    if plain is not None and kind in ("both", "global") and r != FUSED:
        words += f", λ {plain:g}"
    return words


def group_of(task: object, condition: object) -> str:
    """Return a degradation in words: "denoising, sigma 25"."""
    name = word(task)
    return ", ".join(part for part in (TASKS.get(name, name), word(condition)) if part)


def curves_of(record: Mapping[str, Any]) -> Iterator[Curve]:
    """Yield the figures over the steps that a record has: PSNR, E, and the stopping rule's statistic."""
    trace, oracle = inner(record, "trace"), inner(record, "oracle_trace") or inner(record, "trace")
    marks = {"chosen": _step(record.get("chosen_step")), "oracle": _step(record.get("oracle_step"))}
    rule = FUSED if inner(record, "fusion") else word(inner(inner(record, "config"), "stopping").get("name"))
    quantity, unit = SCORES.get(rule, ("statistic of the stopping rule", ""))
    for values, title, dimension in (
        (oracle, "PSNR", "dB"),
        (trace, "E", "nats a measurement"),
        (trace, quantity, unit),
    ):
        key = {"PSNR": "psnr", "E": "energy"}.get(title, "score")
        steps, points = _points(values.get("step"), values.get(key))
        if len(steps) > 1:
            yield Curve(title, dimension, steps, points, **marks)


def _points(steps: object, values: object) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the pairs of which both are numbers, the steps rising."""
    if not isinstance(steps, Sequence) or not isinstance(values, Sequence):
        return (), ()
    found: dict[int, float] = {}
    for step, value in zip(steps, values, strict=False):
        at, height = number(step), number(value)
        if at is not None and height is not None:
            found[int(at)] = height
    return tuple(sorted(found)), tuple(found[step] for step in sorted(found))


def _step(value: object) -> int | None:
    step = number(value)
    return int(step) if step else None


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    figures = {
        "PSNR": ("psnr", "{:.2f} dB"),
        "SSIM": ("ssim", "{:.4f}"),
        "oracle PSNR": ("oracle_psnr", "{:.2f} dB"),
        "before": ("baseline_psnr", "{:.2f} dB"),
        "chosen step": ("chosen_step", "{:,.0f}"),
        "oracle step": ("oracle_step", "{:,.0f}"),
        "steps": ("steps", "{:,.0f}"),
        "seconds": ("seconds", "{:.1f}"),
        "sigma": ("sigma", "{:.4g} / 255"),
        "seed": ("seed", "{:.0f}"),
        "threads": ("threads", "{:.0f}"),
    }
    for name, (key, form) in figures.items():
        value = number(record.get(key))
        if value is not None:
            yield name, form.format(value)
    for name, key in (("PSNR on", "psnr_on"), ("status", "status"), ("device", "device"), ("precision", "precision")):
        if word(record.get(key)):
            yield name, word(record.get(key))
    versions = inner(record, "versions")
    if versions:
        yield "versions", ", ".join(f"{name} {word(version)}" for name, version in versions.items())


def _deviation(record: Mapping[str, Any], std: Shown | None) -> Deviation | None:
    about = inner(record, "uncertainty")
    if not about:
        return None
    known = {
        "samples": (number(about.get("samples")), 1, "{:.0f}"),
        "mean deviation": (number(about.get("std_mean")), 255, "{:.2f} / 255"),
        "scale of the samples' spread": (number(about.get("scale")), 1, "{:.2f}"),
        "floor": (number(about.get("floor")), 255, "{:.2f} / 255"),
        "squared error over variance, before the fit": (number(about.get("normalised_before")), 1, "{:.2f}"),
        "after it": (number(about.get("normalised_after")), 1, "{:.2f}"),
    }
    facts = [(name, form.format(unit * value)) for name, (value, unit, form) in known.items() if value is not None]
    return Deviation((("method", word(about.get("method"))), *facts), std, number(about.get("map_white")))


def _believed(record: Mapping[str, Any], map: Shown | None) -> Believed | None:
    fusion = inner(record, "fusion")
    if not fusion:
        return None
    candidates = [(name, each) for name, each in inner(fusion, "candidates").items() if isinstance(each, dict)]
    return Believed(
        kind=word(fusion.get("kind")),
        shares=tuple(
            Share(name, *(number(each.get(key)) for key in ("weight", "error", "standard_error")))
            for name, each in candidates
        ),
        gain=number(fusion.get("gain")),
        gain_standard_error=number(fusion.get("gain_standard_error")),
        map=map,
    )
