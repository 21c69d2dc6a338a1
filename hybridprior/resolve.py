"""The choice of parts: names, objects and numbers become a configuration.

It is the one place where a choice has consequences for another: pixels with a denoiser are plug-and-play, and a part of
another name starts from that part's own defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hybridprior._internal.registry import build_config
from hybridprior.config import Component, RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.generators import GENERATORS, Generator
from hybridprior.overrides import Overrides
from hybridprior.regularisers import REGULARISERS, Regulariser, build_regulariser
from hybridprior.stopping import STOPPING_RULES, StoppingRule

__all__ = ["FUSED", "check_parts", "configure", "without_fusion", "without_stacking"]

FUSED = "auto"
"""The regulariser that is no regulariser: candidates with and without R compete, see `hybridprior.fusion`."""


def configure(
    config: RestoreConfig,
    overrides: Overrides,
) -> RestoreConfig:
    """Return a configuration with some choices replaced; what is None stays.

    A part of another name than the configuration's starts from that part's own defaults. Where a preset weighs both
    priors by evidence and something is asked for that this leaves no room for, it does not: R is the denoiser where its
    noise levels, a solver, or beside pixels or a stopping rule its name are asked for; without its name, no R, and
    neither where a preset believes the denoiser alone and another generator is asked for. Pixels with a regulariser
    that splits are plug-and-play: unless asked otherwise, they are solved by splitting, to its last iteration.

    Args:
        config: Where to start from.
        overrides: What replaces it.

    Raises:
        ConfigError: A number out of its range, or a denoiser for a regulariser that asks none.
    """
    generator, regulariser, weight = overrides.generator, overrides.regulariser, overrides.weight
    denoiser, denoiser_sigma = overrides.denoiser, overrides.denoiser_sigma
    solver, stopping, max_steps = overrides.solver, overrides.stopping, overrides.max_steps
    tile_size = overrides.tile_size
    changes: dict[str, Any] = {"seed": overrides.seed, "precision": overrides.precision, "method": solver}
    changes |= _parts(config, {"generator": generator, "regulariser": regulariser, "stopping": stopping})
    if isinstance(weight, Mapping):
        changes["weights"] = dict(weight)
    else:
        changes["weight"] = weight
    if "regulariser" in changes and "weights" not in changes:
        changes["weights"] = {}
    made = dataclasses.replace(config, **{name: value for name, value in changes.items() if value is not None})
    alone = made.generator.name == "pixels" or any(choice is not None for choice in (stopping, solver, denoiser_sigma))
    alone = alone or (generator is not None and _not_stacked(made.regulariser))
    if alone and regulariser is None:
        named = any(choice is not None for choice in (denoiser, denoiser_sigma, solver))
        made = without_fusion(made, "denoiser" if named else "none")
    made = _asked(made, denoiser, denoiser_sigma)
    if made.regulariser.name == FUSED:
        _check_fused(made, stopping, weight)
    asked = solver == "gradient" or (config.generator.name == "pixels" and config.method == "splitting")
    if not asked and changes.keys() & {"generator", "regulariser"} and _plugs(made, regulariser):
        made = _plug_and_play(made, keep_rule=stopping is not None)
    if tile_size is not None:
        made = dataclasses.replace(made, tiles=dataclasses.replace(made.tiles, side=tile_size))
    if max_steps is not None:
        made = dataclasses.replace(made, solver=dataclasses.replace(made.solver, max_steps=max_steps))
    return made


def _check_fused(config: RestoreConfig, stopping: object, weight: float | Mapping[str, float] | None) -> None:
    """Raise `ConfigError` for what "auto" leaves no room for."""
    if config.generator.name == "pixels" or config.method == "splitting":
        raise ConfigError("The regulariser 'auto' weighs a network against R; leave out generator 'pixels' and solver.")
    if stopping is not None:
        raise ConfigError("The regulariser 'auto' stops by its own evidence; leave the stopping rule out.")
    if isinstance(weight, Mapping):
        raise ConfigError(
            "The regulariser 'auto' has no terms to weigh one by one; give one weight, or name the regulariser, such "
            f"as '{'+'.join(weight)}'."
        )


def without_fusion(config: RestoreConfig, instead: str = "none") -> RestoreConfig:
    """Return the configuration with another R where it would weigh both priors by evidence.

    Args:
        config: A preset's, where what is asked for leaves that no room.
        instead: Name of the other R.
    """
    return dataclasses.replace(config, regulariser=Component(instead)) if config.regulariser.name == FUSED else config


def without_stacking(config: RestoreConfig) -> RestoreConfig:
    """Return the configuration with the denoiser alone where no evidence is to weigh the priors.

    Args:
        config: One whose regulariser may be "auto".
    """
    if not _not_stacked(config.regulariser):
        return config
    asked = config.regulariser.options.get("denoiser")
    return configure(config, Overrides(generator="pixels", regulariser="denoiser", denoiser=asked))


def _not_stacked(regulariser: Component) -> bool:
    """Return whether it is "auto" with the denoiser alone; who asks for "auto" by name gets evidence."""
    return regulariser.name == FUSED and not regulariser.options.get("stacking", True)


def _parts(
    config: RestoreConfig, given: Mapping[str, str | Generator | Regulariser | StoppingRule | None]
) -> dict[str, Component]:
    """Return what was given as parts by field, where it is not what the configuration has."""
    chosen = {name: Component(p) if isinstance(p, str) else _described(p) for name, p in given.items() if p is not None}
    has = {name: getattr(config, name) for name in chosen}
    return {
        name: part
        for name, part in chosen.items()
        if part.name != has[name].name or part.options or _not_stacked(has[name])
    }


def _asked(config: RestoreConfig, denoiser: object, sigma: tuple[float, float] | None) -> RestoreConfig:
    """Return the configuration with R asking this denoiser at these noise levels."""
    options: dict[str, Any] = {} if denoiser is None else {"denoiser": denoiser}
    if sigma is not None:
        options |= {"sigma_start": sigma[0], "sigma_end": sigma[1]}
    terms, given = config.regulariser.name.split("+"), config.regulariser.options
    if FUSED in terms and len(terms) > 1:
        raise ConfigError("The regulariser 'auto' stands alone: it is both priors, and evidence weighs them.")
    if not options:
        return config
    if terms == [FUSED] and sigma is None:
        return dataclasses.replace(config, regulariser=Component(FUSED, {**given, **options}))
    if FUSED in terms:
        raise ConfigError("The regulariser 'auto' stands alone and finds its noise levels itself.")
    asking = [term for term in terms if "denoiser" in _fields(REGULARISERS.find(term))]
    if not asking:
        raise ConfigError(f"The regulariser '{config.regulariser.name}' asks no denoiser; use 'denoiser' or 'score'.")
    if len(terms) == 1:
        return dataclasses.replace(config, regulariser=Component(terms[0], {**given, **options}))
    nested = {**given, **{term: {**given.get(term, {}), **options} for term in asking}}
    return dataclasses.replace(config, regulariser=Component(config.regulariser.name, nested))


def _fields(factory: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(factory.Config)]


def _plugs(config: RestoreConfig, given: str | Regulariser | None) -> bool:
    """Return whether the configuration is pixels with a regulariser that splits."""
    if config.generator.name != "pixels" or config.regulariser.name == FUSED:
        return False
    if isinstance(given, Regulariser):
        return given.splits
    name = config.regulariser.name
    return "+" not in name and getattr(REGULARISERS.find(name), "splits", False)


def _plug_and_play(config: RestoreConfig, *, keep_rule: bool) -> RestoreConfig:
    """Return the configuration solved by splitting, each step an iteration and the last one the image."""
    return dataclasses.replace(
        config,
        method="splitting",
        stopping=config.stopping if keep_rule else Component("fixed"),
        solver=dataclasses.replace(
            config.solver, max_steps=config.splitting.iterations, ema_decay=0.0, input_noise_std=0.0
        ),
    )


def _described(part: Generator | Regulariser | StoppingRule) -> Component:
    """Return a part that was given as an object by its registered name and options, or by its class's name."""
    for registry in (GENERATORS, REGULARISERS, STOPPING_RULES):
        for name, factory in registry.items():
            if factory is type(part) and dataclasses.is_dataclass(getattr(part, "config", None)):
                return Component(name, dataclasses.asdict(part.config))  # type: ignore[union-attr, arg-type]
    return Component(type(part).__name__.lstrip("_"))


def check_parts(config: RestoreConfig) -> None:
    """Load what the configuration names, to find out whether it can run.

    Args:
        config: What is to run.

    Raises:
        ConfigError: An unknown name or option, or parts that do not go together.
        WeightsError: Weights that cannot be used.
    """
    GENERATORS.find(config.generator.name)
    part = config.regulariser
    if part.name == FUSED:
        from hybridprior.denoisers import load_denoiser
        from hybridprior.fusion import FusionConfig

        load_denoiser(build_config(FusionConfig, part.options, part=FUSED).denoiser)
        return
    regulariser = build_regulariser(part.name, part.options, config.weights)
    if config.method == "splitting" and not regulariser.splits:
        raise ConfigError(f"The regulariser '{part.name}' enters by its gradient only; use the solver 'gradient'.")
