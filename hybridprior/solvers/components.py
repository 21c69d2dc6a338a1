"""The live objects of a run: generator, regulariser, stopping rule, denoiser.

A configuration holds their names and numbers only. Objects that a caller gives are copied, and their parameters and
functions are hashed for the fingerprint of a checkpoint.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybridprior.config import Component, RestoreConfig, plain
from hybridprior.denoisers import Denoiser
from hybridprior.errors import ConfigError
from hybridprior.generators import GENERATORS, Generator, build_generator
from hybridprior.regularisers import REGULARISERS, Regulariser, build_regulariser
from hybridprior.solvers.identity import identity_of
from hybridprior.stopping import STOPPING_RULES, StoppingRule, build_stopping_rule

__all__ = ["Components", "build_components", "describe", "with_denoiser", "with_names"]


@dataclass(frozen=True, eq=False)
class Components:
    """The live objects of a run; a configuration holds their names and numbers."""

    generator: Generator
    """f_theta, with theta at its start."""
    regulariser: Regulariser
    """R."""
    stopping: StoppingRule
    """A rule that has seen no step."""
    denoiser: Denoiser | None = None
    """The denoiser of R, where it has one."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """Hashes of parameters and functions by component, for the fingerprint of a checkpoint."""

    def copied(self) -> Components:
        """Return copies for one run; denoisers and configurations, which do not change, are shared."""
        shared: dict[int, Any] = {}
        for part in self.regulariser.modules():
            fixed = part if isinstance(part, Denoiser) else getattr(part, "config", None)
            shared |= {} if fixed is None else {id(fixed): fixed}
        return dataclasses.replace(
            self,
            generator=copy.deepcopy(self.generator),
            regulariser=copy.deepcopy(self.regulariser, shared),
            stopping=copy.deepcopy(self.stopping),
        )


def build_components(
    config: RestoreConfig,
    channels: int,
    *,
    generator: str | Generator | None = None,
    regulariser: str | Regulariser | None = None,
    stopping: str | StoppingRule | None = None,
) -> Components:
    """Return the components of a configuration; the objects that are given take the place of those it names.

    Args:
        config: Names and options. The option `denoiser` may be an object.
        channels: Channels of the image.
        generator: f_theta, if it is an object.
        regulariser: R, if it is an object.
        stopping: The stopping rule, if it is an object.

    Raises:
        ConfigError: An unknown name or option.
        WeightsError: Weights that cannot be used.
    """
    part, r, rule = config.generator, config.regulariser, config.stopping
    network = (
        copy.deepcopy(generator)
        if isinstance(generator, Generator)
        else build_generator(part.name, channels, part.options, seed=config.seed)
    )
    prior = (
        copy.deepcopy(regulariser)
        if isinstance(regulariser, Regulariser)
        else build_regulariser(r.name, r.options, config.weights)
    )
    stopper = (
        copy.deepcopy(stopping) if isinstance(stopping, StoppingRule) else build_stopping_rule(rule.name, rule.options)
    )
    denoiser = next((each for each in prior.modules() if isinstance(each, Denoiser)), None)
    parts = {"generator": network, "regulariser": prior, "stopping rule": stopper}
    hashes = {f"{name}'s parameters": identity_of(value) for name, value in parts.items()}
    return Components(network, prior, stopper, denoiser, hashes)


def with_names(config: RestoreConfig) -> RestoreConfig:
    """Return the configuration with names in place of objects among the options.

    Args:
        config: Its components' options may hold objects, such as a function as denoiser.
    """
    changes: dict[str, Any] = {}
    for name in ("generator", "regulariser", "stopping"):
        part: Component = getattr(config, name)
        options = {key: _named(value) for key, value in part.options.items()}
        if options != part.options:
            changes[name] = Component(part.name, options)
    return dataclasses.replace(config, **changes) if changes else config


def _named(value: object) -> object:
    """Return a plain value as it is, and the name of anything else."""
    if isinstance(value, Mapping):
        return {key: _named(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_named(each) for each in value)
    return value if value is None or isinstance(value, bool | int | float | str) else plain(value)


def with_denoiser(config: RestoreConfig, denoiser: object, sigma: tuple[float, float] | None) -> RestoreConfig:
    """Return the configuration with this denoiser at these noise levels in R.

    Args:
        config: Its R has a denoiser, if one is given.
        denoiser: As `load_denoiser` takes it; R keeps its own if None.
        sigma: Noise level at the start and at the end; R keeps its own if None.

    Raises:
        ConfigError: R has no denoiser.
    """
    options: dict[str, Any] = {} if denoiser is None else {"denoiser": denoiser}
    if sigma is not None:
        options |= {"sigma_start": sigma[0], "sigma_end": sigma[1]}
    if not options:
        return config
    terms, given = config.regulariser.name.split("+"), config.regulariser.options
    having = [term for term in terms if "denoiser" in _fields(REGULARISERS.find(term))]
    if not having:
        raise ConfigError(f"The regulariser '{config.regulariser.name}' has no denoiser; use 'denoiser' or 'score'.")
    if len(terms) == 1:
        return dataclasses.replace(config, regulariser=Component(terms[0], {**given, **options}))
    nested = {**given, **{term: {**given.get(term, {}), **options} for term in having}}
    return dataclasses.replace(config, regulariser=Component(config.regulariser.name, nested))


def _fields(factory: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(factory.Config)]


def describe(part: Generator | Regulariser | StoppingRule) -> Component:
    """Return a component that was given as an object by its registered name and options, or by its class's name.

    Args:
        part: The object.
    """
    for registry in (GENERATORS, REGULARISERS, STOPPING_RULES):
        for name, factory in registry.items():
            if factory is type(part) and dataclasses.is_dataclass(getattr(part, "config", None)):
                return Component(name, dataclasses.asdict(part.config))  # type: ignore[union-attr, arg-type]
    return Component(type(part).__name__.lstrip("_"))
