"""Futility stopping: a network that cannot improve the fused image is stopped, and no other."""

import pytest
import torch
from fusing import CONFIG, SIGMA, recorrupted, windows

from hybridprior import restore
from hybridprior.fusion import FutilityConfig, fit_stacking_weights
from hybridprior.fusion import solver as fusion_solver
from hybridprior.fusion.futility import FutilityStopping
from hybridprior.result import Step


def _stopped_at(truth: torch.Tensor, baseline: float, errors: list[float]) -> int:
    """Return the step at which a network is stopped, for the errors of the denoiser and of the network's steps."""
    _, validation = recorrupted(truth)  # whose patience never ends, since the validation error always falls
    noise = torch.randn(2, *truth.shape[1:], generator=torch.Generator().manual_seed(5))
    rule = FutilityStopping(truth + baseline * noise[:1], validation, sigma=SIGMA)
    for number, error in enumerate(errors, 1):
        image = truth + error * noise[1:]
        if rule.update(Step(number, image, image, 0.0, 0.0, 1 / number, 0, 0.0)).stop:
            return number
    return 0


def test_a_network_that_has_converged_far_from_the_baseline_is_stopped(crop: torch.Tensor) -> None:
    assert _stopped_at(crop, 0.02, [0.1] * 400) == FutilityConfig.min_steps


def test_a_network_that_still_comes_nearer_goes_on(crop: torch.Tensor) -> None:
    nearer = [0.3 * 0.85 ** (number / 50) for number in range(400)]
    assert _stopped_at(crop, 0.02, nearer) == 0


def test_a_network_with_a_weight_goes_on(crop: torch.Tensor) -> None:
    assert _stopped_at(crop, 0.03, [0.035] * 400) == 0


def test_steps_that_were_rolled_back_have_no_check(crop: torch.Tensor) -> None:
    _, validation = recorrupted(crop)
    rule = FutilityStopping(crop, validation, sigma=SIGMA)
    steps = [Step(n, crop + 0.1, crop, 0.0, 0.0, 1 / n, 0, 0.0) for n in range(150, 301)]  # no checks before
    assert next(step.number for step in steps if rule.update(step).stop) == 250


def test_the_state_is_restored(crop: torch.Tensor) -> None:
    _, validation = recorrupted(crop)
    whole, halves = (
        FutilityStopping(crop, validation, sigma=SIGMA),
        [FutilityStopping(crop, validation, sigma=SIGMA) for _ in range(2)],
    )
    steps = [Step(n, crop + 0.1, crop, 0.0, 0.0, 1.0 / min(n, 150), 0, 0.0) for n in range(1, 260)]
    verdicts = [whole.update(step) for step in steps]
    assert [halves[0].update(step) for step in steps[:120]] == verdicts[:120]
    halves[1].load_state_dict(halves[0].state_dict())
    assert [halves[1].update(step) for step in steps[120:]] == verdicts[120:]
    assert any(verdict.stop for verdict in verdicts)


def test_the_baseline_is_the_fine_tuned_denoiser(monkeypatch: pytest.MonkeyPatch) -> None:
    baselines, images = [], []
    monkeypatch.setattr(
        fusion_solver,
        "FutilityStopping",
        lambda baseline, *a, **k: baselines.append(baseline) or FutilityStopping(baseline, *a, **k),
    )
    monkeypatch.setattr(
        fusion_solver,
        "fit_stacking_weights",
        lambda found, *a, **k: images.append(found) or fit_stacking_weights(found, *a, **k),
    )
    y = windows() + SIGMA * torch.randn(windows().shape, generator=torch.Generator().manual_seed(0))
    restore(y, sigma=SIGMA, config=CONFIG, max_steps=10, regulariser="auto")
    assert torch.equal(baselines[0], images[0]["finetuned"])
    assert not torch.equal(baselines[0], images[0]["global"])
