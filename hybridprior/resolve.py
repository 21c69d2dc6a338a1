"""From a configuration and overrides to what runs: a `RestoreConfig` and its `Components`.

It is the one place where a choice has consequences for another, and where the alias `regulariser="auto"` is translated
to the solver "fusion". The decisions are tabulated in `tests/test_resolve.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hybridprior._internal.registry import build_config
from hybridprior.config import Component, RestoreConfig
from hybridprior.denoisers import owned
from hybridprior.errors import ConfigError
from hybridprior.fusion import FusionConfig
from hybridprior.generators import GENERATORS
from hybridprior.overrides import Overrides
from hybridprior.problem import Problem
from hybridprior.regularisers import REGULARISERS, Regulariser, build_regulariser
from hybridprior.solvers import SOLVERS
from hybridprior.solvers.components import Components, build_components, describe, with_denoiser, with_names

__all__ = ["AUTO", "check_parts", "configure", "resolve", "without_fusion"]

AUTO = "auto"
"""As a regulariser, an alias of the solver "fusion"; as a stopping rule, heldout where there is noise, else fixed."""

FUSION, PNP, SPLITTING, GRADIENT = "fusion", "pnp", "splitting", "gradient"


def resolve(config: RestoreConfig, overrides: Overrides, problem: Problem) -> tuple[RestoreConfig, Components]:
    """Return what runs: a configuration of names and numbers, and the live objects.

    Args:
        config: A preset's or the caller's.
        overrides: What replaces it.
        problem: The measurements; the stopping rule "auto" depends on their noise.

    Raises:
        ConfigError: A number out of its range, an unknown name, or components that do not go together.
        WeightsError: Weights that cannot be used.
    """
    overrides = dataclasses.replace(overrides, denoiser=owned(overrides.denoiser))
    chosen = _for_problem(_without_stacking(_combined(config, overrides)), problem)
    components = build_components(
        chosen,
        problem.shape[1],
        generator=overrides.generator,
        regulariser=overrides.regulariser,
        stopping=overrides.stopping,
    )
    return with_names(chosen), components


def configure(config: RestoreConfig, overrides: Overrides) -> RestoreConfig:
    """Return a configuration with some choices replaced; what is None stays.

    A component of another name than the configuration's starts from that component's own defaults. A configuration of
    the solver "fusion" is left where an override is not compatible with it: R is the denoiser where its noise
    levels, a solver, or beside pixels or a stopping rule its name are given; without its name, there is no R.
    Pixels with a regulariser that splits are plug-and-play, unless the solver "gradient" is given.

    Args:
        config: Where to start from.
        overrides: What replaces it.

    Raises:
        ConfigError: A number out of its range, or a denoiser for a regulariser that has none.
    """
    return with_names(_combined(config, overrides))


def without_fusion(config: RestoreConfig, instead: str = "none") -> RestoreConfig:
    """Return the configuration with the solver "gradient" and another R where it has the solver "fusion".

    Args:
        config: A preset's, where the overrides are not compatible with the fusion.
        instead: Name of the other R.
    """
    config = _translated(config)
    if config.method != FUSION:
        return config
    return dataclasses.replace(config, method=GRADIENT, regulariser=Component(instead), fusion={})


def check_parts(config: RestoreConfig) -> None:
    """Load what the configuration names, to find out whether it can run.

    Args:
        config: What is to run.

    Raises:
        ConfigError: An unknown name or option, or components that do not go together.
        WeightsError: Weights that cannot be used.
    """
    config = _translated(config)
    GENERATORS.find(config.generator.name)
    SOLVERS.find(config.method)
    if config.method == FUSION:
        build_config(FusionConfig, config.fusion, part=FUSION)
    part = config.regulariser
    regulariser = build_regulariser(part.name, part.options, config.weights)
    if config.method in (SPLITTING, PNP) and not regulariser.splits:
        raise ConfigError(f"The regulariser '{part.name}' enters by its gradient only; use the solver 'gradient'.")


def _translated(config: RestoreConfig) -> RestoreConfig:
    """Return the configuration with the solver "fusion" in place of its alias, the regulariser "auto"."""
    if AUTO not in config.regulariser.name.split("+"):
        return config
    _check_alias(config.regulariser.name)
    if config.method not in (GRADIENT, FUSION):
        raise ConfigError(NO_ROOM)
    options = dict(config.regulariser.options)
    denoiser = {"denoiser": options.pop("denoiser")} if "denoiser" in options else {}
    build_config(FusionConfig, options, part=FUSION)
    regulariser = Component("denoiser", denoiser)
    return dataclasses.replace(config, method=FUSION, regulariser=regulariser, fusion=options, weights={})


NO_ROOM = "The regulariser 'auto' combines a network with R; leave out generator 'pixels' and solver."


def _check_alias(name: str) -> None:
    """Raise `ConfigError` for "auto" as a term of a sum."""
    if name != AUTO and AUTO in name.split("+"):
        raise ConfigError("The regulariser 'auto' stands alone: it stands for both priors and their fusion.")


def _combined(config: RestoreConfig, overrides: Overrides) -> RestoreConfig:
    """Return the configuration with the overrides in it; a denoiser given as an object is among the options."""
    config = _translated(config)
    if isinstance(overrides.regulariser, str):
        _check_alias(overrides.regulariser)
    if overrides.solver is not None:
        SOLVERS.find(overrides.solver)
    if overrides.regulariser == AUTO or overrides.solver == FUSION:
        made = _with_fusion(config, overrides)
    else:
        made = _with_components(config, _of_pnp(config, overrides))
    if overrides.tile_size is not None:
        made = dataclasses.replace(made, tiles=dataclasses.replace(made.tiles, side=overrides.tile_size))
    if overrides.max_steps is not None:
        made = dataclasses.replace(made, solver=dataclasses.replace(made.solver, max_steps=overrides.max_steps))
    return made


def _with_fusion(config: RestoreConfig, overrides: Overrides) -> RestoreConfig:
    """Return the configuration with the fusion that was given by name."""
    if overrides.regulariser not in (None, AUTO, "denoiser"):
        raise ConfigError("The solver 'fusion' has the regulariser 'denoiser'; leave the regulariser out.")
    if overrides.denoiser_sigma is not None:
        raise ConfigError("The regulariser 'auto' stands alone and finds its noise levels itself.")
    fused = config.method == FUSION and _stacked(config)
    changes = _changes(config, overrides)
    changes["method"] = FUSION
    made = dataclasses.replace(config, **changes)
    method = config.method if overrides.solver in (None, FUSION) else overrides.solver
    if made.generator.name == "pixels" or method in (SPLITTING, PNP):
        raise ConfigError(NO_ROOM)
    if not fused:
        made = dataclasses.replace(made, regulariser=Component("denoiser"), weights={}, fusion={})
    return _of_fusion(made, overrides)


def _of_fusion(config: RestoreConfig, overrides: Overrides) -> RestoreConfig:
    """Return a configuration of the fusion with the given denoiser."""
    if overrides.stopping is not None:
        raise ConfigError("The regulariser 'auto' has its own stopping rule; leave the stopping rule out.")
    if isinstance(overrides.weight, Mapping):
        raise ConfigError(
            "The regulariser 'auto' has no terms with weights of their own; give one weight, or name the regulariser, "
            f"such as '{'+'.join(overrides.weight)}'."
        )
    return with_denoiser(config, overrides.denoiser, None)


def _with_components(config: RestoreConfig, overrides: Overrides) -> RestoreConfig:
    """Return the configuration with the overrides, where the fusion was not given by name."""
    changes = _changes(config, overrides)
    made = dataclasses.replace(config, **changes)
    if config.method == FUSION:
        room = made.generator.name != "pixels" and (overrides.generator is None or _stacked(config))
        needless = overrides.stopping is None and overrides.solver is None and overrides.denoiser_sigma is None
        if overrides.regulariser is None and room and needless:
            return _of_fusion(made, overrides)
        named = any(each is not None for each in (overrides.denoiser, overrides.denoiser_sigma, overrides.solver))
        regulariser = made.regulariser if overrides.regulariser is not None else None
        made = dataclasses.replace(
            made,
            method=overrides.solver or GRADIENT,
            regulariser=regulariser or Component("denoiser" if named else "none"),
            fusion={},
        )
    made = with_denoiser(made, overrides.denoiser, overrides.denoiser_sigma)
    fixed = overrides.solver == GRADIENT or (config.generator.name == "pixels" and config.method in (SPLITTING, PNP))
    if not fixed and changes.keys() & {"generator", "regulariser"} and _plugs(made, overrides.regulariser):
        return _plug_and_play(made, keep_rule=overrides.stopping is not None)
    if made.method == SPLITTING and made.generator.name == "pixels":
        return dataclasses.replace(made, method=PNP)
    return made


def _of_pnp(config: RestoreConfig, overrides: Overrides) -> Overrides:
    """Return what the solver "pnp" stands for: pixels, the solver "splitting" and a denoiser."""
    if overrides.solver != PNP:
        return overrides
    if overrides.generator not in (None, "pixels"):
        raise ConfigError("The solver 'pnp' has no generator; leave the generator out, or use solver='splitting'.")
    without = config.regulariser.name == "none" and overrides.regulariser is None
    regulariser = "denoiser" if without else overrides.regulariser
    return dataclasses.replace(overrides, generator="pixels", solver=SPLITTING, regulariser=regulariser)


def _changes(config: RestoreConfig, overrides: Overrides) -> dict[str, Any]:
    """Return the fields of the configuration that the overrides replace."""
    given: dict[str, Any] = {"generator": overrides.generator, "stopping": overrides.stopping}
    if overrides.regulariser != AUTO and overrides.solver != FUSION:
        given["regulariser"] = overrides.regulariser
    plain = {"seed": overrides.seed, "precision": overrides.precision, "method": overrides.solver}
    changes: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    for name, part in given.items():
        if part is None:
            continue
        chosen, has = Component(part) if isinstance(part, str) else describe(part), getattr(config, name)
        fresh = name == "regulariser" and config.method == FUSION
        if chosen.name != has.name or chosen.options or fresh:
            changes[name] = chosen
    if isinstance(overrides.weight, Mapping):
        changes["weights"] = dict(overrides.weight)
    elif overrides.weight is not None:
        changes["weight"] = overrides.weight
    if "regulariser" in changes and "weights" not in changes:
        changes["weights"] = {}
    return changes


def _stacked(config: RestoreConfig) -> bool:
    """Return whether a fusion has stacking weights; without, it is its denoiser alone."""
    return bool(config.fusion.get("stacking", True))


def _without_stacking(config: RestoreConfig) -> RestoreConfig:
    """Return plug-and-play in place of a fusion that has no stacking weights."""
    if config.method != FUSION or _stacked(config):
        return config
    given = config.regulariser.options.get("denoiser")
    return _combined(config, Overrides(generator="pixels", regulariser="denoiser", denoiser=given))


def _for_problem(config: RestoreConfig, problem: Problem) -> RestoreConfig:
    """Return the configuration with the stopping rule "auto" resolved by the noise, and no more steps than help."""
    if config.method == FUSION and problem.pixels < 2:  # one measurement cannot be both training and validation
        config = dataclasses.replace(without_fusion(config), stopping=Component("fixed"))
    if config.stopping.name == AUTO:
        rule = "heldout" if problem.noisy and config.method != PNP else "fixed"
        config = dataclasses.replace(config, stopping=Component(rule, config.stopping.options))
    if config.method == PNP and problem.operator.is_identity and config.stopping.name == "fixed":
        config = dataclasses.replace(config, solver=dataclasses.replace(config.solver, max_steps=1))
    return config


def _plugs(config: RestoreConfig, given: str | Regulariser | None) -> bool:
    """Return whether the configuration is pixels with a regulariser that splits."""
    if config.generator.name != "pixels":
        return False
    if isinstance(given, Regulariser):
        return given.splits
    name = config.regulariser.name
    return "+" not in name and getattr(REGULARISERS.find(name), "splits", False)


def _plug_and_play(config: RestoreConfig, *, keep_rule: bool) -> RestoreConfig:
    """Return the configuration solved by plug-and-play, each step an iteration and the last one the image."""
    loop = dataclasses.replace(config.solver, max_steps=config.splitting.iterations, ema_decay=0.0, input_noise_std=0.0)
    stopping = config.stopping if keep_rule else Component("fixed")
    return dataclasses.replace(config, method=PNP, stopping=stopping, solver=loop)
