"""The denoiser fine-tuned on one image: objectives without a clean image, stopped by the validation error."""

import torch
from fusing import CONFIG, SIGMA, passed, recorrupted, windows

from hybridprior import Downsample, Mask, restore
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.fidelities import Gaussian
from hybridprior.fusion import FinetuneConfig
from hybridprior.fusion.finetuning import DenoiserFinetuner
from hybridprior.fusion.strategy import FusionStrategy, NoiseCheck
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


def _finetuner(denoiser: Denoiser, objectives: str | None, *, restore=passed, **numbers) -> DenoiserFinetuner:
    return DenoiserFinetuner(denoiser, objectives, config=FinetuneConfig(**numbers), seed=0, restore=restore)


def _objectives(problem: Problem) -> str | None:
    return FusionStrategy.for_problem(problem, NoiseCheck.of(problem)).finetuning


def test_an_image_of_its_own_kind_tunes_the_denoiser() -> None:
    truth = windows()
    y = truth + SIGMA * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    shipped = load_denoiser("shipped")
    split = Problem.make(y, Identity(), Gaussian(SIGMA)).recorrupt(0.12, 0)
    finetuner = _finetuner(shipped, "denoising", steps=40)
    found, first = finetuner.best_image(split), split.train
    assert found is not None and len(finetuner.steps) == 2 and max(finetuner.steps) >= 20
    assert psnr(found, truth) > psnr(shipped.denoise(first.y, first.fidelity.sigma), truth) + 1
    whole = Problem.make(y, Identity(), Gaussian(SIGMA))
    assert psnr(finetuner.refit(whole), truth) > psnr(shipped.denoise(y, SIGMA), truth) + 1
    assert torch.equal(finetuner.refit(whole), finetuner.network.denoise(whole.y, SIGMA))


def test_a_small_image_tunes_the_denoiser_for_the_large_one(photograph: torch.Tensor) -> None:
    truth = photograph[..., 48:144, 60:156]
    y, operator = degrade(truth, Degradation("sr", scale=2))
    whole, shipped = Problem.make(y, operator, Gaussian(0.0)), load_denoiser("shipped")
    finetuner = _finetuner(shipped, _objectives(whole), steps=40, restore=_plugged)
    assert finetuner.is_applicable
    found = finetuner.best_image(whole.hold_out(0.1, 0))
    assert found is not None and finetuner.steps in ((20,), (40,))
    assert psnr(finetuner.refit(whole), truth) > psnr(_plugged(shipped, whole), truth)


def test_tuning_leaves_the_denoiser_as_it_was_and_needs_weights_and_pairs(crop: torch.Tensor) -> None:
    shipped, split = load_denoiser("shipped"), recorrupted(crop)
    before = [p.clone() for p in shipped.parameters()]
    _finetuner(shipped, "denoising", steps=1, learning_rate=1e-2).best_image(split)
    assert all(torch.equal(p, q) for p, q in zip(before, shipped.parameters(), strict=True))
    assert not _finetuner(load_denoiser(lambda x, sigma: x), "denoising", steps=9).is_applicable
    assert not _finetuner(shipped, None, steps=9).is_applicable
    assert not _finetuner(shipped, "denoising", steps=0).is_applicable
    assert not _finetuner(shipped, "denoising", steps=9, max_parameters=10).is_applicable


def test_a_composed_reduction_tunes_the_denoiser_like_a_plain_one(crop: torch.Tensor) -> None:
    blurred = Compose(Blur(gaussian(0.8), "reflect"), Downsample(2))
    for operator, objectives in ((blurred, "cross_scale"), (Compose(blurred, Mask(torch.ones(32, 32))), None)):
        assert _objectives(Problem.make(operator(crop), operator, Gaussian(0.0))) == objectives
    y = blurred(crop)[..., :16, :16].contiguous()
    result = restore(y, blurred, sigma=0.0, config=CONFIG, max_steps=5, regulariser="auto")
    assert result.fusion is not None and {"local", "global", "hybrid", "warm_started"} <= set(result.fusion.names)


def test_what_is_no_gaussian_noise_tunes_nothing(crop: torch.Tensor) -> None:
    """A small image with counted photons is not clean, and its E is curved: no plug-and-play either."""
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    result = restore(y, operator, fidelity="poisson", sigma=0.05, config=CONFIG, max_steps=15, regulariser="auto")
    assert result.fusion is not None
    assert result.fusion.names == ("local", "hybrid")


def test_an_objective_of_few_steps_is_validated_too(crop: torch.Tensor) -> None:
    """Its last step is validated, whatever their number: once at the start, and once after each of two objectives."""
    networks, split = [], recorrupted(crop[..., :32, :32])

    def restore(network: Denoiser, problem: Problem) -> torch.Tensor:
        networks.append(network)
        return passed(network, problem)

    _finetuner(load_denoiser("shipped"), "denoising", steps=3, restore=restore).best_image(split)
    assert len(networks) == 3
