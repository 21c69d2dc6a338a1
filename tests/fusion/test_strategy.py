"""The table of the fusion: what it does for which operator and noise."""

import pytest
import torch

from hybridprior import Mask, Poisson
from hybridprior.fidelities import CLEAN, Gaussian
from hybridprior.fusion import FusionStrategy, NoiseCheck, NoiseCheckConfig
from hybridprior.fusion.strategy import SITUATIONS
from hybridprior.operators import Blur, Compose, Crop, Downsample, Identity, Operator, as_operator
from hybridprior.operators.kernels import gaussian
from hybridprior.problem import Problem

WHITE, CLEAN_NOISE = NoiseCheck(True, None, False), NoiseCheck(False, None, False)
CORRELATED, WRONG = NoiseCheck(True, None, True), NoiseCheck(True, 0.05, False)
HOLES = Mask((torch.rand(16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float())
BLUR = Blur(gaussian(0.8))

# situation, operator, sigma, noise, candidates beside "local"; "correlated" has the denoiser only
TABLE = [
    ("clean", Identity(), CLEAN, CLEAN_NOISE, ""),
    ("denoise", Identity(), 0.1, WHITE, "global warm_started finetuned"),
    ("denoise", Compose(Identity(), Identity()), 0.1, WHITE, "global warm_started finetuned"),
    ("wrong_level", Identity(), 0.1, WRONG, "global warm_started blind"),
    ("correlated", Identity(), 0.1, CORRELATED, ""),
    ("reduction", Downsample(2), 0.0, CLEAN_NOISE, "hybrid global warm_started finetuned"),
    ("reduction", Compose(BLUR, Downsample(2)), 0.0, CLEAN_NOISE, "hybrid global warm_started finetuned"),
    ("noisy", Downsample(2), 0.1, WHITE, "hybrid global warm_started"),
    ("noisy", HOLES, 0.1, WHITE, "hybrid global warm_started"),
    ("noisy", BLUR, 0.1, WHITE, "hybrid global warm_started"),
    ("noisy_correlated", BLUR, 0.1, CORRELATED, "hybrid global warm_started"),
    ("noiseless", HOLES, 0.0, CLEAN_NOISE, "hybrid global warm_started"),
    ("noiseless", Crop(2), CLEAN, CLEAN_NOISE, "hybrid global warm_started"),
    ("noiseless", Compose(Downsample(2), BLUR), 0.0, CLEAN_NOISE, "hybrid global warm_started"),
    ("noisy", as_operator(torch.square), 0.1, WHITE, "hybrid"),
    ("noiseless", as_operator(torch.square), 0.0, CLEAN_NOISE, "hybrid"),
]


@pytest.mark.parametrize(("situation", "operator", "sigma", "noise", "candidates"), TABLE)
def test_the_row_of_a_problem(
    situation: str, operator: Operator, sigma: float, noise: NoiseCheck, candidates: str
) -> None:
    problem = Problem.make(operator(torch.rand(1, 3, 16, 16)), operator, Gaussian(sigma))
    found = FusionStrategy.for_problem(problem, noise)
    assert found.situation == situation
    alone = {"clean": (), "correlated": ("global",)}
    assert found.candidates == alone.get(situation, ("local", *candidates.split()))
    row = SITUATIONS[situation]
    assert row.recorrupt == (noise.present and noise.estimated_sigma is None and situation != "correlated")
    assert row.stacking == (not noise.correlated)
    assert row.one_pass == (situation in ("denoise", "wrong_level", "correlated"))
    assert row.average_runs == bool(row.preferred) == (situation == "reduction")
    assert row.finetuning == {"denoise": "denoising", "reduction": "cross_scale"}.get(situation)
    assert row.futility == (situation == "denoise")
    assert row.prefer_last == (situation in ("reduction", "noiseless"))


@pytest.mark.parametrize("operator", [Identity(), Downsample(2), HOLES])
def test_noise_that_is_not_gaussian_has_no_plug_and_play(operator: Operator) -> None:
    problem = Problem.make(operator(torch.rand(1, 3, 16, 16)), operator, Poisson(peak=30))
    found = FusionStrategy.for_problem(problem, NoiseCheck.of(problem))
    assert found.situation == "other_noise"
    assert found.candidates == ("local", "hybrid") and not found.recorrupt and not found.prefer_last


def test_every_row_is_tested() -> None:
    assert {row[0] for row in TABLE} | {"other_noise"} == set(SITUATIONS)


@pytest.mark.parametrize(
    ("nominal", "side", "differs"), [(0.1, 64, False), (0.05, 64, True), (0.03, 64, False), (0.05, 40, False)]
)
def test_the_noise_level_is_compared_with_the_nominal_one(nominal: float, side: int, differs: bool) -> None:
    y = 0.5 + 0.1 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    problem = Problem.make(y, Identity(), Gaussian(nominal))
    found = NoiseCheck.of(problem)
    assert found.present and not found.correlated
    assert (found.estimated_sigma is not None) == differs
    assert not differs or found.estimated_sigma == pytest.approx(0.1, rel=0.1)
    assert NoiseCheck.of(problem, NoiseCheckConfig(min_side=1000)).estimated_sigma is None


def test_correlated_noise_is_found(photograph: torch.Tensor) -> None:
    white = 0.1 * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(white, 3, 1, 1) * 3
    for noise, correlated in ((white, False), (blurred, True)):
        problem = Problem.make(photograph + noise, Identity(), Gaussian(0.1))
        assert NoiseCheck.of(problem).correlated == correlated
