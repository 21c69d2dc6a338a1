"""What was asked of `hprior ablate`, on the command line or in a TOML file, as a grid.

A file has the names of the options; what holds for one task only stands in a table of its name:

    images = ["photographs"]
    task = ["denoise", "inpaint"]
    generator = ["skip", "pixels"]
    reg = ["none", "denoiser", "auto"]
    weight = [0.3, 1, 3]
    seeds = [0, 1, 2]

    [denoise]
    sigma = [5, 15, 25, 50, 100]

    [inpaint]
    missing = [0.5, 0.8, 0.95]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridprior.errors import ConfigError, InputError, unknown_name
from hybridprior.evaluation.ablation import Grid, conditions
from hybridprior.evaluation.degradation import Degradation
from hybridprior.io.records import read_toml
from hybridprior.presets import TASKS

from ..options import check_kernel, check_scale, check_sigma, check_task

__all__ = ["numbers", "read_grid", "whole", "words"]

KNOWN = ("images", "task", "generator", "reg", "weight", "denoiser", "seeds", "preset", "crop", "steps")

LEAST = {"crop": 16, "steps": 1}
"""Of options that are one number."""

OF_A_TASK = ("sigma", "scale", "kernel", "missing", "blur", "quality", "data_seed")


def read_grid(
    config: Path | None, asked: Mapping[str, Any], images: Sequence[Path] | None
) -> tuple[Grid, Sequence[Path]]:
    """Return the grid and its images.

    Args:
        config: A TOML file, if there is one.
        asked: Options of the command line by name; they come before those of the file.
        images: Images of the command line.

    Raises:
        ConfigError: An option that there is not, or a value out of its range.
        InputError: A file that cannot be read, or no image.
    """
    file = {} if config is None else dict(read_toml(config))
    for name in file:
        if name not in (*KNOWN, *OF_A_TASK, *TASKS):
            raise unknown_name("option of an ablation", name, (*KNOWN, *OF_A_TASK, *TASKS))
    paths = list(images or map(Path, words(file.get("images", []), "images")))
    if not paths:
        raise InputError("Name at least one clean image, or a folder of them.")
    given = {**file, **asked}
    made: dict[str, Any] = {"conditions": _conditions(given, asked)}
    for field, name in (("generators", "generator"), ("regularisers", "reg")):
        if name in given:
            made[field] = tuple(words(given[name], name))
    if "weight" in given:
        made["weights"] = tuple(numbers(given["weight"], "weight"))
    if "seeds" in given:
        made["seeds"] = tuple(whole(given["seeds"], "seeds"))
    for name in ("preset", "denoiser"):
        if name in given:
            if not isinstance(given[name], str):
                raise ConfigError(f"{name} is one name, not '{given[name]}'.")
            made[name] = given[name]
    made |= {name: _one(given[name], name, least) for name, least in LEAST.items() if name in given}
    return Grid(**made), paths


def _conditions(given: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[Degradation, ...]:
    """Return how the images are degraded."""
    found: list[Degradation] = []
    for task in words(given.get("task", "denoise"), "task"):
        own = given.get(check_task(task), {})
        if not isinstance(own, Mapping):
            raise ConfigError(f"'{task}' is a table of a TOML file: [{task}].")
        for name in own:
            if name not in OF_A_TASK:
                raise unknown_name(f"option of [{task}]", name, OF_A_TASK)
        told = {**given, **own, **asked}
        sigmas = [check_sigma(level) or 0.0 for level in numbers(told["sigma"], "sigma")] if "sigma" in told else None
        found += conditions(
            [task],
            sigmas=sigmas,
            scales=[check_scale(scale) for scale in numbers(told.get("scale", Degradation.scale), "scale")],
            missing=numbers(told.get("missing", Degradation.missing), "missing"),
            blurs=words(told.get("blur", Degradation.blur), "blur"),
            qualities=whole(told.get("quality", Degradation.quality), "quality"),
            kernel=check_kernel(told.get("kernel", Degradation.kernel)),
            seed=_one(told.get("data_seed", Degradation.seed), "data_seed", 0),
        )
    return tuple(found)


def _one(value: Any, option: str, least: int) -> int:
    """Return one whole number of some size."""
    found = whole(value, option)
    if len(found) != 1 or found[0] < least:
        raise ConfigError(f"{option} is one whole number, {least} or more, not '{value}'.")
    return found[0]


def words(value: Any, option: str) -> list[str]:
    """Return names: a text with commas, or a list."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) and part.strip() for part in parts):
        raise ConfigError(f"{option} are names with commas, or a list of names, not '{value}'.")
    return [part.strip() for part in parts]


def numbers(value: Any, option: str) -> list[float]:
    """Return numbers: a text with commas, a number, or a list of numbers."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    try:
        if not parts or any(isinstance(part, bool) for part in parts):
            raise ValueError(option)
        return [float(part) for part in parts]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{option} are numbers with commas, or a list of them, not '{value}'.") from error


def whole(value: Any, option: str) -> list[int]:
    """Return whole numbers, given as for `numbers`."""
    found = numbers(value, option)
    if any(number != number // 1 for number in found):
        raise ConfigError(f"{option} are whole numbers with commas, or a list of them, not '{value}'.")
    return [int(number) for number in found]
