"""Every registered stopping rule keeps the contract."""

import dataclasses

import pytest
import torch

from hybridprior.result import Step
from hybridprior.stopping import STOPPING_RULES, StoppingRule, Verdict, build_stopping_rule

OPTIONS = {
    "fixed": {},
    "variance": {"warm_up": 20, "patience": 60, "alpha": 0.1},
    "heldout": {"patience": 60},
}
PEAK = 150


def test_every_registered_rule_is_tested() -> None:
    assert set(OPTIONS) == set(STOPPING_RULES)


def test_a_step_holds_no_ground_truth() -> None:
    names = {field.name for field in dataclasses.fields(Step)}
    assert names == {"number", "image", "iterate", "energy", "prior", "validation_error", "chosen", "seconds", "tile"}


def _steps(count: int = 400) -> list[Step]:
    """A run whose image settles until step PEAK and then takes up noise faster and faster."""
    rng = torch.Generator().manual_seed(0)
    steps = []
    for number in range(1, count + 1):
        wander = 0.5 * 0.97**number + 0.0002 * max(0, number - PEAK)
        x = torch.full((1, 1, 8, 8), 0.5) + wander * torch.randn(1, 1, 8, 8, generator=rng)
        validation = 0.01 + 1.0 / number + 0.0001 * max(0, number - PEAK)
        steps.append(Step(number, x, x, 1.0, 0.0, validation, 0, 0.1 * number))
    return steps


def _verdicts(rule: StoppingRule, steps: list[Step]) -> list[Verdict]:
    return [rule.update(step) for step in steps]


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_the_first_step_is_the_best_so_far(name: str) -> None:
    verdict = build_stopping_rule(name, OPTIONS[name]).update(_steps(1)[0])
    assert verdict.best
    assert not verdict.stop


@pytest.mark.parametrize("name", sorted(OPTIONS))
@pytest.mark.parametrize("at", [1, 30, 170])
def test_a_saved_rule_goes_on_to_the_same_verdicts(name: str, at: int) -> None:
    steps = _steps(250)
    whole = _verdicts(build_stopping_rule(name, OPTIONS[name]), steps)
    first = build_stopping_rule(name, OPTIONS[name])
    _verdicts(first, steps[:at])
    second = build_stopping_rule(name, OPTIONS[name])
    second.load_state_dict(first.state_dict())
    assert _verdicts(second, steps[at:]) == whole[at:]


@pytest.mark.parametrize("name", ["variance", "heldout"])
def test_the_valley_is_found_and_the_run_stopped(name: str) -> None:
    verdicts = _verdicts(build_stopping_rule(name, OPTIONS[name]), _steps())
    stopped = next(number for number, verdict in enumerate(verdicts, 1) if verdict.stop)
    best = max(number for number, verdict in enumerate(verdicts[:stopped], 1) if verdict.best)
    assert abs(best - PEAK) < 50
    assert stopped - best == 60


def test_the_rule_does_not_follow_the_loss() -> None:
    """E falls all the time while an image overfits; a rule that ranked by it would choose the last step."""
    falling = [dataclasses.replace(step, energy=1 / step.number) for step in _steps()]
    for name in ("variance", "heldout"):
        assert not _verdicts(build_stopping_rule(name, OPTIONS[name]), falling)[-1].best


@pytest.mark.parametrize("alpha", [0.01, 0.5])
def test_the_memory_does_not_depend_on_the_window(alpha: float) -> None:
    rule = build_stopping_rule("variance", {"alpha": alpha})
    _verdicts(rule, _steps(60))
    tensors = [value for value in rule.state_dict().values() if isinstance(value, torch.Tensor)]
    assert sum(tensor.numel() for tensor in tensors) == 64


@pytest.mark.parametrize(("best", "last"), [(40, 140), (800, 800 + 100), (1600, 1600 + 200)])
def test_heldout_waits_longer_the_later_the_best_step_was(best: int, last: int) -> None:
    """A hundred steps, or an eighth of those up to the best."""
    rule = build_stopping_rule("heldout", {})
    x = torch.zeros(1, 1, 2, 2)
    steps = (Step(k, x, x, 1.0, 0.0, 1.0 + abs(k - best) / best, 0, 0.1 * k) for k in range(1, 2000))
    assert next(step.number for step in steps if rule.update(step).stop) == last
