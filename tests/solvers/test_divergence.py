"""The guard of a run, and the jitter of its input."""

import math

import pytest
import torch

from hybridprior import SolverConfig
from hybridprior.solvers.divergence import WARMUP_STEPS, DivergenceMonitor
from hybridprior.solvers.input_noise import InputNoise

CONFIG = SolverConfig(learning_rate=0.1, collapse=4.0, keep_every=10, rollbacks=2)


def test_a_leap_is_an_accident_once_the_run_has_settled() -> None:
    divergence = DivergenceMonitor(CONFIG)
    for step in range(1, WARMUP_STEPS + 1):
        divergence.accept(step, 1.0)
        assert not divergence.is_divergence(step, 5.0)
        assert divergence.is_divergence(step, math.nan) and divergence.is_divergence(step, math.inf)
    assert divergence.is_divergence(WARMUP_STEPS + 1, 4.1) and not divergence.is_divergence(WARMUP_STEPS + 1, 3.9)


def test_accidents_shorten_the_steps_and_too_many_in_a_row_end_the_run() -> None:
    divergence = DivergenceMonitor(CONFIG)
    divergence.accept(9, 1.0)
    for _ in range(2):
        divergence.count()
    assert not divergence.given_up
    assert not divergence.accept(11, 1.0) and divergence.consecutive == 2
    assert not divergence.accept(20, 9.0) and divergence.consecutive == 2
    assert divergence.accept(30, 1.0) and divergence.consecutive == 0
    for _ in range(3):
        divergence.count()
    assert divergence.given_up and divergence.lr_factor == pytest.approx(0.9**3)
    other = DivergenceMonitor(CONFIG)
    other.load_state_dict(divergence.state_dict())
    assert other.state_dict() == divergence.state_dict()
    divergence.reset()
    assert (divergence.divergences, divergence.consecutive, divergence.energy_average) == (5, 0, math.inf)


@pytest.mark.parametrize("shape", [(1, 3, 8, 6), (5, 7)])
def test_jitter_is_fresh_noise_of_its_size_and_the_same_for_the_same_seed(shape: tuple[int, ...]) -> None:
    z = torch.rand(shape)
    z = z.to(memory_format=torch.channels_last) if z.ndim == 4 else z
    one, two = InputNoise(z, 0.5, seed=3), InputNoise(z, 0.5, seed=3)
    first, second = one().clone(), one().clone()
    assert torch.equal(first, two()) and torch.equal(second, two())
    assert not torch.equal(first, second)
    assert 0.2 < float((torch.stack([one() - z for _ in range(20)])).std()) < 0.8
    still = InputNoise(z, 0.0, seed=3)
    before = still.rng.get_state()
    assert still() is z and torch.equal(still.rng.get_state(), before)
