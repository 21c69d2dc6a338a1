"""A step asked for in four recordings is the step: the same images, figures and memory."""

import random
import threading
from typing import Any

import pytest
import torch
from recordings import GRAPHS, PLAIN, Replayed, small_run

from hybridprior import Mask
from hybridprior.fidelities import Laplace
from hybridprior.result import Status
from hybridprior.solvers.graphed_step import GraphedStep, graphed_step_of


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.Recording", Replayed)
    monkeypatch.setattr(Replayed, "count", 0)
    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.REFUSED", threading.Event())


def _flat(state: Any) -> list[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    return [tensor for value in values for tensor in _flat(value)]


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_the_rule_sees_the_same(optimiser: str) -> None:
    plain, uses_graphed_steps = (
        small_run(p, optimiser=optimiser, stopping="heldout", max_steps=12) for p in (PLAIN, GRAPHS)
    )
    a, b = plain.run(), uses_graphed_steps.run()
    assert isinstance(uses_graphed_steps.graphed_step, GraphedStep) and Replayed.count == 4
    assert [p.score for p in a.trace] == pytest.approx([p.score for p in b.trace], rel=1e-4)
    assert len({p.score for p in b.trace}) == 12
    assert a.step == b.step > 1
    assert torch.allclose(a.image, b.image, atol=1e-4)


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
@pytest.mark.parametrize("before", [0, 3])
def test_rehearsals_leave_no_trace(optimiser: str, before: int) -> None:
    run = small_run(GRAPHS, optimiser=optimiser)
    for _ in range(before):
        run._advance()
    was = run._theta()
    GraphedStep(run.f_theta, run.problem, run.validation, run.optimiser, run.average)
    for a, b in zip(_flat(was["theta"]), _flat(run._theta()["theta"]), strict=True):
        assert torch.equal(a, b)
    memory = _flat(run._theta()["adam"])
    assert memory
    if before:
        assert all(torch.equal(a, b) for a, b in zip(_flat(was["adam"]), memory, strict=True))
    else:
        assert not any(tensor.any() for tensor in memory)


def test_it_goes_on_from_a_saved_state() -> None:
    whole, first, second = (small_run(GRAPHS, stopping="heldout", max_steps=9) for _ in range(3))
    end = whole.run()
    for _ in range(4):
        first._advance()
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.run().image, end.image)


def test_another_state_is_taken_over_in_the_middle_of_a_run() -> None:
    runs = [small_run(GRAPHS, stopping="heldout", max_steps=9) for _ in range(3)]
    for run, steps in zip(runs, (4, 6, 4), strict=True):
        for _ in range(steps):
            run._advance()
    ahead = runs[1]
    assert ahead.graphed_step is not None
    ahead.load_state_dict(runs[0].state_dict())
    assert ahead.graphed_step is None
    assert torch.equal(ahead.run().image, runs[2].run().image)
    assert torch.equal(ahead.average, runs[2].average)


@pytest.mark.parametrize("at", [4, 5])
def test_what_is_kept_was_seen_to_be_good(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimiser breaks theta in one step, of which only the next one's E tells; every second state is kept."""
    run, step = small_run(GRAPHS, max_steps=12), torch.optim.Adam.step
    while run.step < at - 1:
        run._advance()

    def breaking(self: torch.optim.Adam, closure: Any = None) -> None:
        step(self, closure)
        with torch.no_grad():
            self.param_groups[0]["params"][-1].fill_(float("nan"))

    monkeypatch.setattr(torch.optim.Adam, "step", breaking)
    run._advance()
    monkeypatch.setattr(torch.optim.Adam, "step", step)
    run.run()
    assert run.divergence.divergences == 1
    assert torch.isfinite(run.average).all()


@pytest.mark.parametrize("at", [2, 6])
def test_an_accident_is_rolled_back(at: int, caplog: pytest.LogCaptureFixture) -> None:
    """Before a state was kept (every second step), and after."""
    run, steps, starts = small_run(GRAPHS, max_steps=12), [], []
    while run.step < 10:
        starts.append([p.detach().clone() for p in run.generator.parameters()])
        if run.step == at - 1:
            with torch.no_grad():
                run.generator.output.bias.fill_(float("nan"))
        steps.append(run._advance()[0])
    assert [step is None for step in steps] == [number == at for number in range(1, 11)]
    # Step 2 is none to keep where it is the accident; where step 6 is, theta goes back to where step 4 began.
    assert all(torch.equal(a, b) for a, b in zip(starts[at], starts[{2: 0, 6: 3}[at]], strict=True))
    assert caplog.text.count("rolled back") == 1
    assert all(torch.isfinite(step.image).all() for step in steps[at:])
    assert run.average is not None and torch.isfinite(run.average).all()
    assert steps[-1].energy < steps[0].energy


def test_a_image_is_not_changed_by_what_comes_after() -> None:
    run = small_run(GRAPHS)
    first = run._advance()[0]
    iterate = first.iterate.clone()
    best = run.best.clone()
    run._advance()
    assert torch.equal(first.iterate, iterate)
    assert not torch.equal(run.best, best)  # `fixed` takes every step for better
    assert run.run().status is Status.FINISHED


def test_what_may_not_be_recorded_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with_r = small_run(GRAPHS, reg="tv")
    with_r.run()
    monkeypatch.setattr(Mask, "capturable", False)
    somebodys = small_run(GRAPHS)
    somebodys.run()
    monkeypatch.undo()
    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.Recording", Replayed)
    heavy_tailed = small_run(GRAPHS)
    object.__setattr__(heavy_tailed.problem, "fidelity", Laplace(0.1))
    heavy_tailed.run()
    assert not any(run.graphed_step for run in (with_r, somebodys, heavy_tailed))


def test_other_measurements_and_another_rate_are_recorded_anew() -> None:
    run = small_run(GRAPHS, max_steps=3)
    run.run()
    other, _ = run.problem.hold_out(0.2, seed=3)
    run.continue_from(None, problem=other, max_steps=2)
    assert run.graphed_step is None
    run._advance()
    assert run.graphed_step.problem is other


def test_who_overrides_forward_has_to_say_so_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drifting(Mask):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * random.random()

    class Renamed(Mask):
        task = "denoise"

    runs = []
    for kind in (Drifting, Renamed):
        run = small_run(GRAPHS)
        object.__setattr__(run.problem, "operator", kind(run.problem.operator.known))
        run._advance()
        runs.append(run.graphed_step)
    assert runs[0] is None and runs[1] is not None


def test_a_rehearsal_before_a_failure_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(GRAPHS)
    for _ in range(3):
        run._advance()
    was, run.graphed_step = run._theta(), None

    class Failing(Replayed):
        def __init__(self, work: Any, *arguments: Any, **named: Any) -> None:
            super().__init__(work, *arguments, **named)
            if work.__name__ == "_update":
                raise RuntimeError("out of memory")

    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.Recording", Failing)
    assert graphed_step_of(run) is None
    assert all(torch.equal(a, b) for a, b in zip(_flat(was), _flat(run._theta()), strict=True))


def test_what_cannot_be_recorded_is_done_kernel_by_kernel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, plain = small_run(GRAPHS), small_run(PLAIN)

    def refuse(*arguments: Any, **named: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.Recording", refuse)
    assert torch.allclose(run.run().image, plain.run().image, atol=1e-4)
    assert run.graphed_step is None and caplog.text.count("not recorded") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_on_a_gpu_it_is_the_step_kernel_by_kernel(optimiser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    named = {"optimiser": optimiser, "stopping": "heldout", "max_steps": 4, "device": "cuda"}
    plain, uses_graphed_steps = (small_run(precision, **named) for precision in (PLAIN, GRAPHS))
    a, b = plain.run(), uses_graphed_steps.run()
    assert isinstance(uses_graphed_steps.graphed_step, GraphedStep)
    assert [p.score for p in a.trace] == pytest.approx([p.score for p in b.trace], rel=0.02)
    assert float((a.image - b.image).norm() / a.image.norm()) < 0.05
