"""The configuration of a restoration: frozen dataclasses, the only source of defaults.

The options of a part (a generator's channels, a rule's patience) have their defaults in that part's own `Config`; here
they are mappings of what departs from those. A configuration goes to JSON and back without loss, but for objects in
place of names; `from_dict` takes what a TOML file holds.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybridprior._internal.registry import build_config
from hybridprior.errors import ConfigError

__all__ = ["Component", "RestoreConfig", "SolverConfig", "SplittingConfig", "TileConfig", "plain"]

PRECISIONS = ("auto", "fp32", "bf16", "contiguous")


@dataclass(frozen=True)
class Component:
    """A part by its registered name, and the options that depart from its defaults."""

    name: str
    """The registered name."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the part's `Config`."""


@dataclass(frozen=True)
class SolverConfig:
    """How the one loop runs; the defaults are the paper's for denoising."""

    max_steps: int = 1800
    """The most steps taken."""
    optimiser: str = "adam"
    """How theta descends: "adam" or "muon"."""
    learning_rate: float = 0.01
    """Its step size."""
    beta2: float = 0.999
    """Decay of Adam's average of squared gradients; 0.95 takes half the steps to the same image."""
    input_noise_std: float = 1 / 30
    """Standard deviation of the noise added to z anew at each step."""
    ema_decay: float = 0.99
    """Decay of the exponential average of the iterates, which is the result; 0 takes the last iterate."""
    collapse: float = 4.0
    """E above this many times its running average is a collapse, and rolled back."""
    keep_every: int = 50
    """Steps between the states that are kept to roll back to."""
    rollbacks: int = 5
    """Rollbacks in a row after which the run is given up; each shortens the learning rate by a tenth."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not isinstance(self.max_steps, int) or self.max_steps < 1:
            raise ConfigError(f"max_steps is 1 or more, not {self.max_steps}.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ConfigError(f"learning_rate is positive, not {self.learning_rate}.")
        if not 0 < self.beta2 < 1:
            raise ConfigError(f"beta2 lies between 0 and 1, not {self.beta2}.")
        if not self.input_noise_std >= 0 or not 0 <= self.ema_decay < 1:
            raise ConfigError("input_noise_std is 0 or more, and ema_decay lies in [0, 1).")
        if self.collapse <= 1 or self.keep_every < 1 or self.rollbacks < 0:
            raise ConfigError("collapse is above 1, keep_every 1 or more, rollbacks 0 or more.")


@dataclass(frozen=True)
class SplittingConfig:
    """The numbers of half-quadratic splitting and ADMM."""

    iterations: int = 24
    """Steps where x is pixels, each with the denoiser once and conjugate gradients once."""
    penalty: float = 0.23
    """How firmly pixels hold to v at lambda = 1, in units of sigma_k^-2: what Zhang et al. 2022 found for all tasks."""
    penalty_end: float | None = None
    """The same at the last step, to which it falls (or rises) by the same factor in each; it stays if not given."""
    inner_steps: int = 5
    """Steps on theta between two evaluations of the denoiser, where x = f_theta(z)."""
    admm: bool = False
    """Whether the distance of x and v is carried on: ADMM, and half-quadratic splitting without."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        couplings = (self.penalty, self.penalty if self.penalty_end is None else self.penalty_end)
        if self.iterations < 1 or self.inner_steps < 1 or not all(0 < c < math.inf for c in couplings):
            raise ConfigError(
                "splitting: iterations and inner_steps are 1 or more; penalty and penalty_end are positive."
            )


@dataclass(frozen=True)
class TileConfig:
    """How an image that is too large for the memory is cut up."""

    side: int = 0
    """Longest side of a tile in pixels; 0 is as long as the memory allows."""
    overlap: int = 64
    """Pixels over which neighbours fade into each other."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if self.overlap < 1 or (self.side and self.side < 2 * self.overlap):
            least = 2 * max(self.overlap, 1)
            raise ConfigError(
                f"Tiles have a side of {least} at least, twice their overlap, or 0: what fits the memory."
            )


@dataclass(frozen=True)
class RestoreConfig:
    """A choice of parts: everything of a restoration but the image, its operator and its noise."""

    generator: Component = Component("skip")
    """f_theta."""
    regulariser: Component = Component("none")
    """R."""
    weight: float = 1.0
    """lambda, without unit: 1 is Bayes' own."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Factors of the terms of a sum such as "denoiser+tv", by name; 1 for what is not named."""
    method: str = "gradient"
    """The solver, by its name in `SOLVERS`: "gradient", "splitting", "pnp" or "fusion"."""
    splitting: SplittingConfig = SplittingConfig()
    """The numbers of the solvers "splitting" and "pnp"."""
    fusion: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `FusionConfig` that depart from its defaults, for the solver "fusion"."""
    stopping: Component = Component("fixed")
    """When the iterate is best."""
    solver: SolverConfig = SolverConfig()
    """The loop."""
    tiles: TileConfig = TileConfig()
    """Tiles of large images."""
    precision: str = "auto"
    """Of the convolutions: "fp32", "bf16", "auto" for what the processor gains from, or "contiguous" for fp32 in the
    layout of the original code, which is slower."""
    seed: int = 0
    """Seed of theta's start, of z, of the noise that is added to z and of what is held out."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ConfigError(f"weight is a number, 0 or more, not {self.weight}.")
        if not all(math.isfinite(weight) and weight >= 0 for weight in self.weights.values()):
            raise ConfigError("The weights of a sum's terms are numbers, 0 or more.")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision is one of {', '.join(PRECISIONS)}, not '{self.precision}'.")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed is a whole number from 0 to 2^63 - 1, not {self.seed}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dictionaries of plain values."""
        plain: dict[str, Any] = json.loads(self.to_json())
        return plain

    def to_json(self) -> str:
        """Return the configuration as JSON; of a part's option that is an object, its class."""
        return json.dumps(self, indent=2, default=plain)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RestoreConfig:
        """Return the configuration that `to_dict`, JSON or a TOML file describes.

        Args:
            values: Nested mappings; what is missing keeps its default.

        Raises:
            ConfigError: A field that there is not, or a value out of its range.
        """
        made: dict[str, Any] = dict(values)
        for name in ("generator", "regulariser", "stopping"):
            if isinstance(made.get(name), str):
                made[name] = Component(made[name])
            elif name in made:
                part = build_config(Component, made[name], part=name)
                options = {k: tuple(v) if isinstance(v, list) else v for k, v in part.options.items()}
                made[name] = Component(part.name, options)
        if "solver" in made:
            made["solver"] = build_config(SolverConfig, made["solver"], part="solver")
        if "tiles" in made:
            made["tiles"] = build_config(TileConfig, made["tiles"], part="tiles")
        if "splitting" in made:
            made["splitting"] = build_config(SplittingConfig, made["splitting"], part="splitting")
        return build_config(cls, made, part="configuration")

    @classmethod
    def from_json(cls, text: str) -> RestoreConfig:
        """Return the configuration that `to_json` wrote.

        Args:
            text: JSON.

        Raises:
            ConfigError: Not JSON, or not a configuration.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"The configuration is not JSON: {error}.") from error
        if not isinstance(values, dict):
            raise ConfigError("The configuration is a JSON object.")
        return cls.from_dict(values)


def plain(value: Any) -> Any:
    """Return a value that JSON has no type for as one that it has.

    Args:
        value: A dataclass or a mapping, whose fields are returned; a number of another library; or a function, a class
            or an object, whose name is returned.
    """
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if getattr(value, "ndim", None) == 0:
        return value.item()
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"
