"""The fusion where a prior, sigma or the noise is not what it should be: it loses nothing against the better prior."""

import dataclasses

import pytest
import torch
from fusing import CONFIG, SIGMA, fused

from hybridprior import Mask, Poisson, restore
from hybridprior.analysis.noise import noise_correlation
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.fidelities import Gaussian
from hybridprior.metrics import psnr
from hybridprior.problem import Problem
from hybridprior.result import Result, Status


@pytest.mark.parametrize("wrong", ["mean", "shuffled"])
@pytest.mark.parametrize(
    "how",
    [Degradation("denoise", sigma=SIGMA), Degradation("inpaint", missing=0.5), Degradation("sr", scale=2)],
    ids=lambda how: how.task,
)
def test_a_denoiser_that_is_plainly_wrong_costs_nothing(crop: torch.Tensor, how: Degradation, wrong: str) -> None:
    """Neither its image nor the warm-started one has a weight, and the network alone is no better."""
    y, operator = degrade(crop, how)
    problem = Problem.make(y, operator, Gaussian(how.sigma))
    result = fused(problem, _shuffled() if wrong == "shuffled" else lambda x, sigma: x.mean().expand_as(x))
    assert result.fusion is not None
    weights = dict(zip(result.fusion.names, result.fusion.weights, strict=True))
    assert weights["global"] < 0.02 and weights["warm_started"] < 0.02
    local = restore(y, operator, sigma=how.sigma, config=CONFIG)
    seen, alone = (operator.enforce_consistency(x, y, noisy=how.sigma > 0) for x in (result.image, local.image))
    assert psnr(seen, crop) > psnr(alone, crop) - 0.05


def _shuffled() -> Denoiser:
    """Return the shipped denoiser with the weights of each layer in another order."""
    denoiser, rng = load_denoiser("shipped"), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for theta in denoiser.parameters():
            theta.copy_(theta.flatten()[torch.randperm(theta.numel(), generator=rng)].reshape(theta.shape))
    return denoiser


def test_correlated_noise_leaves_no_validation_measurements(photograph: torch.Tensor) -> None:
    white = SIGMA * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(white, 3, 1, 1) * 3
    assert abs(noise_correlation(photograph + white, SIGMA)) < 0.15
    assert noise_correlation(photograph + blurred, SIGMA) > 0.4
    corner = (photograph + blurred)[..., :64, :64]
    result = restore(corner, sigma=SIGMA, config=CONFIG, max_steps=30, regulariser="auto")
    assert result.fusion is not None
    assert result.fusion.kind == "none"
    assert "finetuned" not in result.fusion.names  # no measurements to validate it
    assert "correlated" in result.message


def test_what_is_held_out_of_a_sparse_image_is_no_black_pixel() -> None:
    known = (torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) < 0.03).float()
    train, validation = Problem.make(0.6 * known.expand(1, 3, -1, -1), Mask(known), sigma=0.0).hold_out(0.1, 0)
    assert bool((validation.weights > 0).any())
    torch.testing.assert_close(train.operator.initial_estimate(train.filled()), torch.full((1, 3, 64, 64), 0.6))


def test_photons_stop_the_network_as_they_do_without_r(crop: torch.Tensor) -> None:
    """What is no Gaussian noise is noise: the least error on held-out pixels ends the run before its last step."""
    y = torch.poisson(5 * crop, generator=torch.Generator().manual_seed(0)) / 5
    config = dataclasses.replace(CONFIG, solver=dataclasses.replace(CONFIG.solver, max_steps=1500))
    result = restore(y, fidelity=Poisson(peak=5), config=config, regulariser="auto")
    assert len(result.trace) < 1500 and result.status is Status.STOPPED


@pytest.mark.parametrize("nominal_sigma", [0.5, 2.0])
def test_a_sigma_that_is_wrong_by_two_is_noticed(crop: torch.Tensor, nominal_sigma: float) -> None:
    y = crop + SIGMA * torch.randn(crop.shape, generator=torch.Generator().manual_seed(0))
    result, better = _beside_both(y, nominal_sigma * SIGMA, crop)
    assert result.fusion is not None
    assert "blind" in result.fusion.names and "estimated noise level is 2" in result.message
    assert psnr(result.image, crop) > better + 0.5
    assert psnr(result.image, crop) > psnr(y, crop) + 6


def test_a_clean_image_with_a_nominal_noise_level_loses_nothing_by_the_fusion(crop: torch.Tensor) -> None:
    result, better = _beside_both(crop, SIGMA, crop)
    assert "correlated" in result.message
    assert psnr(result.image, crop) > better - 0.05


def _beside_both(y: torch.Tensor, sigma: float, truth: torch.Tensor) -> tuple[Result, float]:
    """Return the fusion, and the PSNR of the better of both priors by themselves."""
    local = restore(y, sigma=sigma, config=CONFIG)
    alone = restore(y, sigma=sigma, generator="pixels", regulariser="denoiser")
    fusion = restore(y, sigma=sigma, config=CONFIG, regulariser="auto")
    return fusion, max(psnr(local.image, truth), psnr(alone.image, truth))


def test_a_texture_like_noise_stays_in_the_image() -> None:
    """The estimated level is 2.8 times the nominal one, which is above `texture_ratio`."""
    x = 0.5 + 2.6 * SIGMA * torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    y = x + SIGMA * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    result = restore(y, sigma=SIGMA, config=CONFIG, regulariser="auto")
    alone = restore(y, sigma=SIGMA, generator="pixels", regulariser="denoiser")
    assert result.fusion is not None and "estimated noise level" not in result.message
    assert psnr(result.image, x) > psnr(alone.image, x) - 0.05


def test_a_clean_image_is_left_as_it_is(crop: torch.Tensor) -> None:
    result = restore(crop, sigma=0.0, config=CONFIG, regulariser="auto")
    assert torch.equal(result.image, crop)
    assert "unchanged" in result.message
