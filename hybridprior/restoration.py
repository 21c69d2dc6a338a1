"""`restore()`: names and presets become parts, and the solver runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hybridprior.config import Part, RestoreConfig
from hybridprior.device import choose_device, choose_precision
from hybridprior.errors import ConfigError
from hybridprior.fidelity import Fidelity, Gaussian
from hybridprior.generators import Generator, build_generator
from hybridprior.noise import estimate_sigma
from hybridprior.operators import Operator, as_operator
from hybridprior.operators.base import Shape
from hybridprior.picture import as_tensor
from hybridprior.presets import preset as find_preset
from hybridprior.problem import Problem
from hybridprior.regularisers import Regulariser, build_regulariser
from hybridprior.result import Result
from hybridprior.solver import Callback, Solver
from hybridprior.stopping import StoppingRule, build_stopping_rule

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["configure", "restore"]


def restore(
    y: torch.Tensor | np.ndarray | Image.Image,
    operator: Operator | Callable[[torch.Tensor], torch.Tensor] | None = None,
    *,
    preset: str = "balanced",
    config: RestoreConfig | None = None,
    sigma: float | None = None,
    fidelity: Fidelity | None = None,
    generator: str | Generator | None = None,
    regulariser: str | Regulariser | None = None,
    weight: float | None = None,
    stop: str | StoppingRule | None = None,
    steps: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    dtype: str | None = None,
    shape: Shape | None = None,
    callbacks: Sequence[Callback] = (),
    state: Mapping[str, Any] | None = None,
) -> Result:
    """Restore one picture: min over theta of E(A f_theta(z); y) + lambda R(f_theta(z)).

    The same seed on the same machine with the same number of threads gives the same bits.

    Args:
        y: The measurements. A tensor `(1, C, H, W)`, `(C, H, W)` or `(H, W)` in [0, 1]; an array `(H, W)` or
            `(H, W, C)`, floating in [0, 1] or unsigned integers of its type's range; or a grey or RGB picture of
            Pillow.
        operator: A: an operator, a differentiable callable, or None for denoising.
        preset: Where the configuration comes from: "balanced", "fast", "paper" ...
        config: The whole configuration, in place of a preset.
        sigma: Standard deviation of the noise in [0, 1]; estimated from y if not given.
        fidelity: E, in place of Gaussian noise of `sigma`.
        generator: f_theta, by name ("skip", "decoder", "pixels") or as a module.
        regulariser: R, by name ("none", "tv") or as an object: `0.5 * TotalVariation()`.
        weight: lambda.
        stop: The stopping rule, by name ("fixed", "variance", "heldout") or as an object, fresh for each run.
        steps: The most steps taken.
        seed: Seed of everything that is drawn.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: "auto", "fp32" or "bf16": the arithmetic of the generator.
        shape: `(1, C, H, W)` of the picture, for callables whose measurements have another shape.
        callbacks: Called with each `Step`; their time is not counted.
        state: `Result.state` of an interrupted run, to go on with.

    Returns:
        The picture with its history.

    Raises:
        ConfigError: An unknown name, or a number out of its range.
        InputError: A picture that cannot be restored: NaN, nothing measured.
        ShapeError: Shapes that do not fit together.
    """
    measurement, a = as_tensor(y), as_operator(operator, shape=shape)
    config = configure(
        config or find_preset(preset, a.task),
        generator=generator,
        regulariser=regulariser,
        weight=weight,
        stop=stop,
        steps=steps,
        seed=seed,
        dtype=dtype,
    )
    where = choose_device(device)
    precision = choose_precision(where, config.precision)
    measurement, a = measurement.to(where), a.to(where)
    problem = Problem.make(measurement, a, fidelity or Gaussian(0.0))
    if fidelity is None:
        level = estimate_sigma(problem.y, problem.weights) if sigma is None else sigma
        problem = dataclasses.replace(problem, fidelity=Gaussian(level))
    solver = Solver(
        problem,
        _generator(generator, config, problem.shape[1]),
        _regulariser(regulariser, config),
        _stopping(stop, config),
        config=config,
        precision=precision,
    )
    if state is not None:
        solver.load_state_dict(state)
    return solver.run(callbacks)


def configure(
    config: RestoreConfig,
    *,
    generator: str | Generator | None = None,
    regulariser: str | Regulariser | None = None,
    weight: float | None = None,
    stop: str | StoppingRule | None = None,
    steps: int | None = None,
    seed: int | None = None,
    dtype: str | None = None,
) -> RestoreConfig:
    """Return a configuration with some choices replaced; what is None stays.

    A part of another name than the configuration's starts from that part's own defaults.

    Args:
        config: Where to start from.
        generator: Name of the generator, or the generator.
        regulariser: Name of the regulariser, or the regulariser.
        weight: lambda.
        stop: Name of the stopping rule, or the rule.
        steps: The most steps.
        seed: The seed.
        dtype: The precision.

    Raises:
        ConfigError: A number out of its range.
    """
    changes: dict[str, Any] = {"weight": weight, "seed": seed, "precision": dtype}
    if steps is not None:
        changes["solver"] = dataclasses.replace(config.solver, steps=steps)
    for field, part in (("generator", generator), ("regulariser", regulariser), ("stopping", stop)):
        if part is not None:
            name = part if isinstance(part, str) else type(part).__name__
            if name != getattr(config, field).name:
                changes[field] = Part(name)
    return dataclasses.replace(config, **{name: value for name, value in changes.items() if value is not None})


def _generator(given: str | Generator | None, config: RestoreConfig, channels: int) -> Generator:
    if isinstance(given, Generator):
        return given
    return build_generator(config.generator.name, channels, config.generator.options, seed=config.seed)


def _regulariser(given: str | Regulariser | None, config: RestoreConfig) -> Regulariser:
    if isinstance(given, Regulariser):
        return given
    return build_regulariser(config.regulariser.name, config.regulariser.options)


def _stopping(given: str | StoppingRule | None, config: RestoreConfig) -> StoppingRule:
    if isinstance(given, StoppingRule):
        return given
    if given is not None and not isinstance(given, str):
        raise ConfigError(f"A stopping rule is a name or a StoppingRule, not {type(given).__name__}.")
    return build_stopping_rule(config.stopping.name, config.stopping.options)
