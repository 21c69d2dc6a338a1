"""The fusion: validation without ground truth, weights that add up, and no weight for priors that are wrong."""

import dataclasses
import signal

import numpy as np
import pytest
import torch
from fusing import CONFIG, SIGMA, fused

from hybridprior import Component, ConfigError, Downsample, Mask, RestoreConfig, restore
from hybridprior.denoisers import load_denoiser
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.fidelities import Gaussian
from hybridprior.fusion import FinetuneConfig, FusionConfig, FutilityConfig, finetuning
from hybridprior.fusion import solver as fusion_solver
from hybridprior.fusion.candidates import Candidates
from hybridprior.metrics import psnr
from hybridprior.operators import Identity
from hybridprior.presets import preset
from hybridprior.problem import Problem, Split
from hybridprior.result import Status, Step


def test_no_ground_truth_is_used_and_the_same_seed_gives_the_same_bits(crop: torch.Tensor) -> None:
    """The image is a function of y, A and the seed alone."""
    y, operator = degrade(crop, Degradation("sr", scale=2))
    once, again = (
        restore(y, operator, sigma=0.0, config=CONFIG, max_steps=30, regulariser="auto", seed=5) for _ in range(2)
    )
    assert torch.equal(once.image, again.image)
    assert once.fusion is not None
    assert set(once.fusion.names) - {"finetuned"} == {"local", "global", "hybrid", "warm_started"}
    assert once.config.method == "fusion"


def test_every_measurement_serves_in_the_end(crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels that were held out are in the image, before the known pixels are put back; without the refit they are not."""
    known = (torch.rand(crop.shape[-2:], generator=torch.Generator().manual_seed(0)) > 0.3).float()
    whole, config = (
        Problem.make(crop * known, Mask(known), sigma=0.0),
        dataclasses.replace(CONFIG, stopping=Component("fixed")),
    )
    validation = []
    hold_out, refitted = Problem.hold_out, Candidates.refitted

    def watched(self: Problem, fraction: float, seed: int) -> Split:
        split = hold_out(self, fraction, seed)
        validation[:] = split
        return split

    monkeypatch.setattr(Problem, "hold_out", watched)
    errors = []
    for part in (lambda problem: problem, lambda problem: validation[0]):
        again = lambda self, name, problem, local, part=part: refitted(self, name, part(problem), local)  # noqa: E731
        monkeypatch.setattr(Candidates, "refitted", again)
        result = fused(whole, "shipped", config)
        errors.append(float(validation[1].error(result.image)))
    assert "All measurements" in result.message
    assert errors[0] < 0.5 * errors[1]


def test_what_auto_cannot_do_is_said() -> None:
    y = torch.rand(1, 3, 16, 16)
    for wrong in (
        {"generator": "pixels"},
        {"solver": "splitting"},
        {"denoiser_sigma": (0.2, 0.1)},
        {"stopping": "fixed"},
    ):
        with pytest.raises(ConfigError, match="auto"):
            restore(y, Downsample(2), regulariser="auto", max_steps=2, **wrong)


@pytest.mark.parametrize("given", [{"seed": np.int64(3)}, {"denoiser": load_denoiser(lambda x, sigma: 0.9 * x)}])
def test_what_json_does_not_know_ends_no_fusion(crop: torch.Tensor, given: dict) -> None:
    result = restore(crop[..., :32, :32], sigma=SIGMA, config=CONFIG, max_steps=5, regulariser="auto", **given)
    assert result.fusion is not None


def test_a_curved_energy_leaves_two_candidates() -> None:
    result = restore(
        torch.rand(1, 3, 32, 32), torch.square, sigma=SIGMA, config=CONFIG, max_steps=20, regulariser="auto"
    )
    assert result.fusion is not None
    assert result.fusion.names == ("local", "hybrid")


@pytest.mark.parametrize("stage", ["local", "later"])
def test_a_fusion_that_was_broken_off_goes_on_to_the_same_bits(
    crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    arguments = {"sigma": 0.0, "config": CONFIG, "max_steps": 40, "regulariser": "auto"}

    def press_ctrl_c(step: Step) -> None:
        if stage == "local" and step.number == 25:
            signal.raise_signal(signal.SIGINT)

    whole = restore(y, operator, **arguments)
    with monkeypatch.context() as patched:
        if stage == "later":
            plugged = Candidates.warm_started
            patched.setattr(Candidates, "warm_started", lambda *a: (signal.raise_signal(signal.SIGINT), plugged(*a))[1])
        part = restore(y, operator, callbacks=[press_ctrl_c], **arguments)
    assert part.status is Status.INTERRUPTED
    on = restore(y, operator, checkpoint=part.checkpoint, **arguments)
    assert on.fusion is not None
    assert torch.equal(on.image, whole.image)


def _broken_off(y: torch.Tensor, operator: Downsample, reg: str, config: RestoreConfig = CONFIG):
    def press_ctrl_c(step: Step) -> None:
        if step.number == 5:
            signal.raise_signal(signal.SIGINT)

    return restore(y, operator, sigma=0.0, config=config, max_steps=8, regulariser=reg, callbacks=[press_ctrl_c])


def test_a_state_is_no_other_methods(crop: torch.Tensor) -> None:
    y, operator = degrade(crop[..., :32, :32], Degradation("sr", scale=2))
    states = {reg: _broken_off(y, operator, reg).checkpoint for reg in ("auto", "none")}
    for reg, other in (("auto", "none"), ("none", "auto")):
        with pytest.raises(ConfigError, match="another"):
            restore(y, operator, sigma=0.0, config=CONFIG, max_steps=8, regulariser=reg, checkpoint=states[other])
    fewer = dataclasses.replace(CONFIG, regulariser=Component("auto", {"finetuning": {"steps": 3}}))
    with pytest.raises(ConfigError, match="another configuration"):
        restore(y, operator, sigma=0.0, config=fewer, max_steps=8, checkpoint=states["auto"])
    assert restore(y, operator, sigma=0.0, config=CONFIG, max_steps=8, regulariser="none", checkpoint=states["none"])


def test_an_interrupted_run_reports_its_validation_measurements(crop: torch.Tensor) -> None:
    y, operator = degrade(crop, Degradation("sr", scale=2))
    part = _broken_off(y, operator, "auto")
    assert part.held_out == pytest.approx(0.1, abs=0.01)
    assert "10 % of the measurements" in part.message


def test_a_split_says_how_it_was_made(crop: torch.Tensor) -> None:
    y, operator = degrade(crop, Degradation("sr", scale=2))
    for fraction, problem in (
        (0.12, Problem.make(crop, Identity(), Gaussian(SIGMA))),
        (0.3, Problem.make(y, operator)),
    ):
        split = problem.recorrupt(fraction, 0)
        assert split.kind == "recorrupt" and split.fraction == fraction
        assert split.train.share(split.validation) == pytest.approx(fraction)
        split = problem.hold_out(fraction, 0)
        assert split.kind == "hold_out" and split.fraction == pytest.approx(fraction, abs=0.01)
        assert split.train.share(split.validation) == split.fraction
        assert [*split] == [split.train, split.validation]


def test_the_result_has_every_number_of_the_fusion(crop: torch.Tensor) -> None:
    how = {"finetuning": {"steps": 0}, "weights": {"bootstrap_draws": 5}}
    config = dataclasses.replace(CONFIG, regulariser=Component("auto", how))
    result = restore(crop[..., :32, :32], sigma=SIGMA, config=config, max_steps=3)
    options = result.config.fusion
    assert options["finetuning"]["steps"] == 0 and options["finetuning"]["patience"] == FinetuneConfig().patience
    assert options["weights"]["bootstrap_draws"] == 5 and options["futility"] == dataclasses.asdict(FutilityConfig())
    assert FusionConfig(**RestoreConfig.from_json(result.config.to_json()).fusion) == FusionConfig(**how)


def test_a_network_that_was_stopped_takes_no_step_more_after_ctrl_c(
    crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, _ = degrade(crop[..., :32, :32], Degradation("denoise", sigma=SIGMA))
    arguments = {"sigma": SIGMA, "config": CONFIG, "max_steps": 600, "regulariser": "auto"}
    whole = restore(y, **arguments)
    assert len(whole.trace) < 600
    with monkeypatch.context() as patched:
        warm_started = Candidates.warm_started
        patched.setattr(
            Candidates, "warm_started", lambda *a: (signal.raise_signal(signal.SIGINT), warm_started(*a))[1]
        )
        part = restore(y, **arguments)
    assert part.status is Status.INTERRUPTED
    on = restore(y, checkpoint=part.checkpoint, **arguments)
    assert len(on.trace) == len(whole.trace)
    assert torch.equal(on.image, whole.image)


@pytest.mark.parametrize("size", [(1, 1, 24, 20), (1, 3, 1, 7)])
def test_grey_and_narrow_images_are_fused(size: tuple[int, ...]) -> None:
    result = restore(torch.rand(size), sigma=0.3, config=CONFIG, max_steps=15, regulariser="auto")
    assert result.image.shape == size
    assert result.fusion is not None
    assert result.sigma == pytest.approx(0.3)


def test_a_small_image_loses_nothing_by_the_fusion(crop: torch.Tensor) -> None:
    y, operator = degrade(crop, Degradation("sr", scale=2))
    config = dataclasses.replace(
        preset("fast", "sr"), precision="fp32", regulariser=Component("auto", {"finetuning": {"steps": 0}})
    )
    fused, local, alone = (
        restore(y, operator, sigma=0.0, config=config, max_steps=60, **how)
        for how in ({}, {"regulariser": "none"}, {"generator": "pixels", "regulariser": "denoiser"})
    )
    assert fused.fusion is not None and fused.fusion.kind == "few"
    best = max(psnr(each.image, crop) for each in (local, alone))
    assert psnr(fused.image, crop) > best - 0.1
    assert psnr(fused.image, crop) > psnr(operator.initial_estimate(y), crop) + 0.3


@pytest.mark.parametrize("sigma", [0.0, 1 / 255])
def test_without_noise_a_few_measurements_stop_no_network_early(crop: torch.Tensor, sigma: float) -> None:
    """Of 64 x 64 with 95 % missing, some twenty pixels validate: their least error is at an early step by chance."""
    y, mask = degrade(crop, Degradation("inpaint", missing=0.95))
    solver = dataclasses.replace(CONFIG.solver, max_steps=60)
    result = fused(Problem.make(y, mask, Gaussian(sigma)), "shipped", dataclasses.replace(CONFIG, solver=solver))
    assert min(range(60), key=lambda i: result.trace[i].score) + 1 < 60
    assert result.step == 60


@pytest.mark.parametrize("stage", ["finetuning", "local"])
def test_ctrl_c_leaves_the_denoisers_image_while_it_is_the_better_one(
    crop: torch.Tensor, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    y, _ = degrade(crop, Degradation("denoise", sigma=SIGMA))
    arguments = {"sigma": SIGMA, "config": CONFIG, "max_steps": 60, "regulariser": "auto"}
    best, whole = fusion_solver.better_of, restore(y, **arguments)

    def press(step: Step) -> None:
        if step.number == 49:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hybridprior._internal.interrupt.FORCE_AFTER", 60.0)
    with monkeypatch.context() as patched:  # a second time while the image is made, which loses nothing
        patched.setattr(
            fusion_solver, "better_of", lambda *found: (signal.raise_signal(signal.SIGINT), best(*found))[1]
        )
        if stage == "finetuning":
            patched.setitem(finetuning.OBJECTIVES, "denoising", _pressed(5))
        part = restore(y, callbacks=[press], **arguments)
    assert part.status is Status.INTERRUPTED and len(part.trace) == (0 if stage == "finetuning" else 49)
    shipped = load_denoiser("shipped")
    shipped.precision = "fp32"
    alone = shipped.denoise(y, SIGMA)
    assert psnr(part.image, crop) > psnr(alone, crop) - 0.3
    if stage == "finetuning":
        assert "denoiser alone" in part.message
        torch.testing.assert_close(part.image, alone)
    with monkeypatch.context() as patched:  # and while the resumed run fine-tunes the denoiser
        patched.setitem(finetuning.OBJECTIVES, "denoising", _pressed(3))
        again = restore(y, checkpoint=part.checkpoint, **arguments)
    assert again.status is Status.INTERRUPTED and len(again.trace) == len(part.trace)
    assert again.checkpoint["rule"] == part.checkpoint["rule"]
    assert torch.equal(restore(y, checkpoint=again.checkpoint, **arguments).image, whole.image)


def _pressed(number: int) -> tuple:
    """Return the objectives, with Ctrl-C at a step of the first."""
    (first, *others), calls = finetuning.OBJECTIVES["denoising"], []

    def press(*how):
        calls.append(how)
        if len(calls) == number:
            signal.raise_signal(signal.SIGINT)
        return first(*how)

    return press, *others
