"""The grid of `hprior ablate`, from the options of the command line and of a TOML file.

The keys of the file are the names of the options; values for one task only are in a table of its name:

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
from hybridprior.evaluation.config import Degradation
from hybridprior.io.records import read_toml
from hybridprior.presets import TASKS

from ..options import check_kernel, check_scale, check_sigma, check_task

__all__ = ["integers", "numbers", "read_grid", "words"]

KNOWN = ("images", "task", "generator", "reg", "weight", "denoiser", "seeds", "preset", "crop", "steps")

MINIMUM = {"crop": 16, "steps": 1}
"""Options that are one integer, and their smallest value."""

OF_A_TASK = ("sigma", "scale", "kernel", "missing", "blur", "quality", "data_seed")


def read_grid(
    config: Path | None, options: Mapping[str, Any], images: Sequence[Path] | None
) -> tuple[Grid, Sequence[Path]]:
    """Return the grid and its images.

    Args:
        config: A TOML file, or None.
        options: Options of the command line by name; they override those of the file.
        images: Images of the command line.

    Raises:
        ConfigError: An unknown option, or a value out of its range.
        InputError: A file that cannot be read, or no image.
    """
    file = {} if config is None else dict(read_toml(config))
    for name in file:
        if name not in (*KNOWN, *OF_A_TASK, *TASKS):
            raise unknown_name("option of an ablation", name, (*KNOWN, *OF_A_TASK, *TASKS))
    paths = list(images or map(Path, words(file.get("images", []), "images")))
    if not paths:
        raise InputError("Name at least one clean image, or a folder of them.")
    given = {**file, **options}
    made: dict[str, Any] = {"conditions": _conditions(given, options)}
    for field, name in (("generators", "generator"), ("regularisers", "reg")):
        if name in given:
            made[field] = tuple(words(given[name], name))
    if "weight" in given:
        made["weights"] = tuple(numbers(given["weight"], "weight"))
    if "seeds" in given:
        made["seeds"] = tuple(integers(given["seeds"], "seeds"))
    for name in ("preset", "denoiser"):
        if name in given:
            if not isinstance(given[name], str):
                raise ConfigError(f"{name} is one name, not '{given[name]}'.")
            made[name] = given[name]
    made |= {name: _one(given[name], name, minimum) for name, minimum in MINIMUM.items() if name in given}
    return Grid(**made), paths


def _conditions(given: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Degradation, ...]:
    """Return the degradations."""
    found: list[Degradation] = []
    for task in words(given.get("task", "denoise"), "task"):
        own = given.get(check_task(task), {})
        if not isinstance(own, Mapping):
            raise ConfigError(f"'{task}' is the name of a table in a TOML file; write [{task}] and its options below.")
        for name in own:
            if name not in OF_A_TASK:
                raise unknown_name(f"option of [{task}]", name, OF_A_TASK)
        values = {**given, **own, **options}
        sigmas = (
            [check_sigma(level) or 0.0 for level in numbers(values["sigma"], "sigma")] if "sigma" in values else None
        )
        found += conditions(
            [task],
            sigmas=sigmas,
            scales=[check_scale(scale) for scale in numbers(values.get("scale", Degradation.scale), "scale")],
            missing=numbers(values.get("missing", Degradation.missing), "missing"),
            blurs=words(values.get("blur", Degradation.blur), "blur"),
            qualities=integers(values.get("quality", Degradation.quality), "quality"),
            kernel=check_kernel(values.get("kernel", Degradation.kernel)),
            seed=_one(values.get("data_seed", Degradation.seed), "data_seed", 0),
        )
    return tuple(found)


def _one(value: Any, option: str, minimum: int) -> int:
    """Return one integer of at least `minimum`."""
    found = integers(value, option)
    if len(found) != 1 or found[0] < minimum:
        raise ConfigError(f"{option} is one integer of at least {minimum}, not '{value}'.")
    return found[0]


def words(value: Any, option: str) -> list[str]:
    """Return names from a comma-separated text or a list."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) and part.strip() for part in parts):
        raise ConfigError(f"{option} are names separated by commas, or a list of names, not '{value}'.")
    return [part.strip() for part in parts]


def numbers(value: Any, option: str) -> list[float]:
    """Return numbers from a comma-separated text, a number or a list of numbers."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    try:
        if not parts or any(isinstance(part, bool) for part in parts):
            raise ValueError(option)
        return [float(part) for part in parts]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{option} are numbers separated by commas, or a list of numbers, not '{value}'.") from error


def integers(value: Any, option: str) -> list[int]:
    """Return integers, given as for `numbers`."""
    found = numbers(value, option)
    if any(number != number // 1 for number in found):
        raise ConfigError(f"{option} are integers separated by commas, or a list of integers, not '{value}'.")
    return [int(number) for number in found]
