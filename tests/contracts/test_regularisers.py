"""Every registered regulariser keeps the contract."""

import copy

import pytest
import torch

from hybridprior.errors import ConfigError
from hybridprior.fidelities import Gaussian
from hybridprior.operators import Identity
from hybridprior.problem import Problem
from hybridprior.regularisers import (
    REGULARISERS,
    Perceptual,
    Regulariser,
    TotalVariation,
    build_regulariser,
    total_variation,
)

NAMES = ["none", "tv", "denoiser", "score", "feature"]


def test_every_registered_regulariser_is_tested() -> None:
    assert set(NAMES) == set(REGULARISERS)


@pytest.fixture(params=NAMES)
def regulariser(request: pytest.FixtureRequest) -> Regulariser:
    return build_regulariser(request.param)


def _prepared(regulariser: Regulariser, x: torch.Tensor) -> Regulariser:
    y = x.detach() * 0.9
    regulariser.prepare(Problem.make(y, Identity(), Gaussian(0.1)), steps=10, seed=0)
    return regulariser


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 7, 5), (1, 1, 1, 9)])
def test_a_finite_scalar_with_a_finite_gradient(regulariser: Regulariser, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    value = _prepared(regulariser, x)(x, 1)
    assert value.shape == ()
    assert torch.isfinite(value)
    (value + 0 * x.sum()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_the_gradient_is_the_values(regulariser: Regulariser) -> None:
    if not regulariser.has_value or isinstance(regulariser, Perceptual):
        pytest.skip("the value is not known, or not in double precision")
    x = torch.rand(1, 2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    _prepared(regulariser, x)
    assert torch.autograd.gradcheck(lambda t: regulariser(t, 1) + 0 * t.sum(), (x,), atol=1e-4, rtol=1e-4)


def test_sums_and_scaling(regulariser: Regulariser) -> None:
    x = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    tv = TotalVariation()
    both = _prepared(0.5 * regulariser + tv * 2, x)
    torch.testing.assert_close(both(x, 1), 0.5 * _prepared(regulariser, x)(x, 1) + 2 * tv(x))
    assert both.has_value == regulariser.has_value


def test_what_is_remembered_goes_on_to_the_same_numbers(regulariser: Regulariser) -> None:
    rng = torch.Generator().manual_seed(0)
    images = [torch.rand(1, 3, 8, 8, dtype=torch.float64, generator=rng) for _ in range(8)]
    _prepared(regulariser, images[0])
    whole = [float(regulariser(x, step + 1)) for step, x in enumerate(images)]
    _prepared(regulariser, images[0])
    for step, x in enumerate(images[:4]):
        regulariser(x, step + 1)
    memory = copy.deepcopy(regulariser.run_state())
    _prepared(regulariser, images[0])
    regulariser.load_run_state(memory)
    assert [float(regulariser(x, step + 5)) for step, x in enumerate(images[4:])] == whole[4:]


def test_a_sum_by_name_with_a_weight_for_each_term() -> None:
    x = torch.rand(1, 3, 8, 8)
    both = build_regulariser("tv+none", {"tv": {"scale": 0.1}}, {"tv": 0.5})
    assert float(both(x)) == pytest.approx(0.5 * float(total_variation(x)) / 0.1, rel=1e-5)
    for name, options, weights, word in (
        ("tv+tv", {}, {}, "twice"),
        ("tv+tw", {}, {}, "Did you mean 'tv'"),
        ("tv", {}, {"denoiser": 1.0}, "no weighted regulariser"),
    ):
        with pytest.raises(ConfigError, match=word):
            build_regulariser(name, options, weights)


def test_total_variation_of_a_step_is_its_height_times_its_length() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[..., 4:] = 0.5
    assert float(total_variation(x, 1e-6)) == pytest.approx(0.5 * 8, rel=1e-3)
    assert float(total_variation(torch.full((1, 3, 4, 4), 0.3))) == 0


def test_tv_is_in_nats_on_a_photograph(photograph: torch.Tensor) -> None:
    """The scale is the mean over photographs: a photograph has about one nat a pixel and channel, not a hundred."""
    nats = float(TotalVariation()(photograph)) / photograph.numel()
    assert 0.3 < nats < 3
