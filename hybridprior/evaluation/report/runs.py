"""Runs of a report from the records of `hprior restore` and of ablations.

A record may come from an interrupted run or from another version. Values that are missing or of another type are left
out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from hybridprior.evaluation.record import RunRecord
from hybridprior.evaluation.report.page import Candidate, Curve, Deviation, Fusion, Run, Shown
from hybridprior.evaluation.values import inner, number, word

__all__ = ["component_names", "curves_of", "group_of", "recipe", "role", "run_of"]

NETWORKLESS, PRIORLESS, FUSED = "pixels", "none", "auto"

SCORES = {
    "heldout": ("held-out error", "mean square"),
    "variance": ("variance of the iterates", "mean square"),
    "auto": ("error on the validation measurements", "mean square"),
}
"""Name and unit of the statistic of a stopping rule, or of the fusion."""

TASKS = {
    "denoise": "denoising",
    "sr": "super-resolution",
    "inpaint": "inpainting",
    "deblur": "deblurring",
    "dejpeg": "JPEG artefacts",
    "demosaic": "demosaicking",
    "leave": "unchanged",
}


def run_of(
    record: RunRecord,
    *,
    name: str,
    recipe: str,
    role: str,
    group: str = "",
    map: Shown | None = None,
    std: Shown | None = None,
) -> Run:
    """Return the run of a record.

    Args:
        record: The record of a restored image, or of a cell of an ablation.
        name: Name of the run.
        recipe: Generator and regulariser as text.
        role: One of `ROLES`.
        group: The degradation.
        map: The image of the stacking weights.
        std: The image of the standard deviation.
    """
    return Run(
        name=name,
        recipe=recipe,
        role=role,
        group=group,
        facts=tuple(_facts(record)),
        message=record.message,
        curves=tuple(curves_of(record)),
        fusion=_fusion(record, map),
        deviation=_deviation(record, std),
        config=json.dumps(record.config, indent=2, ensure_ascii=False) if record.config else "",
    )


def role(generator: object, regulariser: object) -> str:
    """Return the priors in a generator and a regulariser, one of `ROLES`.

    Args:
        generator: Name of f_theta.
        regulariser: Name of R.

    Example:
        >>> role("skip", "none"), role("pixels", "denoiser"), role("skip", "auto")
        ('local', 'global', 'both')
    """
    if generator == NETWORKLESS:
        return "nothing" if regulariser in (PRIORLESS, None, "") else "global"
    return "local" if regulariser in (PRIORLESS, None, "") else "both"


def recipe(generator: object, regulariser: object, weight: object = None) -> str:
    """Return generator, regulariser and weight as text.

    Args:
        generator: Name of f_theta.
        regulariser: Name of R.
        weight: lambda.

    Example:
        >>> recipe("skip", "denoiser", 0.3)
        'skip + denoiser, λ 0.3'
    """
    kind, g, r = role(generator, regulariser), word(generator) or "?", word(regulariser)
    words = {"nothing": "no prior", "local": f"{g} alone", "global": f"{r} alone", "both": f"{g} + {r}"}[kind]
    plain = number(weight)
    if plain is not None and kind in ("both", "global") and r != FUSED:
        words += f", λ {plain:g}"
    return words


def group_of(task: object, condition: object) -> str:
    """Return a degradation as text.

    Args:
        task: Name of the task.
        condition: The level of the degradation.

    Example:
        >>> group_of("denoise", "sigma 25")
        'denoising, sigma 25'
    """
    name = word(task)
    return ", ".join(part for part in (TASKS.get(name, name), word(condition)) if part)


def component_names(record: RunRecord) -> tuple[object, object]:
    """Return the names of f_theta and R in a record's configuration.

    Args:
        record: The record.
    """
    config = dict(record.config)
    fused = config.get("method") == "fusion"
    return inner(config, "generator").get("name"), FUSED if fused else inner(config, "regulariser").get("name")


def curves_of(record: RunRecord) -> Iterator[Curve]:
    """Yield the curves over the steps in a record: PSNR, E, and the statistic of the stopping rule.

    Args:
        record: The record.
    """
    trace, oracle = record.trace, record.oracle_trace
    marks = {"chosen": record.figures.chosen_step or None, "oracle": record.figures.oracle_step or None}
    rule = FUSED if record.fusion else word(inner(record.config, "stopping").get("name"))
    quantity, unit = SCORES.get(rule, ("statistic of the stopping rule", ""))
    for values, title, dimension in (
        (oracle, "PSNR", "dB"),
        (trace, "E", "NLL per pixel"),
        (trace, quantity, unit),
    ):
        key = {"PSNR": "psnr", "E": "energy"}.get(title, "score")
        steps, points = _points(values.get("step"), values.get(key))
        if len(steps) > 1:
            yield Curve(title, dimension, steps, points, **marks)


def _points(steps: object, values: object) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the pairs in which both are numbers, in the order of the steps."""
    if not isinstance(steps, Sequence) or not isinstance(values, Sequence):
        return (), ()
    found: dict[int, float] = {}
    for step, value in zip(steps, values, strict=False):
        at, height = number(step), number(value)
        if at is not None and height is not None:
            found[int(at)] = height
    return tuple(sorted(found)), tuple(found[step] for step in sorted(found))


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    figures = {
        "PSNR": ("psnr", "{:.2f} dB"),
        "SSIM": ("ssim", "{:.4f}"),
        "oracle PSNR": ("oracle_psnr", "{:.2f} dB"),
        "initial PSNR": ("baseline_psnr", "{:.2f} dB"),
        "chosen step": ("chosen_step", "{:,.0f}"),
        "oracle step": ("oracle_step", "{:,.0f}"),
        "steps": ("steps", "{:,.0f}"),
        "seconds": ("seconds", "{:.1f}"),
        "sigma": ("sigma", "{:.4g} / 255"),
        "seed": ("seed", "{:.0f}"),
        "threads": ("threads", "{:.0f}"),
    }
    for name, (key, form) in figures.items():
        value = number({**record.details, **vars(record.figures)}.get(key))
        if value is not None:
            yield name, form.format(value)
    for name, key in (("PSNR on", "psnr_on"), ("status", "status"), ("device", "device"), ("precision", "precision")):
        text = record.status if key == "status" else record.word(key)
        if text:
            yield name, text
    versions = record.inner("versions")
    if versions:
        yield "versions", ", ".join(f"{name} {word(version)}" for name, version in versions.items())


def _deviation(record: RunRecord, std: Shown | None) -> Deviation | None:
    about = record.uncertainty
    if not about:
        return None
    known = {
        "samples": (number(about.get("samples")), 1, "{:.0f}"),
        "mean deviation": (number(about.get("std_mean")), 255, "{:.2f} / 255"),
        "scale of the samples' deviation": (number(about.get("scale")), 1, "{:.2f}"),
        "floor": (number(about.get("floor")), 255, "{:.2f} / 255"),
        "squared error over variance, before the fit": (number(about.get("normalised_before")), 1, "{:.2f}"),
        "after it": (number(about.get("normalised_after")), 1, "{:.2f}"),
    }
    facts = [(name, form.format(unit * value)) for name, (value, unit, form) in known.items() if value is not None]
    return Deviation((("method", word(about.get("method"))), *facts), std, number(about.get("map_white")))


def _fusion(record: RunRecord, map: Shown | None) -> Fusion | None:
    fusion = record.fusion
    if not fusion:
        return None
    candidates = [(name, each) for name, each in inner(fusion, "candidates").items() if isinstance(each, dict)]
    return Fusion(
        kind=word(fusion.get("kind")),
        candidates=tuple(
            Candidate(name, *(number(each.get(key)) for key in ("weight", "error", "standard_error")))
            for name, each in candidates
        ),
        gain=number(fusion.get("gain")),
        gain_standard_error=number(fusion.get("gain_standard_error")),
        map=map,
    )
