"""Split, fit, choose, refit: a network fitted to one part of the measurements and validated by the other.

The fusion and the uncertainty both use it. The measurements are split by recorruption where the noise is known and
Gaussian, else by holding out pixels. The network is fitted to the training part, the stopping rule chooses the best
step by the validation part, and in the end theta is refitted to all measurements for a few steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior.config import RestoreConfig
from hybridprior.fusion.stacking import significantly_worse
from hybridprior.problem import Problem, Split
from hybridprior.regularisers import Regulariser
from hybridprior.result import Result, Status
from hybridprior.solvers import Callback, Components, GradientSolver
from hybridprior.stopping import StoppingRule

__all__ = ["MIN_REFIT_STEPS", "ValidatedRun", "split_measurements"]

MIN_REFIT_STEPS = 20
"""Least number of steps of a refit."""


def split_measurements(problem: Problem, rule: StoppingRule, *, recorruption: float | None, seed: int) -> Split:
    """Return the measurements split for training and validation.

    Args:
        problem: All measurements.
        rule: The stopping rule, which says how many pixels are held out.
        recorruption: Share of the information for validation by recorruption; None holds out pixels.
        seed: Seed of the draw.

    Example:
        >>> from hybridprior.operators import Identity
        >>> from hybridprior.stopping import build_stopping_rule
        >>> problem = Problem.make(torch.full((1, 3, 16, 16), 0.5), Identity(), sigma=0.1)
        >>> split_measurements(problem, build_stopping_rule("heldout"), recorruption=0.2, seed=0).kind
        'recorrupt'
    """
    if recorruption is not None:
        return problem.recorrupt(recorruption, seed)
    return problem.hold_out(rule.validation_fraction(problem.pixels), seed)


class ValidatedRun:
    """A network's run on the training part of a split."""

    def __init__(
        self,
        split: Split,
        components: Components,
        *,
        config: RestoreConfig,
        precision: Precision,
        started: float | None = None,
    ) -> None:
        """Make the solver.

        Args:
            split: The measurements.
            components: f_theta, R, and a stopping rule that sees the validation part.
            config: lambda, the solver's numbers and the seed.
            precision: The generator's arithmetic.
            started: `time.perf_counter()` when the set-up began; now if not given.
        """
        self.split = split
        self.solver = GradientSolver(
            split.train,
            components,
            config=config,
            precision=precision,
            started=started,
            validation=split.validation,
            keep_best=True,
        )

    def fit(self, callbacks: Sequence[Callback] = (), checkpoint: Mapping[str, Any] | None = None) -> Result:
        """Fit the network to the training part, and return the image of the best step.

        Args:
            callbacks: Called with each `Step`.
            checkpoint: That of an interrupted run.
        """
        if checkpoint is not None:
            self.solver.load_state_dict(checkpoint)
        return self.solver.run(callbacks)

    def is_complete(self, result: Result) -> bool:
        """Return whether the run ended by itself and has a best step to continue from."""
        return result.status not in (Status.INTERRUPTED, Status.DIVERGED) and self.solver.best_theta is not None

    def last_unless_worse(self, result: Result) -> tuple[torch.Tensor, int]:
        """Return the image and the number of the last step, unless the chosen one is significantly better.

        Without noise, the validation error of a few pixels is least at an early step by chance.

        Args:
            result: The run's result.
        """
        last = self.solver.average
        if last is None or significantly_worse(last, result.image, self.split.validation):
            return result.image, result.step
        return self.solver.take_last().detach().float().cpu().clone(), self.solver.step

    def sample(
        self,
        optimiser: torch.optim.Optimizer,
        steps: int,
        *,
        weight: float,
        seen: Callable[[torch.Tensor], None],
    ) -> None:
        """Continue from the best step with another optimiser, such as Langevin dynamics, on the training part.

        Args:
            optimiser: How theta moves; the run's own optimiser is restored in the end.
            steps: Number of steps; an interrupt ends them early.
            weight: lambda.
            seen: Called with each iterate, `(1, C, H, W)`.
        """
        solver = self.solver
        assert solver.best_theta is not None
        solver.continue_from(
            solver.best_theta,
            problem=self.split.train,
            max_steps=steps,
            regulariser=solver.regulariser,
            weight=weight,
            optimiser=optimiser,
            callback=seen,
        )

    def refit(
        self,
        problem: Problem,
        share: float,
        *,
        start: Mapping[str, Any] | None,
        regulariser: Regulariser | None = None,
        weight: float = 0.0,
        min_steps: int = MIN_REFIT_STEPS,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Continue the run on other measurements or with another regulariser; return the image and its state.

        Args:
            problem: The measurements, such as all of them.
            share: Number of steps, as a share of those until the best step.
            start: The state to start from: `solver.best_theta`, or what this method returned.
            regulariser: R; the run's if not given.
            weight: lambda.
            min_steps: Least number of steps.
        """
        steps = max(min_steps, round(share * self.solver.chosen))
        return self.solver.continue_from(
            start, problem=problem, max_steps=steps, regulariser=regulariser, weight=weight
        )
