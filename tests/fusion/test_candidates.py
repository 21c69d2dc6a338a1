"""The candidates: what each is made of, and which of them see all the measurements in the end."""

import dataclasses

import pytest
import torch
from fusing import CONFIG, SIGMA, fused

from hybridprior import Component, ConfigError, restore
from hybridprior.config import SplittingConfig
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.fidelities import Gaussian
from hybridprior.fusion import FusionConfig
from hybridprior.fusion import solver as fusion_solver
from hybridprior.fusion.candidates import Candidates
from hybridprior.fusion.plug_and_play import PretrainedPrior
from hybridprior.fusion_weights import uniform_weights
from hybridprior.operators import Identity
from hybridprior.problem import Problem


def test_a_candidate_that_is_no_image_is_left_out(crop: torch.Tensor) -> None:
    y, _ = degrade(crop, Degradation("denoise", sigma=SIGMA))
    result = fused(Problem.make(y, Identity(), Gaussian(SIGMA)), lambda x, sigma: x * float("nan"))
    assert result.fusion is not None
    assert set(result.fusion.names) == {"local"}
    assert torch.isfinite(result.image).all()


def test_a_small_image_is_handed_over_thrice_with_noise(crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, found = _listened(monkeypatch)
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    restore(y, operator, sigma=0.0, config=CONFIG, max_steps=5, regulariser="auto")
    noisy = [image for image, config, _ in runs if config.noise]
    assert len(noisy) == 3 * len(found) > 0
    assert not torch.equal(noisy[0], noisy[1]) and not torch.equal(noisy[1], noisy[2])
    torch.testing.assert_close(found[0], torch.stack(noisy[:3]).mean(0))
    validation = {how["penalty_end"] for _, config, how in runs if config.noise}
    assert validation == {FusionConfig.penalty_end} and FusionConfig.penalty_end < SplittingConfig.penalty
    assert not any("penalty_end" in how for _, config, how in runs if not config.noise)


def test_holes_are_handed_over_once_without_noise(crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, found = _listened(monkeypatch)
    y, operator = degrade(crop[..., :32, :32], Degradation("inpaint", missing=0.5))
    restore(y, operator, sigma=0.0, config=CONFIG, max_steps=5, regulariser="auto")
    assert not any(config.noise or "penalty_end" in how for _, config, how in runs)
    assert len([config for _, config, how in runs if "start" in how]) == len(found) > 0


@pytest.mark.parametrize(("scale", "share"), [(4, 0.0), (8, 0.25)])
def test_far_down_the_network_s_own_image_is_one_of_the_runs(
    crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch, scale: int, share: float
) -> None:
    runs, found = _listened(monkeypatch)
    y, operator = degrade(crop[..., :64, :64], Degradation("sr", scale=scale))
    restore(y, operator, sigma=0.0, config=CONFIG, max_steps=5, regulariser="auto")
    noisy = [(image, how["start"]) for image, config, how in runs if config.noise][:3]
    mean = torch.stack([image for image, _ in noisy]).mean(0)
    torch.testing.assert_close(found[0], (1 - share) * mean + share * noisy[0][1])


def _listened(monkeypatch: pytest.MonkeyPatch) -> tuple[list, list]:
    """Return what plug-and-play makes, with its denoiser's configuration and how it was asked, and what `handed` makes."""
    plugged, warm_started = PretrainedPrior.plug_and_play, Candidates.warm_started
    runs, found = [], []

    def listen(self, problem, prior, **how):
        image = plugged(self, problem, prior, **how)
        runs.append((image, prior.config, how))
        return image

    monkeypatch.setattr(PretrainedPrior, "plug_and_play", listen)
    monkeypatch.setattr(Candidates, "warm_started", lambda *a: found.append(warm_started(*a)) or found[-1])
    return runs, found


@pytest.mark.parametrize("weight", [0.1, 0.3])
def test_theta_goes_on_only_where_the_local_image_counts(
    weight: float, crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other images see all the measurements in any case, the local one as well if it weighs more than a fifth."""
    given = {"local": weight / 2, "warm_started": weight / 2, "global": 1 - weight}

    def fit_stacking_weights(images, validation, **options):
        fusion_weights = uniform_weights([name for name in images if name in given], validation.shape)
        planes = torch.stack([torch.full(validation.shape[-2:], given[name]) for name in fusion_weights.names])
        return dataclasses.replace(fusion_weights, map=planes)

    gone_on = []
    refitted = Candidates.refitted
    monkeypatch.setattr(fusion_solver, "fit_stacking_weights", fit_stacking_weights)
    monkeypatch.setattr(Candidates, "refitted", lambda self, name, *a: gone_on.append(name) or refitted(self, name, *a))
    y = crop[..., :48, :48] + SIGMA * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    config = dataclasses.replace(CONFIG, regulariser=Component("auto", {"finetuning": {"steps": 0}}))
    result = restore(y, sigma=SIGMA, config=config, max_steps=20)
    assert result.fusion is not None and {"global", "warm_started"} <= set(gone_on)
    assert ("local" in gone_on) == (weight > 0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": 0},
        {"finetuning": {"steps": -1}},
        {"warm_start_sigma": 0.0},
        {"penalty_end": 0.0},
        {"weights": {"bootstrap_draws": 0}},
        {"futility": {"window": 0}},
        {"noise": {"nominal_ratio": 0.5}},
        {"futility": {"patience": 3}},
        {"noise": 3},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="fusion"):
        FusionConfig(**wrong)
