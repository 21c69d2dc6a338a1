"""What the tests of recordings share: a small run, and a stand-in for a CUDA graph where there is no GPU."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from hybridprior import Gaussian, Mask, Problem, RestoreConfig, SolverConfig
from hybridprior._internal.device import Precision
from hybridprior.config import Component
from hybridprior.generators import build_generator
from hybridprior.regularisers import build_regulariser
from hybridprior.solvers import Components, GradientSolver
from hybridprior.stopping import build_stopping_rule

SLIM = {"input_depth": 4, "down": (8, 16), "up": (8, 16), "skip": (4, 4)}
GRAPHS = Precision(False, True, "asked for", graphs=True)
PLAIN = dataclasses.replace(GRAPHS, graphs=False)


class Replayed:
    """A recording on the CPU."""

    count = 0

    def __init__(self, work: Callable, device: torch.device, *, warmup: Callable = lambda: None, **shared: Any) -> None:
        Replayed.count += 1
        warmup()
        self.work, self.made = work, work()

    def __call__(self) -> Any:
        with torch.enable_grad():  # as at the recording
            anew = self.work()
        for place, value in zip(_flat(self.made), _flat(anew), strict=True):
            place.data.copy_(value)
        return self.made


def _flat(made: Any) -> list[torch.Tensor]:
    return [one for one in (made if isinstance(made, tuple) else (made,)) if one is not None]


def small_run(
    precision: Precision,
    *,
    reg: str = "none",
    optimiser: str = "adam",
    device: str = "cpu",
    stopping: str = "fixed",
    max_steps: int = 8,
) -> GradientSolver:
    operator = Mask(1 - torch.eye(24)).to(device)
    truth = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(5)).to(device)
    problem = Problem.make(operator(truth), operator, Gaussian(25 / 255))
    config = RestoreConfig(
        generator=Component("skip", SLIM),
        regulariser=Component(reg),
        weight=1.0 if reg != "none" else 0.0,
        solver=SolverConfig(max_steps=max_steps, input_noise_std=0.02, optimiser=optimiser, keep_every=2),
    )
    generator = build_generator("skip", 3, SLIM)
    rule, prior = build_stopping_rule(stopping), build_regulariser(reg, {}, config.weights)
    return GradientSolver(problem, Components(generator, prior, rule), config=config, precision=precision)
