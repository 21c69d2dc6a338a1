"""The one loop: min over theta of E(A f_theta(z); y) + lambda R(f_theta(z)), for any choice of parts.

Each step adds fresh noise to z ("jitter"), takes a step of Adam or Muon, and averages the iterates exponentially, as
the published Deep Image Prior does (Ulyanov et al., IJCV 2020, section "Technical details"). The objective is divided
by the number of measurements, so that figures of different images compare. A step that is not finite, or whose E
leaps up, is rolled back.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hybridprior._internal.device import Precision, synchronise
from hybridprior._internal.interrupt import interruptible
from hybridprior._internal.random import stream
from hybridprior.config import RestoreConfig, SolverConfig
from hybridprior.problem import Problem
from hybridprior.regularisers.base import Regulariser
from hybridprior.result import Result, Status, Step, Timings, TracePoint
from hybridprior.solvers.base import SOLVERS, Callback, as_callbacks
from hybridprior.solvers.checkpoint import CheckpointedRun
from hybridprior.solvers.components import Components
from hybridprior.solvers.cuda_graphs import GraphedGenerator, evaluated
from hybridprior.solvers.divergence import DivergenceMonitor
from hybridprior.solvers.graphed_step import GraphedStep, graphed_step_of
from hybridprior.solvers.input_noise import InputNoise
from hybridprior.solvers.optimisers import OPTIMISERS

__all__ = ["Callback", "GradientSolver", "as_callbacks"]

BEST_EVERY = 10
"""Steps between the states that are kept as the best."""


@SOLVERS.register("gradient")
class GradientSolver(CheckpointedRun):
    """One run of the loop, from its first step or from a saved state."""

    Config: type = SolverConfig

    uses_graphed_steps = True
    """Whether whole steps may be recorded for a GPU."""

    def __init__(
        self,
        problem: Problem,
        components: Components,
        *,
        config: RestoreConfig,
        precision: Precision,
        started: float | None = None,
        validation: Problem | None = None,
        keep_best: bool = False,
    ) -> None:
        """Put the parts on the problem's device and draw z.

        Args:
            problem: What to solve.
            components: f_theta, R and the stopping rule, which belong to this run.
            config: lambda, the loop's numbers and the seed.
            precision: The generator's arithmetic.
            started: `time.perf_counter()` when the set-up began; now if not given.
            validation: Other measurements for the rule, in place of some that are held out.
            keep_best: Whether the state at the best step is kept, to continue from it.
        """
        started = time.perf_counter() if started is None else started
        generator, regulariser, stopping = components.generator, components.regulariser, components.stopping
        device = problem.y.device
        layout = torch.channels_last if precision.channels_last else torch.contiguous_format
        self.problem, self.validation = problem, validation
        share = stopping.validation_fraction(problem.pixels) if validation is None else 0.0
        if share:
            self.problem, self.validation = problem.hold_out(share, config.seed)
        self.validation_share = 0.0 if self.validation is None else self.problem.share(self.validation)
        self.regulariser, self.stopping = regulariser.to(device), stopping
        regulariser.prepare(self.problem, steps=config.solver.max_steps, seed=config.seed, precision=config.precision)
        self.config, self.identity = config, components.identity
        shape = generator.padded(problem.shape)
        z = generator.input(shape, stream(config.seed, "z")).to(device)
        self.generator = generator.to(device).to(memory_format=layout)
        self.z = z.to(memory_format=layout) if z.ndim == 4 else z
        self.f_theta = evaluated(self.generator, self.z, precision)
        self.precision = dataclasses.replace(precision, graphs=isinstance(self.f_theta, GraphedGenerator))
        self.input_noise = InputNoise(
            self.z, config.solver.input_noise_std if generator.uses_input_noise else 0.0, seed=config.seed
        )
        theta = list(generator.parameters())
        self.optimiser = OPTIMISERS.find(config.solver.optimiser)(theta, config.solver, precision)
        self.divergence = DivergenceMonitor(config.solver)
        self.step, self.chosen, self.ended = 0, 0, False
        self.average: torch.Tensor | None = None
        self.best: torch.Tensor | None = None
        self.trace: list[TracePoint] = []
        self.keep_best, self.best_at = keep_best, 0
        self.graphed_step: GraphedStep | None = None
        self.best_theta: dict[str, Any] | None = None
        self.last_good_state = self._theta()
        self.setup, self.seconds = time.perf_counter() - started, 0.0

    def run(self, callbacks: Sequence[Callback] = ()) -> Result:
        """Take steps until the rule, the step count, an interrupt (Ctrl-C) or divergence ends the run.

        Args:
            callbacks: Called with each `Step`; their time is not counted.
        """
        status = Status.STOPPED if self.ended else Status.FINISHED
        with interruptible() as interrupted:
            while self.step < self.config.solver.max_steps and not self.ended:
                if interrupted.is_set():
                    status = Status.INTERRUPTED
                    break
                started = time.perf_counter()
                step, stop = self._advance()
                synchronise(self.z.device)
                self.seconds += time.perf_counter() - started
                if step is not None:
                    for callback in callbacks:
                        callback(step)
                if self.divergence.given_up:
                    status = Status.DIVERGED
                    break
                if stop:
                    status, self.ended = Status.STOPPED, True
        if self.best is None and self.step and status is Status.FINISHED:
            status = Status.DIVERGED  # not a single step was good
        return self._result(status)

    def take_last(self) -> torch.Tensor:
        """Take the last step for the best, and return its average."""
        assert self.average is not None
        self.chosen, self.best, self.best_theta = self.step, self.average.clone(), self._theta()
        return self.best

    def continue_from(
        self,
        problem: Problem,
        steps: int,
        *,
        start: Mapping[str, Any] | None = None,
        regulariser: Regulariser | None = None,
        weight: float = 0.0,
        optimiser: torch.optim.Optimizer | None = None,
        seen: Callable[[torch.Tensor], None] | None = None,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Take more steps on other measurements of the same image, or with another R; return the average and a state.

        Args:
            problem: The measurements from now on.
            steps: How many steps; Ctrl-C ends them early.
            start: A state that `best_theta` or this method gave; where the run is if not given.
            regulariser: R from now on.
            weight: lambda from now on.
            optimiser: How theta moves from now on.
            seen: Called with each iterate, `(1, C, H, W)`.
        """
        if start is not None:
            self.generator.load_state_dict(start["theta"])
            self.optimiser.load_state_dict(copy.deepcopy(start["adam"]))
            self.average = None if start["average"] is None else start["average"].clone()
        if regulariser is not None:
            self.regulariser = regulariser.to(self.z.device)
            regulariser.prepare(problem, steps=steps, seed=self.config.seed, precision=self.config.precision)
        self.config = dataclasses.replace(self.config, weight=weight)
        self.optimiser = optimiser or self.optimiser
        self.problem, self.validation, self.last_good_state, self.graphed_step = problem, None, self._theta(), None
        self.divergence.reset()
        with interruptible() as interrupted:
            for self.step in range(1, steps + 1):
                iterate, _, _ = self._descend()
                if iterate is not None:
                    self.average = self._averaged(iterate, self.config.solver.ema_decay)
                    if seen is not None:
                        seen(iterate)
                if interrupted.is_set() or self.divergence.given_up:
                    break
        assert self.average is not None
        return self.average.clone(), self._theta()

    def _advance(self) -> tuple[Step | None, bool]:
        """Take one step; return what it showed (None if it was rolled back) and whether the rule says stop."""
        self.step += 1
        # Departs from the paper, whose average lags behind at first: the window grows with the run up to the paper's.
        decay = min(self.config.solver.ema_decay, self.step / (self.step + 10))
        iterate, energy, prior, error = self._taken(decay)
        if iterate is None:
            return None, False
        average = self.average
        assert average is not None
        step = Step(
            number=self.step,
            image=average,
            iterate=iterate,
            energy=energy,
            prior=prior,
            validation_error=error,
            chosen=self.chosen,
            seconds=self.setup + self.seconds,
        )
        verdict = self.stopping.update(step)
        if verdict.best:
            if self.keep_best and (self.best_theta is None or self.step >= self.best_at + BEST_EVERY):
                self.best_theta, self.best_at = self._theta(), self.step
            self.chosen = self.step
            self.best = average.clone() if self.best is None else self.best.copy_(average)
        self.trace.append(TracePoint(self.step, energy, prior, verdict.score))
        return step, verdict.stop

    def _taken(self, decay: float) -> tuple[torch.Tensor | None, float, float, float | None]:
        """Take a gradient step and average; return as `_descend` does, and the average's error on what was held out."""
        if self.graphed_step is None and self.uses_graphed_steps:
            self.graphed_step = graphed_step_of(self)
            self.uses_graphed_steps = self.graphed_step is not None
        if self.graphed_step is None:
            iterate, energy, prior = self._descend()
            if iterate is not None:
                self.average = self._averaged(iterate, decay)
            validation, average = self.validation, self.average
            return iterate, energy, prior, None if validation is None or average is None else validation.misfit(average)
        # Once the stride is taken theta is another, of which nobody knows yet how good it is.
        before = self._theta() if self.step % self.config.solver.keep_every == 0 else self.last_good_state
        iterate, energy, error = self.graphed_step(self.input_noise(), 0.0 if self.average is None else decay)
        self.average = self.graphed_step.average
        if self.divergence.is_divergence(self.step, energy):
            if self.last_good_state["average"] is None:
                self.average = None
            self._roll_back(energy)
            return None, energy, math.nan, None
        if self.divergence.accept(self.step, energy):
            self.last_good_state = before
        return iterate, energy, 0.0, error

    def _averaged(self, iterate: torch.Tensor, decay: float) -> torch.Tensor:
        """Return the exponential average with one more iterate."""
        return iterate.clone() if self.average is None else self.average.lerp_(iterate, 1 - decay)

    def _descend(self) -> tuple[torch.Tensor | None, float, float]:
        """Take a gradient step on theta; return the iterate it started from, E and lambda R, each a measurement."""
        x = self.problem.crop(self.f_theta(self.input_noise()))
        energy = self.problem.energy(x) / self.problem.count
        value = float(energy.detach())
        if self.divergence.is_divergence(self.step, value):
            self._roll_back(value)
            return None, value, math.nan
        prior = self.config.weight * self._prior(x) / self.problem.count if self.config.weight else energy.new_zeros(())
        prior_value = float(prior.detach()) if self.config.weight else 0.0
        if not math.isfinite(prior_value):
            self._roll_back(value)
            return None, value, math.nan
        if self.divergence.accept(self.step, value):
            self.last_good_state = self._theta()
        self.optimiser.zero_grad(set_to_none=True)
        (energy + prior).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return x.detach(), value, prior_value

    def _prior(self, x: torch.Tensor) -> torch.Tensor:
        """Return R(x), or what has its gradient, in nats."""
        value: torch.Tensor = self.regulariser(x, self.step)
        return value

    def _result(self, status: Status) -> Result:
        best = self.problem.operator.initial_estimate(self.problem.y) if self.best is None else self.best
        return Result(
            image=best.detach().float().cpu().clone(),
            step=self.chosen,
            status=status,
            message=status.said(
                found=self.best is not None,
                rollbacks=self.divergence.divergences,
                validation=None if self.validation is None else self.validation_share,
            ),
            trace=tuple(self.trace),
            config=self.config,
            sigma=self.problem.fidelity.sigma,
            timings=Timings(self.setup, self.seconds),
            precision=str(self.precision),
            held_out=self.validation_share,
            checkpoint=self.state_dict() if status is Status.INTERRUPTED else None,
        )
