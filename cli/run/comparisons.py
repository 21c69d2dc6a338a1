"""The configurations that `hprior bench` compares: one, or each prior separately and both together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hybridprior.errors import ConfigError

if TYPE_CHECKING:
    from hybridprior.config import RestoreConfig

__all__ = ["QUICK_STEPS", "Choices", "runs_of"]

QUICK_STEPS = 2000
"""Largest number of steps with --quick."""

REFERENCE = "paper"


@dataclass(frozen=True)
class Choices:
    """The checked options of `hprior bench`; None keeps the choice of the preset."""

    preset: str
    """One; for the suite speed several separated by commas, also with an R: "balanced,fast+auto"."""
    generator: str | None = None
    reg: str | None = None
    weight: float | dict[str, float] | None = None
    """lambda."""
    weights: str = ""
    """Values of lambda separated by commas: compares each prior alone, and both with each weight."""
    denoiser: str | None = None
    denoiser_sigma: tuple[float, float] | None = None
    solver: str | None = None
    stop: str | None = None
    steps: int | None = None
    dtype: str | None = None
    quick: bool = False
    """Whether a run has at most `QUICK_STEPS` steps."""

    def plain(self, base: RestoreConfig, **parts: Any) -> RestoreConfig:
        """Return a configuration with the options that apply to every run, and these components."""
        from hybridprior.overrides import Overrides
        from hybridprior.resolve import configure

        return configure(base, Overrides(stopping=self.stop, max_steps=self.steps, precision=self.dtype, **parts))

    def both(self, base: RestoreConfig, **parts: Any) -> RestoreConfig:
        """Return a configuration with the chosen f_theta and R, and these components."""
        components = {"generator": self.generator, "solver": self.solver} | self._r | parts
        return self.plain(base, **components)

    def alone(self, base: RestoreConfig) -> RestoreConfig:
        """Return the configuration of R on pixels; plug-and-play runs all its iterations."""
        from hybridprior.overrides import Overrides
        from hybridprior.resolve import configure

        alone = configure(base, Overrides(generator="pixels", **self._r))
        return alone if alone.method == "pnp" else self.plain(base, generator="pixels", **self._r)

    @property
    def _r(self) -> dict[str, Any]:
        return {"regulariser": self.reg, "denoiser": self.denoiser, "denoiser_sigma": self.denoiser_sigma}


def runs_of(suite: str, task: str, choices: Choices) -> dict[str, RestoreConfig]:
    """Return the configurations that a suite compares, by name.

    Args:
        suite: "speed", "fusion", or a task.
        task: The task.
        choices: The options.

    Raises:
        ConfigError: An unknown component, or components that cannot be combined.
    """
    from hybridprior.presets import preset
    from hybridprior.resolve import check_parts

    if suite == "speed":
        runs = _alternating(task, choices)
    elif suite == "fusion":
        choices = replace(choices, reg=choices.reg or "denoiser", weights=choices.weights or "1")
        runs = _separate_and_joint(preset(choices.preset, task), choices)
        runs["fused"] = _fused(preset(choices.preset, task), choices)
    elif choices.weights:
        runs = _separate_and_joint(preset(choices.preset, task), choices)
    else:
        runs = {choices.preset: choices.both(preset(choices.preset, task), weight=choices.weight)}
    if choices.quick:
        runs = {name: _shortened(config) for name, config in runs.items()}
    for config in runs.values():
        check_parts(config)
    return runs


def _alternating(task: str, choices: Choices) -> dict[str, RestoreConfig]:
    """Return the preset of the paper in the memory layout of the original code, and the chosen presets."""
    from hybridprior.overrides import Overrides
    from hybridprior.presets import preset
    from hybridprior.resolve import configure

    runs = {REFERENCE: configure(preset(REFERENCE, task), Overrides(max_steps=choices.steps, precision="contiguous"))}
    for name in choices.preset.split(","):
        base, _, reg = name.partition("+")
        parts = {"regulariser": reg} if reg else {}
        runs["again" if name == REFERENCE else name] = choices.both(preset(base, task), weight=choices.weight, **parts)
    return runs


def _separate_and_joint(base: RestoreConfig, choices: Choices) -> dict[str, RestoreConfig]:
    """Return f_theta alone, R alone, and both at each lambda."""
    if choices.reg is None or choices.weight is not None:
        raise ConfigError("--weights needs --reg and replaces --weight; add --reg, and leave --weight out.")
    runs = {
        "local": choices.plain(base, generator=choices.generator, regulariser="none"),
        "global": choices.alone(base),
    }
    return runs | {f"both, {w:g}": choices.both(base, weight=w) for w in _numbers(choices.weights)}


def _fused(base: RestoreConfig, choices: Choices) -> RestoreConfig:
    """Return the configuration of the solver "fusion"."""
    from hybridprior.overrides import Overrides
    from hybridprior.resolve import configure

    return configure(base, Overrides(solver="fusion", denoiser=choices.denoiser, max_steps=choices.steps))


def _shortened(config: RestoreConfig) -> RestoreConfig:
    return replace(config, solver=replace(config.solver, max_steps=min(config.solver.max_steps, QUICK_STEPS)))


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--weights are numbers separated by commas, such as 0.1,1,10, not '{text}'.") from error
