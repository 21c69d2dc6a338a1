"""A recorded network is the network: the same x and the same gradients as kernel by kernel.

Where there is no GPU the recording is played by a stand-in that does the work anew and keeps the results in place, as
a CUDA graph does.
"""

import dataclasses
import threading
from typing import Any

import pytest
import torch
from recordings import GRAPHS, PLAIN, Replayed, small_run

from hybridprior._internal.device import choose_precision
from hybridprior.generators.skip import Skip, SkipConfig
from hybridprior.operators import Mask
from hybridprior.result import Status
from hybridprior.solvers.cuda_graphs import GraphedGenerator, recordable


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.Recording", Replayed)
    monkeypatch.setattr(Replayed, "count", 0)
    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.REFUSED", threading.Event())


@pytest.mark.parametrize("reg", ["none", "tv"])
@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_a_run_with_a_recorded_network_is_the_run(reg: str, optimiser: str) -> None:
    plain, recorded = (small_run(precision, reg=reg, optimiser=optimiser) for precision in (PLAIN, GRAPHS))
    a, b = plain.run(), recorded.run()
    assert isinstance(recorded.f_theta, GraphedGenerator) and Replayed.count == (4 if reg == "none" else 2)
    assert torch.allclose(a.image, b.image, atol=1e-4)
    assert [p.energy for p in a.trace] == pytest.approx([p.energy for p in b.trace], rel=1e-3)
    assert [p.prior for p in a.trace] == pytest.approx([p.prior for p in b.trace], rel=1e-3)
    assert a.trace[-1].energy < a.trace[0].energy


def test_what_is_recorded_outlives_other_measurements_and_a_state() -> None:
    ends = []
    for precision in (GRAPHS, PLAIN):
        run = small_run(precision)
        run.run()
        start = run._theta()
        other, _ = run.problem.hold_out(0.2, seed=3)
        run.continue_from(None, problem=other, max_steps=3)
        image, _ = run.continue_from(start, problem=other, max_steps=3)
        ends.append(image)
    assert Replayed.count == 4
    assert torch.allclose(*ends, atol=1e-4)


def test_an_iterate_is_not_overwritten_by_the_next() -> None:
    """A graph writes into the same memory every time; who keeps an iterate must not see it change."""
    seen, train = [], []
    small_run(GRAPHS).run([lambda step: (seen.append(step.iterate), train.append(step.iterate.clone()))])
    assert all(torch.equal(a, b) for a, b in zip(seen, train, strict=True))
    assert not torch.equal(seen[0], seen[-1])


def test_an_accident_is_rolled_back(caplog: pytest.LogCaptureFixture) -> None:
    run = small_run(GRAPHS)
    run.run()
    train = {name: value.clone() for name, value in run.last_good_state["theta"].items()}
    with torch.no_grad():
        run.generator.output.bias.fill_(float("nan"))
    run.state.step += 1
    assert run._descend()[0] is None
    assert "rolled back" in caplog.text
    assert all(torch.equal(train[name], value) for name, value in run.generator.state_dict().items())
    x, energy, _ = run._descend()
    assert x is not None and torch.isfinite(x).all() and energy < 10


def test_gradients_are_laid_out_as_theta_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order the library that made them has chosen; the values are the same."""
    plain, grad = small_run(PLAIN), torch.autograd.grad

    def contiguous(*arguments: Any, **named: Any) -> tuple[torch.Tensor, ...]:
        return tuple(g.contiguous() for g in grad(*arguments, **named))

    monkeypatch.setattr("torch.autograd.grad", contiguous)
    run = small_run(GRAPHS)
    run.f_theta(run.z).sum().backward()
    assert all(p.grad.stride() == p.stride() for p in run.generator.parameters())
    assert any(not p.is_contiguous() for p in run.generator.parameters())
    plain.f_theta(plain.z).sum().backward()
    for p, q in zip(run.generator.parameters(), plain.generator.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-3, atol=1e-3)


def test_only_the_last_image_has_a_gradient() -> None:
    run = small_run(GRAPHS)
    first, last = run.f_theta(run.z), run.f_theta(run.z)
    with pytest.raises(RuntimeError, match="evaluated again"):
        first.sum().backward()
    last.sum().backward()
    assert all(p.grad is not None for p in run.generator.parameters())


def test_a_generator_that_does_not_say_so_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridprior.generators.skip.Skip.capturable", False)
    assert torch.equal(small_run(GRAPHS).run().image, small_run(PLAIN).run().image)
    assert Replayed.count == 0


def test_who_overrides_forward_says_anew_that_it_can_be_recorded() -> None:
    class Own(Skip):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return super().forward(z) * float(z.mean() > 0)

    class Renamed(Skip):
        pass

    class Wrapped(Mask):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).clamp(max=float(x.max()))

    known = torch.ones(1, 1, 4, 4)
    parts = (Skip(3, SkipConfig()), Renamed(3, SkipConfig()), Own(3, SkipConfig()), Mask(known), Wrapped(known))
    assert [recordable(part) for part in parts] == [True, True, False, True, False]


def test_what_cannot_be_recorded_is_done_kernel_by_kernel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.Recording", refuse)
    run = small_run(GRAPHS)
    assert torch.equal(run.run().image, small_run(PLAIN).run().image)
    assert run._result(Status.FINISHED).precision == "fp32 channels_last (asked for)"
    monkeypatch.setattr("hybridprior.solvers.cuda_graphs.Recording", Replayed)
    small_run(GRAPHS)
    assert Replayed.count == 0  # what a broken recording leaves behind may break the next
    assert caplog.text.count("not recorded") == 1


def test_the_reference_is_never_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (9, 0))
    gpu = torch.device("cuda")
    wanted = {name: choose_precision(gpu, name).graphs for name in ("auto", "fp32", "bf16", "contiguous")}
    assert wanted == {"auto": True, "fp32": True, "bf16": True, "contiguous": False}
    assert not choose_precision(torch.device("cpu"), "auto").graphs
    assert str(choose_precision(gpu)) == "bf16 channels_last, CUDA graphs (the GPU has bf16 matrix units)"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("bf16", [False, True])
def test_on_a_gpu_it_is_the_kernels_one_by_one(bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    recorded, plain = (small_run(dataclasses.replace(p, bf16=bf16), device="cuda") for p in (GRAPHS, PLAIN))
    assert isinstance(recorded.f_theta, GraphedGenerator)
    weight, ends = torch.randn(1, 3, 24, 24, device="cuda"), []
    for run in (recorded, plain):
        x = run.f_theta(run.z)
        (x[..., :24, :24] * weight).sum().backward()
        theta = [p.grad.flatten() for p in run.generator.parameters() if p.ndim > 1]  # biases before a norm have none
        ends.append((x.detach(), torch.cat(theta)))
    for a, b in zip(*ends, strict=True):
        assert float((a - b).norm() / b.norm()) < (0.05 if bf16 else 5e-3)
