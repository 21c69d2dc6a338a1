"""The denoiser tuned to one image: lessons without a clean one, ended by their judge."""

import torch
from fusing import CONFIG, SIGMA, passed, recorrupted, windows

from hybridprior import Downsample, Mask, restore
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.fidelities import Gaussian
from hybridprior.fusion.finetuning import DenoiserFinetuner
from hybridprior.metrics import psnr
from hybridprior.operators import Blur, Compose, Identity
from hybridprior.operators.kernels import gaussian
from hybridprior.overrides import Overrides
from hybridprior.presets import preset
from hybridprior.problem import Problem
from hybridprior.resolve import configure


def _plugged(denoiser: Denoiser, problem: Problem) -> torch.Tensor:
    config = preset("fast", "sr")
    config = configure(config, Overrides(generator="pixels", regulariser="denoiser"))
    return restore(problem.y, problem.operator, sigma=0.0, config=config, denoiser=denoiser).image


def test_a_image_of_its_own_kind_tunes_the_denoiser() -> None:
    truth = windows()
    y = truth + SIGMA * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    shipped = load_denoiser("shipped")
    first, validation = Problem.make(y, Identity(), Gaussian(SIGMA)).recorrupt(0.12, 0)
    finetuner = DenoiserFinetuner(shipped, steps=40, rate=1e-4, seed=0, restored=passed)
    found = finetuner.best_image(first, validation)
    assert found is not None and len(finetuner.steps) == 2 and max(finetuner.steps) >= 20
    assert psnr(found, truth) > psnr(shipped.denoise(first.y, first.fidelity.sigma), truth) + 1
    whole = Problem.make(y, Identity(), Gaussian(SIGMA))
    assert psnr(finetuner.refit(whole), truth) > psnr(shipped.denoise(y, SIGMA), truth) + 1
    assert torch.equal(finetuner.refit(whole), finetuner.network.denoise(whole.y, SIGMA))


def test_a_small_image_tunes_the_denoiser_for_the_large_one(photograph: torch.Tensor) -> None:
    truth = photograph[..., 48:144, 60:156]
    y, operator = degrade(truth, Degradation("sr", scale=2))
    whole, shipped = Problem.make(y, operator, Gaussian(0.0)), load_denoiser("shipped")
    train, validation = whole.hold_out(0.1, 0)
    finetuner = DenoiserFinetuner(shipped, steps=40, rate=1e-4, seed=0, restored=_plugged)
    assert finetuner.is_applicable(whole)
    found = finetuner.best_image(train, validation)
    assert found is not None and finetuner.steps in ((20,), (40,))
    assert psnr(finetuner.refit(whole), truth) > psnr(_plugged(shipped, whole), truth)


def test_tuning_leaves_the_denoiser_as_it_was_and_needs_weights_and_pairs(crop: torch.Tensor) -> None:
    shipped, (first, validation) = load_denoiser("shipped"), recorrupted(crop)
    before = [p.clone() for p in shipped.parameters()]
    finetuner = DenoiserFinetuner(shipped, steps=1, rate=1e-2, seed=0, restored=passed)
    finetuner.best_image(first, validation)
    assert all(torch.equal(p, q) for p, q in zip(before, shipped.parameters(), strict=True))
    assert not DenoiserFinetuner(
        load_denoiser(lambda x, sigma: x), steps=9, rate=1e-4, seed=0, restored=passed
    ).is_applicable(first)
    assert not finetuner.is_applicable(Problem.make(crop, Mask(torch.ones(crop.shape[-2:])), Gaussian(SIGMA)))
    assert not finetuner.is_applicable(Problem.make(crop, Downsample(2), Gaussian(SIGMA)))


def test_a_composed_reduction_tunes_the_denoiser_like_a_plain_one(crop: torch.Tensor) -> None:
    blurred = Compose(Blur(gaussian(0.8), "reflect"), Downsample(2))
    finetuner = DenoiserFinetuner(load_denoiser("shipped"), steps=3, rate=1e-4, seed=0, restored=passed)
    for operator, applicable in ((blurred, True), (Compose(blurred, Mask(torch.ones(32, 32))), False)):
        assert finetuner.is_applicable(Problem.make(operator(crop), operator, Gaussian(0.0))) == applicable
    y = blurred(crop)[..., :16, :16].contiguous()
    result = restore(y, blurred, sigma=0.0, config=CONFIG, max_steps=5, regulariser="auto")
    assert result.fusion is not None and {"local", "global", "hybrid", "warm_started"} <= set(result.fusion.names)


def test_what_is_no_gaussian_noise_tunes_nothing(crop: torch.Tensor) -> None:
    """A small image with counted photons is not clean, and its E is curved: no plug-and-play either."""
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    result = restore(y, operator, fidelity="poisson", sigma=0.05, config=CONFIG, max_steps=15, regulariser="auto")
    assert result.fusion is not None
    assert result.fusion.names == ("local", "hybrid")


def test_a_lesson_of_few_steps_is_judged_too(crop: torch.Tensor) -> None:
    """Its last step is looked at, whatever their number: once at the start, and once after each of two lessons."""
    looks, (first, validation) = [], recorrupted(crop[..., :32, :32])

    def restored(network: Denoiser, problem: Problem) -> torch.Tensor:
        looks.append(network)
        return passed(network, problem)

    DenoiserFinetuner(load_denoiser("shipped"), steps=3, rate=1e-4, seed=0, restored=restored).best_image(
        first, validation
    )
    assert len(looks) == 3
