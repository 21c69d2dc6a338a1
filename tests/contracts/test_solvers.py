"""Every registered solver keeps the contract: a `Result`, the same bits after a checkpoint, an interrupt, callbacks."""

import dataclasses
import signal

import pytest
import torch

from hybridprior import Component, ConfigError, Overrides, RestoreConfig, Result, SolverConfig, SplittingConfig, Status
from hybridprior._internal.device import choose_precision
from hybridprior.operators import Blur
from hybridprior.problem import Problem
from hybridprior.resolve import resolve
from hybridprior.solvers import SOLVERS

NET = {"down": (8, 8), "up": (8, 8), "skip": (2, 2), "input_depth": 4}
CONFIG = RestoreConfig(
    generator=Component("skip", NET),
    solver=SolverConfig(max_steps=8, ema_decay=0.9),
    splitting=SplittingConfig(iterations=8, inner_steps=2),
    precision="fp32",
)
REGULARISERS = {"gradient": "denoiser", "splitting": "denoiser", "pnp": "denoiser", "fusion": None}


def _problem() -> Problem:
    y = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    return Problem.make(y, Blur(torch.ones(3, 3) / 9), sigma=0.05)


def _solver(name: str, factor: float = 0.5):
    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return factor * x + 0.25

    problem = _problem()
    asked = Overrides(solver=name, regulariser=REGULARISERS[name], denoiser=denoiser)
    config, components = resolve(CONFIG, asked, problem)
    assert config.method == name
    precision = choose_precision(torch.device("cpu"), config.precision)
    return SOLVERS.find(name)(problem, components.copied(), config=config, precision=precision)


def _interrupted(name: str) -> Result:
    def interrupt(step) -> None:
        if step.number == 4:
            signal.raise_signal(signal.SIGINT)

    return _solver(name).run([interrupt])


def test_every_registered_solver_is_tested() -> None:
    assert set(REGULARISERS) == set(SOLVERS)


@pytest.mark.parametrize("name", sorted(REGULARISERS))
def test_the_options_are_a_frozen_dataclass_with_defaults(name: str) -> None:
    config = SOLVERS.find(name).Config()
    assert dataclasses.is_dataclass(config)
    assert type(config).__dataclass_params__.frozen


@pytest.mark.parametrize("name", sorted(REGULARISERS))
def test_a_run_returns_a_result_and_calls_back(name: str) -> None:
    steps = []
    result = _solver(name).run([lambda step: steps.append(step.number)])
    assert isinstance(result, Result)
    assert result.image.shape == _problem().shape and bool(torch.isfinite(result.image).all())
    assert result.status in (Status.FINISHED, Status.STOPPED)
    assert result.checkpoint is None
    assert result.config.method == name
    assert steps == list(range(1, len(result.trace) + 1)) and steps


@pytest.mark.parametrize("name", sorted(REGULARISERS))
def test_a_run_continues_from_its_checkpoint_to_the_same_bits(name: str) -> None:
    whole, part = _solver(name).run(), _interrupted(name)
    assert part.status is Status.INTERRUPTED
    assert part.checkpoint is not None
    rest = _solver(name)
    rest.load_state_dict(part.checkpoint)
    result = rest.run()
    assert torch.equal(result.image, whole.image)
    assert (result.step, result.trace) == (whole.step, whole.trace)


@pytest.mark.parametrize("name", sorted(REGULARISERS))
def test_a_checkpoint_belongs_to_one_denoiser(name: str) -> None:
    checkpoint = _interrupted(name).checkpoint
    other = _solver(name, factor=0.6)
    with pytest.raises(ConfigError, match="another"):
        other.load_state_dict(checkpoint)
        other.run()
