"""The regularisers made of networks: their gradients by Tweedie's formula, their schedules, and their features."""

import dataclasses

import pytest
import torch
from priors import measured, slope

from hybridprior import ConfigError, Downsample, restore
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.fidelities import Gaussian
from hybridprior.operators import Identity, as_operator
from hybridprior.problem import Problem
from hybridprior.regularisers import RED, REDDiff, build_regulariser
from hybridprior.regularisers.red import REDConfig
from hybridprior.regularisers.red_diff import REDDiffConfig
from hybridprior.regularisers.schedule import Schedule

VARIANCE = 0.04


def _gaussian(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The denoiser of the prior N(1/2, VARIANCE) for each pixel."""
    return 0.5 + VARIANCE / (VARIANCE + sigma.reshape(-1, 1, 1, 1) ** 2) * (x - 0.5)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
def test_the_denoisers_gradient_is_the_smoothed_priors(sigma: float) -> None:
    """-grad log N(x; 1/2, VARIANCE + sigma^2), in nats."""
    config = REDConfig(sigma_start=sigma, sigma_end=sigma, evaluate_at="iterate")
    regulariser = RED(config, denoiser=CallableDenoiser(_gaussian))
    x = torch.rand(1, 3, 6, 6)
    regulariser.prepare(measured(x), steps=10, seed=0)
    torch.testing.assert_close(slope(regulariser, x), (x - 0.5) / (VARIANCE + sigma**2), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("weighting", ["tweedie", "red-diff"])
def test_the_scores_gradient_is_the_smoothed_priors_on_average(weighting: str) -> None:
    sigma = 0.2
    config = REDDiffConfig(sigma_start=sigma, sigma_end=sigma, weighting=weighting)
    regulariser = REDDiff(config, denoiser=CallableDenoiser(_gaussian))
    x = torch.rand(1, 1, 4, 4)
    regulariser.prepare(measured(x), steps=4000, seed=0)
    mean = torch.stack([slope(regulariser, x, step) for step in range(1, 3001)]).mean(0)
    torch.testing.assert_close(mean, (x - 0.5) / (VARIANCE + sigma**2), rtol=0, atol=0.4)
    assert not torch.equal(slope(regulariser, x, 1), slope(regulariser, x, 2))
    assert torch.equal(slope(regulariser, x, 1), slope(regulariser, x, 1))


def test_the_schedule_falls_evenly_in_its_logarithm() -> None:
    schedule = Schedule(0.2, 0.05, 3)
    assert [schedule(step) for step in (1, 2, 3, 9)] == pytest.approx([0.2, 0.1, 0.05, 0.05])
    assert Schedule(0.2, 0.05, 1)(1) == 0.05
    with pytest.raises(ConfigError):
        Schedule(0.0, 0.1, 3)


def test_the_denoiser_looks_only_every_few_steps() -> None:
    looks = []

    def watch(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        looks.append(float(sigma[0]))
        return x

    config = REDConfig(refresh=4, sigma_start=0.4, sigma_end=0.1, anneal=1.0)
    regulariser = RED(config, denoiser=CallableDenoiser(watch))
    x = torch.rand(1, 3, 4, 4)
    regulariser.prepare(measured(x), steps=16, seed=0)
    for step in range(1, 17):
        regulariser(x, step)
    assert len(looks) == 5
    assert looks == sorted(looks, reverse=True)
    assert looks[-1] == pytest.approx(0.1)


def test_the_schedule_ends_at_the_measurements_noise() -> None:
    regulariser = RED(denoiser=CallableDenoiser(_gaussian))
    x = torch.rand(1, 3, 4, 4)
    for sigma in (0.3, 0.05):
        regulariser.prepare(measured(x, sigma), steps=10, seed=0)
        assert regulariser.schedule(10) == pytest.approx(sigma)


@pytest.mark.parametrize("name", ["denoiser", "score", "feature", "denoiser+tv"])
def test_each_of_them_in_a_restoration(crop: torch.Tensor, name: str) -> None:
    y = Downsample(2)(crop)
    options = {"regulariser": name, "preset": "fast", "max_steps": 3, "stopping": "fixed", "sigma": 0.0}
    result = restore(y, Downsample(2), **options)
    assert result.image.shape == crop.shape
    assert result.config.regulariser.name == name
    assert all(point.prior >= 0 for point in result.trace)


def test_a_weight_for_each_term_and_a_denoiser_by_name(crop: torch.Tensor) -> None:
    result = restore(
        crop,
        sigma=0.1,
        preset="fast",
        max_steps=2,
        regulariser="denoiser+tv",
        weight={"denoiser": 0.5, "tv": 0.01},
        denoiser="shipped",
        denoiser_sigma=(0.3, 0.1),
    )
    assert result.config.weights == {"denoiser": 0.5, "tv": 0.01}
    assert result.config.regulariser.options["denoiser"] == {
        "denoiser": "shipped",
        "sigma_start": 0.3,
        "sigma_end": 0.1,
    }
    assert type(result.config).from_json(result.config.to_json()) == result.config
    with pytest.raises(ConfigError, match="has no denoiser"):
        restore(crop, sigma=0.1, regulariser="tv", denoiser="shipped")
    with pytest.raises(ConfigError, match="as an object"):
        restore(crop, sigma=0.1, regulariser=RED(), denoiser="shipped")


def test_one_name_takes_its_options_flat(crop: torch.Tensor) -> None:
    options = {
        "sigma": 0.1,
        "preset": "fast",
        "max_steps": 2,
        "weight": {"denoiser": 0.5},
        "denoiser_sigma": (0.3, 0.1),
    }
    result = restore(crop, regulariser="denoiser", **options)
    assert result.config.regulariser.options == {"sigma_start": 0.3, "sigma_end": 0.1}
    with pytest.raises(ConfigError, match="regulariser with options"):
        build_regulariser("tv+none", {"tw": {}})


@pytest.mark.parametrize("operator", [Identity(), Downsample(2)])
def test_the_denoiser_looks_at_what_was_measured(operator) -> None:
    """u = argmin |A u - y|^2 / (2 s^2) + c |u - x|^2 / (2 sigma^2), solved densely."""
    s, sigma = 0.1, 0.2
    config = REDConfig(sigma_start=sigma, sigma_end=sigma)
    seen: list[torch.Tensor] = []

    def remember(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        return x

    regulariser = RED(config, denoiser=CallableDenoiser(remember))
    x, y = torch.rand(1, 1, 4, 4), operator(torch.rand(1, 1, 4, 4))
    regulariser.prepare(Problem.make(y, operator, Gaussian(s)), steps=10, seed=0)
    regulariser(x, 1)
    a = torch.stack([operator(row.reshape(1, 1, 4, 4)).flatten() for row in torch.eye(16)], 1)
    mu = config.penalty / sigma**2
    left, right = a.T @ a / s**2 + mu * torch.eye(16), a.T @ y.flatten() / s**2 + mu * x.flatten()
    torch.testing.assert_close(seen[-1].flatten(), torch.linalg.solve(left, right), rtol=1e-3, atol=1e-3)


def test_what_was_held_out_is_not_looked_at() -> None:
    y = torch.rand(1, 3, 16, 16)
    train, validation = measured(y, 0.1).hold_out(0.2, 0)
    assert validation.weights is not None
    spoilt = dataclasses.replace(train, y=torch.where(validation.weights > 0, 7.0, y))
    slopes = []
    for problem in (train, spoilt):
        regulariser = RED(denoiser=CallableDenoiser(_gaussian))
        regulariser.prepare(problem, steps=10, seed=0)
        slopes.append(slope(regulariser, torch.full_like(y, 0.5)))
    assert torch.equal(*slopes)


def test_without_a_linear_map_the_denoiser_looks_at_the_average() -> None:
    problem = Problem.make(torch.rand(1, 1, 8, 8), as_operator(torch.square), Gaussian(0.1))
    x = torch.rand(1, 1, 8, 8)
    slopes = []
    for point in ("measurements", "ema"):
        regulariser = RED(REDConfig(evaluate_at=point), denoiser=CallableDenoiser(_gaussian))
        regulariser.prepare(problem, steps=10, seed=0)
        slopes.append(slope(regulariser, x))
    assert torch.equal(*slopes)
