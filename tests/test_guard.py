"""The guard of a run, and the jitter of its input."""

import math

import pytest
import torch

from hybridprior import SolverConfig
from hybridprior.solvers.divergence import SETTLING, Guard
from hybridprior.solvers.input_noise import Jitter

CONFIG = SolverConfig(learning_rate=0.1, collapse=4.0, keep_every=10, rollbacks=2)


def test_a_leap_is_an_accident_once_the_run_has_settled() -> None:
    guard = Guard(CONFIG)
    for step in range(1, SETTLING + 1):
        guard.passed(step, 1.0)
        assert not guard.accident(step, 5.0)
        assert guard.accident(step, math.nan) and guard.accident(step, math.inf)
    assert guard.accident(SETTLING + 1, 4.1) and not guard.accident(SETTLING + 1, 3.9)


def test_accidents_shorten_the_steps_and_too_many_in_a_row_end_the_run() -> None:
    guard = Guard(CONFIG)
    guard.passed(9, 1.0)
    for _ in range(2):
        guard.count()
    assert not guard.given_up
    assert not guard.passed(11, 1.0) and guard.row == 2
    assert not guard.passed(20, 9.0) and guard.row == 2
    assert guard.passed(30, 1.0) and guard.row == 0
    for _ in range(3):
        guard.count()
    assert guard.given_up and guard.shorter == pytest.approx(0.9**3)
    other = Guard(CONFIG)
    other.load_state_dict(guard.state_dict())
    assert other.state_dict() == guard.state_dict()
    guard.afresh()
    assert (guard.accidents, guard.row, guard.usual) == (5, 0, math.inf)


@pytest.mark.parametrize("shape", [(1, 3, 8, 6), (5, 7)])
def test_jitter_is_fresh_noise_of_its_size_and_the_same_for_the_same_seed(shape: tuple[int, ...]) -> None:
    z = torch.rand(shape)
    z = z.to(memory_format=torch.channels_last) if z.ndim == 4 else z
    one, two = Jitter(z, 0.5, seed=3), Jitter(z, 0.5, seed=3)
    first, second = one().clone(), one().clone()
    assert torch.equal(first, two()) and torch.equal(second, two())
    assert not torch.equal(first, second)
    assert 0.2 < float((torch.stack([one() - z for _ in range(20)])).std()) < 0.8
    still = Jitter(z, 0.0, seed=3)
    before = still.rng.get_state()
    assert still() is z and torch.equal(still.rng.get_state(), before)
