"""Gradient descent: min over theta of E(A f_theta(z); y) + lambda R(f_theta(z)), for any choice of parts.

Each step adds new noise to z, takes a step of Adam or Muon, and averages the iterates exponentially, as
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
from hybridprior.config import RestoreConfig, SolverConfig
from hybridprior.problem import Problem
from hybridprior.regularisers.base import Regulariser
from hybridprior.result import Result, Status, Step, Timings, TracePoint
from hybridprior.solvers.base import SOLVERS, Callback, as_callbacks
from hybridprior.solvers.checkpoint import CheckpointedRun
from hybridprior.solvers.components import Components
from hybridprior.solvers.divergence import DivergenceMonitor
from hybridprior.solvers.graphed_step import GraphedStep, graphed_step_of
from hybridprior.solvers.network import Network
from hybridprior.solvers.optimisers import OPTIMISERS
from hybridprior.solvers.state import SolverState

__all__ = ["Callback", "GradientSolver", "as_callbacks"]


@SOLVERS.register("gradient")
class GradientSolver(CheckpointedRun):
    """One run, from the first step or from a checkpoint."""

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
        """Put the components on the problem's device and draw z.

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
        rule, prior = components.stopping, components.regulariser.to(problem.y.device)
        self.problem, self.validation = problem, validation
        share = rule.validation_fraction(problem.pixels) if validation is None else 0.0
        if share:
            self.problem, self.validation = problem.hold_out(share, config.seed)
        self.validation_share = 0.0 if self.validation is None else self.problem.share(self.validation)
        prior.prepare(self.problem, steps=config.solver.max_steps, seed=config.seed, precision=config.precision)
        self.components, self.config, self.keep_best = components, config, keep_best
        self.network = Network.of(components.generator, problem, config, precision)
        theta = list(self.network.generator.parameters())
        optimiser = OPTIMISERS.find(config.solver.optimiser)(theta, config.solver, precision)
        self.divergence = DivergenceMonitor(config.solver)
        self.graphed_step: GraphedStep | None = None
        self.state = SolverState(self.network.generator, optimiser, self.network.input_noise.rng)
        self.state.last_good_state = self._theta()
        self.setup = time.perf_counter() - started

    def run(self, callbacks: Sequence[Callback] = ()) -> Result:
        """Take steps until the rule, the step count, an interrupt (Ctrl-C) or divergence ends the run.

        Args:
            callbacks: Called with each `Step`; their time is not counted.
        """
        status = Status.STOPPED if self.state.ended else Status.FINISHED
        with interruptible() as interrupted:
            while self.step < self.config.solver.max_steps and not self.state.ended:
                if interrupted.is_set():
                    status = Status.INTERRUPTED
                    break
                started = time.perf_counter()
                step, stop = self._advance()
                synchronise(self.z.device)
                self.state.seconds += time.perf_counter() - started
                if step is not None:
                    for callback in callbacks:
                        callback(step)
                if self.divergence.given_up:
                    status = Status.DIVERGED
                    break
                if stop:
                    status, self.state.ended = Status.STOPPED, True
        if self.best is None and self.step and status is Status.FINISHED:
            status = Status.DIVERGED  # not a single step was good
        return self._result(status)

    def take_last(self) -> torch.Tensor:
        """Choose the last step as the best, and return its EMA."""
        assert self.average is not None
        self.state.choose()
        self.state.keep(self._theta())
        return self.average.clone()

    def continue_from(
        self,
        checkpoint: Mapping[str, Any] | None,
        *,
        problem: Problem,
        max_steps: int,
        regulariser: Regulariser | None = None,
        weight: float = 0.0,
        optimiser: torch.optim.Optimizer | None = None,
        callback: Callable[[torch.Tensor], None] | None = None,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Take more steps on other measurements of the same image, or with another R; return the EMA and the state.

        Args:
            checkpoint: A state from `best_theta` or from this method; the current one if None.
            problem: The measurements from now on.
            max_steps: Number of steps; an interrupt ends them early.
            regulariser: R from now on.
            weight: lambda from now on.
            optimiser: How theta moves in these steps, in place of the run's own optimiser, which keeps its state; of a
                checkpoint only theta is used.
            callback: Called with each iterate, `(1, C, H, W)`.
        """
        own = self.state.optimiser
        if checkpoint is not None:
            self._start_from(checkpoint, only_theta=optimiser is not None)
        if regulariser is not None:
            self.components = dataclasses.replace(self.components, regulariser=regulariser.to(self.z.device))
            seed, precision = self.config.seed, self.config.precision
            regulariser.prepare(problem, steps=max_steps, seed=seed, precision=precision)
        self.config = dataclasses.replace(self.config, weight=weight)
        self.state.optimiser = optimiser or own
        self.problem, self.validation, self.graphed_step = problem, None, None
        self.state.last_good_state = self._theta()
        self.divergence.reset()
        with interruptible() as interrupted:
            for self.state.step in range(1, max_steps + 1):
                iterate, _, _ = self._descend()
                if iterate is not None:
                    self.state.add(iterate, self.config.solver.ema_decay)
                    if callback is not None:
                        callback(iterate)
                if interrupted.is_set() or self.divergence.given_up:
                    break
        assert self.average is not None
        found = self.average.clone(), self._theta()
        self.state.optimiser = own
        return found

    def _start_from(self, checkpoint: Mapping[str, Any], *, only_theta: bool) -> None:
        """Load a state that `best_theta` or `continue_from` returned."""
        self.generator.load_state_dict(checkpoint["theta"])
        if not only_theta:
            average = checkpoint["average"]
            self.optimiser.load_state_dict(copy.deepcopy(checkpoint["adam"]))
            self.state.average = None if average is None else average.clone()

    def _advance(self) -> tuple[Step | None, bool]:
        """Take one step; return its record (None if it was rolled back) and whether the rule stops the run."""
        self.state.step += 1
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
            seconds=self.setup + self.state.seconds,
        )
        verdict = self.stopping.update(step)
        if verdict.best:
            if self.keep_best and self.state.is_keeping_due:
                self.state.keep(self._theta())
            self.state.choose()
        self.state.trace.append(TracePoint(self.step, energy, prior, verdict.score))
        return step, verdict.stop

    def _taken(self, decay: float) -> tuple[torch.Tensor | None, float, float, float | None]:
        """Take a gradient step and average; return as `_descend` does, and the average's error on what was held out."""
        if self.graphed_step is None and self.uses_graphed_steps:
            self.graphed_step = graphed_step_of(self)
            self.uses_graphed_steps = self.graphed_step is not None
        if self.graphed_step is None:
            iterate, energy, prior = self._descend()
            if iterate is not None:
                self.state.add(iterate, decay)
            validation, average = self.validation, self.average
            return iterate, energy, prior, None if validation is None or average is None else validation.misfit(average)
        # After the recorded step theta has changed, and its E is not known yet.
        before = self._theta() if self.step % self.config.solver.keep_every == 0 else self.last_good_state
        iterate, energy, error = self.graphed_step(self.network.input_noise(), 0.0 if self.average is None else decay)
        self.state.average = self.graphed_step.average
        if self.divergence.is_divergence(self.step, energy):
            if self.last_good_state["average"] is None:
                self.state.average = None
            self._roll_back(energy)
            return None, energy, math.nan, None
        if self.divergence.accept(self.step, energy):
            self.state.last_good_state = before
        return iterate, energy, 0.0, error

    def _descend(self) -> tuple[torch.Tensor | None, float, float]:
        """Take a gradient step on theta; return the iterate it started from, E and lambda R, each per measurement."""
        x = self.problem.crop(self.f_theta(self.network.input_noise()))
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
            self.state.last_good_state = self._theta()
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
            trace=tuple(self.state.trace),
            config=self.config,
            sigma=self.problem.fidelity.sigma,
            timings=Timings(self.setup, self.state.seconds),
            precision=str(self.network.precision),
            held_out=self.validation_share,
            checkpoint=self.state_dict() if status is Status.INTERRUPTED else None,
        )
