"""The race: a network that can no longer come near the denoiser is stopped, and no other."""

import pytest
import torch
from fusing import CONFIG, SIGMA, judged, windows

from hybridprior import restore
from hybridprior.fusion import solver as fusion_solver
from hybridprior.fusion import weigh
from hybridprior.fusion.futility import FEWEST, Race
from hybridprior.result import Step


def _raced(truth: torch.Tensor, rival: float, errors: list[float]) -> int:
    """Return the step at which the race ends, a denoiser and a network's steps being as far off as is said."""
    _, held = judged(truth)  # whose patience never ends, with a held error that always falls
    noise = torch.randn(2, *truth.shape[1:], generator=torch.Generator().manual_seed(5))
    race = Race(truth + rival * noise[:1], held, sigma=SIGMA)
    for number, error in enumerate(errors, 1):
        image = truth + error * noise[1:]
        if race.judge(Step(number, image, image, 0.0, 0.0, 1 / number, 0, 0.0)).stop:
            return number
    return 0


def test_a_network_that_has_arrived_far_off_is_out_of_the_race(crop: torch.Tensor) -> None:
    assert _raced(crop, 0.02, [0.1] * 400) == FEWEST


def test_a_network_that_still_comes_nearer_stays_in_the_race(crop: torch.Tensor) -> None:
    nearer = [0.3 * 0.85 ** (number / 50) for number in range(400)]
    assert _raced(crop, 0.02, nearer) == 0


def test_a_network_that_is_believed_stays_in_the_race(crop: torch.Tensor) -> None:
    assert _raced(crop, 0.03, [0.035] * 400) == 0


def test_a_race_waits_where_steps_were_taken_back(crop: torch.Tensor) -> None:
    _, held = judged(crop)
    race = Race(crop, held, sigma=SIGMA)
    steps = [Step(n, crop + 0.1, crop, 0.0, 0.0, 1 / n, 0, 0.0) for n in range(150, 301)]  # nothing before was judged
    assert next(step.number for step in steps if race.judge(step).stop) == 250


def test_a_race_goes_on_as_it_was(crop: torch.Tensor) -> None:
    _, held = judged(crop)
    whole, halves = Race(crop, held, sigma=SIGMA), [Race(crop, held, sigma=SIGMA) for _ in range(2)]
    steps = [Step(n, crop + 0.1, crop, 0.0, 0.0, 1.0 / min(n, 150), 0, 0.0) for n in range(1, 260)]
    verdicts = [whole.judge(step) for step in steps]
    assert [halves[0].judge(step) for step in steps[:120]] == verdicts[:120]
    halves[1].load_state_dict(halves[0].state_dict())
    assert [halves[1].judge(step) for step in steps[120:]] == verdicts[120:]
    assert any(verdict.stop for verdict in verdicts)


def test_the_rival_in_the_race_is_the_tuned_denoiser(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals, images = [], []
    monkeypatch.setattr(fusion_solver, "Race", lambda rival, *a, **k: rivals.append(rival) or Race(rival, *a, **k))
    monkeypatch.setattr(fusion_solver, "weigh", lambda found, *a, **k: images.append(found) or weigh(found, *a, **k))
    y = windows() + SIGMA * torch.randn(windows().shape, generator=torch.Generator().manual_seed(0))
    restore(y, sigma=SIGMA, config=CONFIG, max_steps=10, regulariser="auto")
    assert torch.equal(rivals[0], images[0]["tuned"])
    assert not torch.equal(rivals[0], images[0]["global"])
