"""Every registered regulariser keeps the contract."""

import pytest
import torch

from hybridprior.regularisers import REGULARISERS, Regulariser, TotalVariation, build_regulariser, total_variation

NAMES = ["none", "tv"]


def test_every_registered_regulariser_is_tested() -> None:
    assert set(NAMES) == set(REGULARISERS)


@pytest.fixture(params=NAMES)
def regulariser(request: pytest.FixtureRequest) -> Regulariser:
    return build_regulariser(request.param).double()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 7, 5), (1, 2, 1, 9)])
def test_a_finite_scalar_with_a_finite_gradient(regulariser: Regulariser, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    value = regulariser(x, 1)
    assert value.shape == ()
    assert torch.isfinite(value)
    (value + 0 * x.sum()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_the_gradient_is_the_values(regulariser: Regulariser) -> None:
    if not regulariser.has_value:
        pytest.skip("the value is not known")
    x = torch.rand(1, 2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: regulariser(t, 1) + 0 * t.sum(), (x,), atol=1e-4, rtol=1e-4)


def test_sums_and_scaling(regulariser: Regulariser) -> None:
    x = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    tv = TotalVariation()
    both = 0.5 * regulariser + tv * 2
    torch.testing.assert_close(both(x), 0.5 * regulariser(x) + 2 * tv(x))
    assert both.has_value == regulariser.has_value


def test_total_variation_of_a_step_is_its_height_times_its_length() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[..., 4:] = 0.5
    assert float(total_variation(x, 1e-6)) == pytest.approx(0.5 * 8, rel=1e-3)
    assert float(total_variation(torch.full((1, 3, 4, 4), 0.3))) == 0


def test_tv_is_in_nats_on_a_photograph(photograph: torch.Tensor) -> None:
    """The scale is the mean over photographs: a photograph has about one nat a pixel and channel, not a hundred."""
    nats = float(TotalVariation()(photograph)) / photograph.numel()
    assert 0.3 < nats < 3
