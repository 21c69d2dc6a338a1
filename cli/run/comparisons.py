"""The configurations that `hprior bench` compares, by their names: one, or each prior apart and both together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hybridprior.errors import ConfigError

if TYPE_CHECKING:
    from hybridprior.config import RestoreConfig

__all__ = ["QUICK_STEPS", "Asked", "runs_of"]

QUICK_STEPS = 2000
"""The most steps with --quick."""

REFERENCE = "paper"


@dataclass(frozen=True)
class Asked:
    """What was asked for, checked; what is None is the preset's."""

    preset: str
    """One; for the suite speed several with commas, each with its R: "balanced,fast+auto"."""
    generator: str | None = None
    reg: str | None = None
    weight: float | dict[str, float] | None = None
    """lambda."""
    weights: str = ""
    """lambdas with commas: the priors apart, and both at each."""
    denoiser: str | None = None
    denoiser_sigma: tuple[float, float] | None = None
    solver: str | None = None
    stop: str | None = None
    steps: int | None = None
    dtype: str | None = None
    quick: bool = False
    """Whether a run has no more than `QUICK_STEPS` steps."""

    def plain(self, base: RestoreConfig, **parts: Any) -> RestoreConfig:
        """Return a preset's configuration with what is asked of every run, and these parts."""
        from hybridprior.overrides import Overrides
        from hybridprior.resolve import configure

        return configure(base, Overrides(stopping=self.stop, max_steps=self.steps, precision=self.dtype, **parts))

    def both(self, base: RestoreConfig, **parts: Any) -> RestoreConfig:
        """Return it with f_theta and R as asked, and these parts."""
        whole = {"generator": self.generator, "solver": self.solver} | self._r | parts
        return self.plain(base, **whole)

    def alone(self, base: RestoreConfig) -> RestoreConfig:
        """Return R on pixels: plug-and-play to its last iteration where R splits."""
        from hybridprior.overrides import Overrides
        from hybridprior.resolve import configure

        alone = configure(base, Overrides(generator="pixels", **self._r))
        return alone if alone.method == "pnp" else self.plain(base, generator="pixels", **self._r)

    @property
    def _r(self) -> dict[str, Any]:
        return {"regulariser": self.reg, "denoiser": self.denoiser, "denoiser_sigma": self.denoiser_sigma}


def runs_of(suite: str, task: str, asked: Asked) -> dict[str, RestoreConfig]:
    """Return what a suite compares.

    Args:
        suite: "speed", "fusion", or a task.
        task: The task.
        asked: What was asked for.

    Raises:
        ConfigError: A part that is not known, or parts that do not go together.
    """
    from hybridprior.presets import preset
    from hybridprior.resolve import check_parts

    if suite == "speed":
        runs = _raced(task, asked)
    elif suite == "fusion":
        asked = replace(asked, reg=asked.reg or "denoiser", weights=asked.weights or "1")
        runs = _apart_and_together(preset(asked.preset, task), asked)
        runs["fused"] = _fused(preset(asked.preset, task), asked)
    elif asked.weights:
        runs = _apart_and_together(preset(asked.preset, task), asked)
    else:
        runs = {asked.preset: asked.both(preset(asked.preset, task), weight=asked.weight)}
    if asked.quick:
        runs = {name: _shortened(config) for name, config in runs.items()}
    for config in runs.values():
        check_parts(config)
    return runs


def _raced(task: str, asked: Asked) -> dict[str, RestoreConfig]:
    """Return the paper's preset in the layout of the original code, and those that are named."""
    from hybridprior.overrides import Overrides
    from hybridprior.presets import preset
    from hybridprior.resolve import configure

    runs = {REFERENCE: configure(preset(REFERENCE, task), Overrides(max_steps=asked.steps, precision="contiguous"))}
    for name in asked.preset.split(","):
        base, _, reg = name.partition("+")
        parts = {"regulariser": reg} if reg else {}
        runs["again" if name == REFERENCE else name] = asked.both(preset(base, task), weight=asked.weight, **parts)
    return runs


def _apart_and_together(base: RestoreConfig, asked: Asked) -> dict[str, RestoreConfig]:
    """Return f_theta alone, R alone, and both at each lambda."""
    if asked.reg is None or asked.weight is not None:
        raise ConfigError("--weights goes with --reg, and takes the place of --weight.")
    runs = {"local": asked.plain(base, generator=asked.generator, regulariser="none"), "global": asked.alone(base)}
    return runs | {f"both, {w:g}": asked.both(base, weight=w) for w in _numbers(asked.weights)}


def _fused(base: RestoreConfig, asked: Asked) -> RestoreConfig:
    """Return both as evidence weighs them."""
    from hybridprior.overrides import Overrides
    from hybridprior.resolve import configure

    return configure(base, Overrides(regulariser="auto", denoiser=asked.denoiser, max_steps=asked.steps))


def _shortened(config: RestoreConfig) -> RestoreConfig:
    return replace(config, solver=replace(config.solver, max_steps=min(config.solver.max_steps, QUICK_STEPS)))


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--weights are numbers with commas, such as 0.1,1,10, not '{text}'.") from error
