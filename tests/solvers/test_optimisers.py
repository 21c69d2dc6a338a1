"""Muon: near-orthogonal steps of Adam's size, for the matrices only; the same bits after an interrupt; a faster fit."""

import dataclasses
import io
import signal

import pytest
import torch

from hybridprior import Mask, RestoreConfig, SolverConfig, Status, preset, restore
from hybridprior._internal.device import choose_precision
from hybridprior._internal.random import stream
from hybridprior.config import Component
from hybridprior.errors import ConfigError
from hybridprior.metrics import psnr
from hybridprior.result import Step
from hybridprior.solvers.optimisers import ADAMS_SIZE, OPTIMISERS, Muon, orthogonal

NET = {"down": (16, 16), "up": (16, 16), "skip": (2, 2), "input_depth": 4}
SMALL = RestoreConfig(
    generator=Component("skip", NET),
    solver=SolverConfig(max_steps=24, keep_every=5, optimiser="muon"),
    precision="fp32",
)
FP32 = choose_precision(torch.device("cpu"), "fp32")


@pytest.fixture
def y() -> torch.Tensor:
    return torch.rand(1, 3, 21, 18, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (24, 24)])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_every_direction_counts_the_same(shape: tuple[int, int], kind: torch.dtype) -> None:
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=stream(0, "matrix")), full_matrices=False)
    values = torch.logspace(0, -1.5, min(shape))
    found = orthogonal((u @ torch.diag(values) @ v)[None], kind)[0]
    inner = u.T @ found @ v.T
    assert inner.diagonal().min() > 0.5 and inner.diagonal().max() < 1.3
    assert (inner - torch.diag(inner.diagonal())).abs().max() < (1e-3 if kind is torch.float32 else 0.02)


def test_a_matrix_of_low_rank_stays_bounded() -> None:
    rank = torch.randn(4, 64, 2, generator=stream(0, "u")) @ torch.randn(4, 2, 576, generator=stream(0, "v"))
    found = orthogonal(rank + 1e-7 * torch.randn(rank.shape, generator=stream(0, "n")), torch.bfloat16)
    assert (
        torch.linalg.svdvals(found).max() < 1.5
    )  # 1.2 but for bf16's rounding, which differs from processor to processor


def test_matrices_take_muons_step_and_the_rest_adams() -> None:
    weight, bias, thin = (torch.nn.Parameter(torch.zeros(s)) for s in ((32, 16, 3, 3), (32,), (4, 64, 1, 1)))
    muon, adam = Muon([weight, bias, thin], SolverConfig(), FP32), OPTIMISERS["adam"]
    others = [torch.nn.Parameter(torch.zeros_like(p)) for p in (bias, thin)]
    plain = adam(others, SolverConfig(), FP32)
    for p, other in zip((bias, thin), others, strict=True):
        p.grad = torch.randn(p.shape, generator=stream(1, "gradient"))
        other.grad = p.grad.clone()
    weight.grad = torch.randn(weight.shape, generator=stream(2, "gradient"))
    muon.step()
    plain.step()
    assert torch.equal(bias, others[0]) and torch.equal(thin, others[1])
    size = float(weight.detach().square().mean().sqrt())
    # A matrix of m rows with singular values of about 1 has the mean square 1 / max(m, n).
    assert size == pytest.approx(0.01 * ADAMS_SIZE, rel=0.2)


def test_a_vanishing_gradient_changes_nothing() -> None:
    weight = torch.nn.Parameter(torch.ones(32, 32))
    muon = Muon([weight], SolverConfig(), FP32)
    weight.grad = torch.zeros(32, 32)
    muon.step()
    assert torch.equal(weight, torch.ones(32, 32))


@pytest.mark.parametrize("at", [1, 7, 20])
def test_an_interrupted_run_resumes_to_the_same_bits(y: torch.Tensor, at: int) -> None:
    whole = restore(y, sigma=0.1, config=SMALL)

    def press_ctrl_c(step: Step) -> None:
        if step.number == at:
            signal.raise_signal(signal.SIGINT)

    part = restore(y, sigma=0.1, config=SMALL, callbacks=[press_ctrl_c])
    assert part.status is Status.INTERRUPTED
    saved = io.BytesIO()
    torch.save(part.checkpoint, saved)
    state = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
    again = restore(y, sigma=0.1, config=SMALL, checkpoint=state)
    assert torch.equal(whole.image, again.image) and whole.trace == again.trace


def test_the_shipped_presets_inpaint_better_by_muon_than_by_adam(crop: torch.Tensor) -> None:
    known = (torch.rand(1, 1, 64, 64, generator=stream(5, "mask")) < 0.5).float()
    found = {}
    for name in ("adam", "muon"):
        config = preset("balanced", "inpaint")
        config = dataclasses.replace(config, solver=dataclasses.replace(config.solver, optimiser=name, max_steps=100))
        result = restore(crop * known, Mask(known), sigma=0.0, config=config, stopping="fixed")
        found[name] = psnr(result.image, crop)
    assert found["muon"] > found["adam"] + 0.5
    assert found["muon"] > 20


def test_an_unknown_optimiser_is_named(y: torch.Tensor) -> None:
    config = dataclasses.replace(SMALL, solver=SolverConfig(max_steps=2, optimiser="moun"))
    with pytest.raises(ConfigError, match="muon"):
        restore(y, sigma=0.1, config=config)


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_a_saved_state_is_carried_out_as_this_machine_does(name: str) -> None:
    """A state of another machine, or of a run without graphs, says how it was carried out there."""
    theirs, ours = (
        OPTIMISERS[name]([torch.nn.Parameter(torch.ones(32, 16, 3, 3))], SolverConfig(), FP32) for _ in "ab"
    )
    ours.param_groups[0]["capturable"] = True  # as on a GPU
    theirs.param_groups[0].update(lr=0.003)
    theirs.param_groups[0]["params"][0].grad = torch.ones(32, 16, 3, 3)
    theirs.step()
    ours.load_state_dict(theirs.state_dict())
    assert ours.param_groups[0]["capturable"] is True and ours.param_groups[0]["lr"] == 0.003
    assert len(ours.state) == 1
