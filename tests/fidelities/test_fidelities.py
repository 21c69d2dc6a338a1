"""Noise that is not Gaussian: its likelihoods, its level, and that it is worth saying."""

import math

import pytest
import torch
from torch.distributions import Laplace as LaplaceLaw
from torch.distributions import Poisson as PoissonLaw

from hybridprior import Component, ConfigError, Gaussian, Huber, Laplace, Poisson, RestoreConfig, SolverConfig, restore
from hybridprior.analysis.noise import estimate_sigma, robust_sigma
from hybridprior.fidelities import FIDELITIES, SIGMA_FLOOR
from hybridprior.metrics import psnr
from hybridprior.operators import Identity
from hybridprior.problem import Problem

NETWORK = Component(
    "skip", {"down": (32,) * 3, "up": (32,) * 3, "skip": (4,) * 3, "input_depth": 8, "padding": "zeros"}
)
CONFIG = RestoreConfig(
    NETWORK,
    stopping=Component("auto"),
    solver=SolverConfig(max_steps=150, input_noise_std=0.015, optimiser="muon"),
    precision="fp32",
)


def _salted(x: torch.Tensor, share: float) -> torch.Tensor:
    draw = torch.rand(x[:, :1].shape, generator=torch.Generator().manual_seed(0)).expand_as(x)
    return torch.where(draw < share / 2, 0.0, torch.where(draw > 1 - share / 2, 1.0, x))


def test_poisson_and_laplace_are_log_likelihoods() -> None:
    a, b, y = torch.tensor([0.2, 0.7]), torch.tensor([0.3, 0.5]), torch.tensor([0.25, 0.5])
    peak = 40.0
    theirs = PoissonLaw(peak * b).log_prob(peak * y) - PoissonLaw(peak * a).log_prob(peak * y)
    torch.testing.assert_close(Poisson(peak)(a, y) - Poisson(peak)(b, y), theirs.sum())
    theirs = LaplaceLaw(b, 0.1).log_prob(y) - LaplaceLaw(a, 0.1).log_prob(y)
    torch.testing.assert_close(Laplace(0.1)(a, y) - Laplace(0.1)(b, y), theirs.sum())


def test_huber_is_gaussian_near_and_linear_far() -> None:
    y, near, far = torch.zeros(3), torch.full((3,), 0.05), torch.full((3,), 0.5)
    torch.testing.assert_close(Huber(0.1)(near, y), Gaussian(0.1)(near, y))
    slope = Huber(0.1)(far + 0.1, y) - Huber(0.1)(far, y)
    assert float(slope) == pytest.approx(3 * 1.345, rel=1e-4)


@pytest.mark.parametrize("fidelity", [Gaussian(0.1), Poisson(50.0), Laplace(0.05), Huber(0.05)])
def test_every_fidelity_has_its_least_at_y(fidelity) -> None:
    y = torch.linspace(0.02, 1, 50)
    at = fidelity(y, y)
    assert float(at) == pytest.approx(0, abs=1e-4)
    for moved in (y + 0.01, y - 0.01, y * 0):
        assert float(fidelity(moved, y)) > float(at)
    half = torch.zeros(50)
    half[:25] = 1
    torch.testing.assert_close(fidelity(y + 0.1, y, half), fidelity(y[:25] + 0.1, y[:25]))


def test_poisson_holds_at_black_and_below() -> None:
    x = torch.tensor([-0.5, 0.0, 0.3], requires_grad=True)
    energy = Poisson(30.0)(x, torch.tensor([0.1, 0.1, -0.02]))
    energy.backward()
    assert math.isfinite(float(energy.detach()))
    assert float(x.grad[0]) < 0 < float(x.grad[2])


@pytest.mark.parametrize("name", sorted(FIDELITIES))
def test_fidelities_by_name_take_sigma(name: str, crop: torch.Tensor) -> None:
    problem = Problem.make(crop, Identity(), name, sigma=0.1)
    level = problem.fidelity.sigma
    assert level == pytest.approx(0.1, rel=0.01)
    with pytest.raises(ConfigError, match="Did you mean 'poisson'"):
        Problem.make(crop, Identity(), "poison")


def test_levels_are_estimated_with_their_noise(photograph: torch.Tensor) -> None:
    rng = torch.Generator().manual_seed(0)
    counts = torch.poisson(40 * photograph, generator=rng) / 40
    assert Problem.make(counts, Identity(), "poisson").fidelity.peak == pytest.approx(40, rel=0.3)
    ramp = torch.linspace(0.1, 0.9, 256).expand(1, 1, 192, 256)
    counts = torch.poisson(100 * ramp, generator=rng) / 100
    assert Problem.make(counts, Identity(), "poisson").fidelity.peak == pytest.approx(100, rel=0.3)
    smooth = torch.linspace(0.2, 0.8, 256).expand_as(photograph)
    noisy = _salted(smooth + 0.1 * torch.randn(photograph.shape, generator=rng), 0.03)[:, :1]
    assert robust_sigma(noisy) == pytest.approx(0.1, rel=0.35)
    assert estimate_sigma(noisy) > 0.12
    assert robust_sigma(torch.full((1, 3, 9, 9), 0.5)) == SIGMA_FLOOR


def test_numbers_out_of_range_are_refused() -> None:
    for made in (lambda: Poisson(0), lambda: Poisson(math.nan), lambda: Laplace(-1), lambda: Huber(0.1, threshold=0)):
        with pytest.raises(ConfigError):
            made()
    with pytest.raises(ConfigError, match="divide a level"):
        Huber(25.0)


def test_outliers_are_ignored_by_huber_and_not_by_squares(photograph: torch.Tensor) -> None:
    truth = photograph[..., 8:56, 8:64]
    y = _salted(truth, 0.1)
    gained = {}
    for name in ("gaussian", "huber"):
        result = restore(y, config=CONFIG, fidelity=name, sigma=0.02, max_steps=100)
        assert result.held_out > 0  # the validation error is that of the fidelity
        gained[name] = psnr(result.image, truth) - psnr(y, truth)
    assert gained["huber"] > gained["gaussian"] + 1


def test_both_priors_work_where_noise_is_not_gaussian(crop: torch.Tensor) -> None:
    truth = crop[..., :40, :40]
    y = torch.poisson(20 * truth, generator=torch.Generator().manual_seed(0)) / 20
    fused = restore(y, config=CONFIG, fidelity=Poisson(20.0), regulariser="auto", max_steps=60)
    assert set(fused.fusion.names) == {"local", "hybrid"}
    assert psnr(fused.image, truth) > psnr(y, truth) + 3
    with pytest.raises(ConfigError, match="linear operator and Gaussian noise"):
        restore(y, config=CONFIG, fidelity="poisson", regulariser="denoiser", generator="pixels")
