"""The loop: the same bits, also after an interrupt; accidents rolled back; callbacks not counted."""

import dataclasses
import io
import signal
import time

import pytest
import torch

from hybridprior import RestoreConfig, Result, SolverConfig, Status, restore, restore_with_uncertainty
from hybridprior._internal.device import choose_precision
from hybridprior._internal.random import stream
from hybridprior.config import Component
from hybridprior.errors import ConfigError
from hybridprior.evaluation.oracle import Oracle
from hybridprior.generators import Skip, SkipConfig, build_generator
from hybridprior.operators import Downsample, Identity
from hybridprior.problem import Problem
from hybridprior.regularisers import Regulariser, build_regulariser
from hybridprior.result import Step
from hybridprior.solvers import Components, GradientSolver
from hybridprior.stopping import build_stopping_rule

NET = {"down": (8, 8), "up": (8, 8), "skip": (2, 2), "input_depth": 4}
SMALL = RestoreConfig(
    generator=Component("skip", NET), solver=SolverConfig(max_steps=24, keep_every=5), precision="fp32"
)
RULES = [
    Component("fixed"),
    Component("variance", {"warm_up": 4, "patience": 15, "alpha": 0.2}),
    Component("heldout", {"fraction": 0.1, "patience": 15}),
]


@pytest.fixture
def y() -> torch.Tensor:
    return torch.rand(1, 3, 21, 18, generator=torch.Generator().manual_seed(4))


def _same(a: Result, b: Result) -> bool:
    return torch.equal(a.image, b.image) and a.trace == b.trace and a.step == b.step


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seed_gives_the_same_bits(y: torch.Tensor, precision: str) -> None:
    config = dataclasses.replace(SMALL, precision=precision)
    first, again = (restore(y, sigma=0.1, config=config) for _ in range(2))
    assert _same(first, again)
    assert not _same(first, restore(y, sigma=0.1, config=config, seed=1))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("at", [1, 7, 20])
def test_an_interrupted_run_resumes_to_the_same_bits(y: torch.Tensor, rule: Component, at: int) -> None:
    config = dataclasses.replace(SMALL, stopping=rule, regulariser=Component("tv"), weight=0.3)
    whole, handler = restore(y, Downsample(2), sigma=0.1, config=config), signal.getsignal(signal.SIGINT)

    def press_ctrl_c(step: Step) -> None:
        if step.number == at:
            signal.raise_signal(signal.SIGINT)

    part = restore(y, Downsample(2), sigma=0.1, config=config, callbacks=[press_ctrl_c])
    assert part.status is Status.INTERRUPTED
    assert len(part.trace) == at
    assert "resumed" in part.message
    file = io.BytesIO()
    torch.save(part.checkpoint, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert _same(whole, restore(y, Downsample(2), sigma=0.1, config=config, checkpoint=state))
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_state_of_another_image_or_configuration_is_refused(y: torch.Tensor) -> None:
    part = restore(y, config=SMALL, sigma=0.1, callbacks=[lambda step: signal.raise_signal(signal.SIGINT)])
    with pytest.raises(ConfigError, match="another image"):
        restore(y + 0.1, config=SMALL, sigma=0.1, checkpoint=part.checkpoint)
    with pytest.raises(ConfigError, match="another configuration"):
        restore(y, config=SMALL, sigma=0.1, seed=3, checkpoint=part.checkpoint)
    with pytest.raises(ConfigError, match="another sigma"):
        restore(y, config=SMALL, sigma=0.2, checkpoint=part.checkpoint)
    with pytest.raises(ConfigError, match="another operator"):
        restore(y, lambda x: x.flip(-1), config=SMALL, sigma=0.1, checkpoint=part.checkpoint)
    with pytest.raises(ConfigError, match="not the saved state"):
        restore(y, config=SMALL, sigma=0.1, checkpoint={"step": 3})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_ground_truth_changes_nothing(y: torch.Tensor, rule: Component) -> None:
    """With a callback that knows the truth, and another truth, every bit and the chosen step stay the same."""
    config = dataclasses.replace(SMALL, stopping=rule)
    alone = restore(y, sigma=0.1, config=config)
    for truth in (torch.zeros_like(y), torch.ones_like(y)):
        assert _same(alone, restore(y, sigma=0.1, config=config, callbacks=[Oracle(truth, "denoise")]))


def test_the_time_of_callbacks_is_not_counted(y: torch.Tensor) -> None:
    result = restore(y, sigma=0.1, config=SMALL, callbacks=[lambda step: time.sleep(0.2)])
    assert len(result.trace) == 24
    assert result.timings.total < 24 * 0.2


class _Divergence(Skip):
    """A network that breaks once, at a given forward pass."""

    def __init__(self, how: str, at: int) -> None:
        super().__init__(3, SkipConfig(**NET))
        self.how, self.at, self.passes = how, at, 0

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        if self.passes == self.at:
            with torch.no_grad():
                for parameter in self.parameters():
                    parameter.fill_(float("nan")) if self.how == "nan" else parameter.mul_(-50)
        return super().forward(z)


@pytest.mark.parametrize("how", ["nan", "leap"])
def test_an_accident_is_rolled_back(how: str) -> None:
    y = torch.full((1, 3, 21, 18), 0.9)
    config = dataclasses.replace(SMALL, solver=SolverConfig(max_steps=60, keep_every=5, learning_rate=0.02))
    torch.manual_seed(0)
    result = restore(y, sigma=0.05, config=config, generator=_Divergence(how, 47))
    assert torch.isfinite(result.image).all()
    assert result.status is Status.FINISHED
    assert "Rolled back 1 time." in result.message
    assert float((result.image - y).square().mean()) < 0.01
    assert len(result.trace) == 59


def test_an_accident_shortens_the_steps_of_whoever_takes_them(y: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    run = GradientSolver(
        Problem.make(y, Identity(), sigma=0.1),
        Components(build_generator("skip", 3, NET), build_regulariser("none"), build_stopping_rule("fixed")),
        config=SMALL,
        precision=choose_precision(torch.device("cpu"), "fp32"),
    )
    walk = torch.optim.SGD(run.generator.parameters(), lr=1e-5)
    monkeypatch.setattr(run.divergence, "is_divergence", lambda step, energy: step in (2, 3))
    run.continue_from(None, problem=run.problem, max_steps=5, optimiser=walk)
    assert walk.param_groups[0]["lr"] == pytest.approx(1e-5 * 0.9**2)


class _Poison(Regulariser):
    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        return x.sum() * (float("nan") if step > 8 else 0.0)


def test_a_run_that_diverges_ends_with_what_it_had(y: torch.Tensor) -> None:
    result = restore(y, sigma=0.1, config=SMALL, regulariser=_Poison())
    assert result.status is Status.DIVERGED
    assert result.step == 8
    assert torch.isfinite(result.image).all()


class _Remembering(Regulariser):
    """R that draws x to the mean of all images it was shown."""

    has_value = False

    def __init__(self) -> None:
        super().__init__()
        self.shown: torch.Tensor | None = None

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        self.shown = x.detach().clone() if self.shown is None else self.shown.lerp(x.detach(), 0.1)
        return (x - self.shown).square().sum()

    def run_state(self) -> dict:
        return {"shown": None if self.shown is None else self.shown.clone()}

    def load_run_state(self, memory) -> None:
        self.shown = memory["shown"]


def test_what_r_remembers_is_rolled_back_as_well(y: torch.Tensor) -> None:
    """One image that is no number must not stay in R's average."""
    config = dataclasses.replace(SMALL, solver=dataclasses.replace(SMALL.solver, collapse=4.0))
    result = restore(y, config=config, sigma=0.1, generator=_Divergence("nan", 12), regulariser=_Remembering())
    assert result.status is Status.FINISHED
    assert torch.isfinite(result.image).all()
    assert "Rolled back 1 time." in result.message


def test_the_callers_regulariser_is_left_as_it_was(y: torch.Tensor) -> None:
    mine = _Remembering()
    restore(y, config=SMALL, sigma=0.1, regulariser=mine)
    assert mine.shown is None


def test_held_out_measurements_take_no_part(y: torch.Tensor) -> None:
    """Change what is held out: the iterates stay the same to the bit, only the verdicts move."""
    config = dataclasses.replace(
        SMALL, stopping=Component("heldout", {"fraction": 0.2, "min_pixels": 1, "patience": 1000})
    )
    rng = stream(config.seed, "held out")
    validation = torch.randperm(21 * 18, generator=rng)[: round(0.2 * 21 * 18)]
    other = y.flatten(2).clone()
    other[..., validation] = 0.123
    iterates: list[list[torch.Tensor]] = [[], []]
    for measured, train in zip((y, other.reshape(y.shape)), iterates, strict=True):
        restore(measured, sigma=0.1, config=config, callbacks=[lambda s, train=train: train.append(s.iterate.clone())])
    assert all(torch.equal(a, b) for a, b in zip(*iterates, strict=True))
    result = restore(y, sigma=0.1, config=config)
    assert result.held_out == pytest.approx(0.2, abs=0.01)
    assert "20 % of the measurements" in result.message


def test_z_is_not_the_stream_of_the_same_seed() -> None:
    """Noise drawn from a generator with the run's own seed must not be written in the network's input."""
    for purpose in ("theta", "z", "input_noise_std", "held out"):
        ours = torch.rand(4096, generator=stream(0, purpose))
        theirs = torch.rand(4096, generator=torch.Generator().manual_seed(0))
        assert not torch.equal(ours, theirs)
        assert abs(float(torch.corrcoef(torch.stack([ours, theirs]))[0, 1])) < 0.06


def test_more_weight_on_tv_gives_a_flatter_image(y: torch.Tensor) -> None:
    from hybridprior.regularisers import total_variation

    weights = (0.0, 1.0, 30.0)
    values = [
        float(
            total_variation(restore(y, sigma=0.1, config=SMALL, generator="pixels", regulariser="tv", weight=w).image)
        )
        for w in weights
    ]
    assert values[0] > values[1] > values[2]


def test_a_state_of_other_noise_is_refused(y: torch.Tensor) -> None:
    def press(step: Step) -> None:
        if step.number == 5:
            signal.raise_signal(signal.SIGINT)

    first = restore(y, sigma=0.1, config=SMALL, callbacks=[press])
    assert first.checkpoint is not None
    with pytest.raises(ConfigError, match="another noise"):
        restore(y, sigma=0.1, fidelity="huber", config=SMALL, checkpoint=first.checkpoint)


def test_a_run_without_a_good_step_did_not_finish(y: torch.Tensor) -> None:
    class Blind(Regulariser):
        def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
            return x.sum() * float("nan")

    config = dataclasses.replace(SMALL, solver=dataclasses.replace(SMALL.solver, max_steps=2))
    result = restore(y, sigma=0.1, config=config, regulariser=Blind())
    assert result.status is Status.DIVERGED and "No step was good" in result.message


@pytest.mark.parametrize("given", [print, [3], None])
def test_callbacks_are_several(y: torch.Tensor, given: object) -> None:
    with pytest.raises(ConfigError, match="is a list of functions"):
        restore(y, sigma=0.1, config=SMALL, callbacks=given)
    with pytest.raises(ConfigError, match="is a list of functions"):
        restore_with_uncertainty(y, sigma=0.1, config=SMALL, callbacks=given)
