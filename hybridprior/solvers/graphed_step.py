"""A whole step of the loop without R as four CUDA graphs, so that one processor core serves many images.

f_theta(z) and theta's gradient are those of `capture`; between them comes E with its gradient, and after them the
optimiser's step, the average of the iterates and its error on held-out measurements. What the loop then needs to know,
two numbers, is read once a step.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch

from hybridprior.fidelities import Gaussian
from hybridprior.regularisers.none import NoRegulariser
from hybridprior.solvers import cuda_graphs
from hybridprior.solvers.optimisers import Muon

if TYPE_CHECKING:
    from hybridprior.config import RestoreConfig
    from hybridprior.generators.base import Generator
    from hybridprior.problem import Problem
    from hybridprior.regularisers.base import Regulariser

__all__ = ["GraphedStep", "graphed_step_of"]

log = logging.getLogger(__name__)


class Recordable(Protocol):
    """What a solver has that is recorded: its network, its problems, R, its optimiser and its EMA."""

    problem: Problem
    validation: Problem | None
    config: RestoreConfig

    @property
    def regulariser(self) -> Regulariser:
        """R."""

    @property
    def f_theta(self) -> Generator | cuda_graphs.GraphedGenerator | Callable[..., torch.Tensor]:
        """f_theta, perhaps recorded."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """The optimiser of theta."""

    @property
    def average(self) -> torch.Tensor | None:
        """The EMA of the iterates."""


def graphed_step_of(run: Recordable) -> GraphedStep | None:
    """Return a run's next steps as recordings, or None where it has R, or anything that may not be recorded.

    Args:
        run: Where it is; nothing of it is changed.
    """
    if not isinstance(run.f_theta, cuda_graphs.GraphedGenerator) or cuda_graphs.REFUSED.is_set():
        return None
    parts = (run.problem, *(() if run.validation is None else (run.validation,)))
    fit = all(cuda_graphs.recordable(part.operator) and type(part.fidelity) is Gaussian for part in parts)
    alone = isinstance(run.regulariser, NoRegulariser) or not run.config.weight
    if not (fit and alone and type(run.optimiser) in (torch.optim.Adam, Muon)):
        return None
    try:
        return GraphedStep(run.f_theta, run.problem, run.validation, run.optimiser, run.average)
    except RuntimeError as error:
        log.warning("A step is not recorded as CUDA graphs: %s", error)
        cuda_graphs.REFUSED.set()
        return None


class GraphedStep:
    """Steps of one problem, one optimiser and one EMA, whose tensors keep their addresses."""

    def __init__(
        self,
        f_theta: cuda_graphs.GraphedGenerator,
        problem: Problem,
        validation: Problem | None,
        optimiser: torch.optim.Optimizer,
        average: torch.Tensor | None,
    ) -> None:
        """Warm up and record, and leave theta and the optimiser as they were.

        Args:
            f_theta: The recorded network.
            problem: E.
            validation: The validation measurements, if any.
            optimiser: The optimiser of theta.
            average: That of the iterates so far, if any.

        Raises:
            RuntimeError: Something in E or in the optimiser cannot be recorded.
        """
        self.f_theta, self.problem, self.validation, self.optimiser = f_theta, problem, validation, optimiser
        x = problem.crop(f_theta.forward_graph.made)
        self.average = torch.zeros_like(x) if average is None else average.clone()
        self.share, self.found = x.new_ones(()), x.new_zeros(2)
        restore, stream = _restoring(optimiser, self.average), f_theta.forward_graph
        try:
            with cuda_graphs.RECORDING:
                self.energy_graph = cuda_graphs.Recording(self._energy, x.device, warmup=self._energy, beside=stream)
                self.update_graph = cuda_graphs.Recording(self._update, x.device, warmup=self._update, beside=stream)
        finally:
            restore()

    def _energy(self) -> torch.Tensor:
        """Write E per measurement, and its gradient to where the network reads it."""
        x = self.f_theta.forward_graph.made.detach().requires_grad_()
        energy = self.problem.energy(self.problem.crop(x)) / self.problem.count
        (gradient,) = torch.autograd.grad(energy, x)
        self.f_theta.gradient.copy_(gradient)
        self.found[0].copy_(energy.detach())
        return self.found

    def _update(self) -> torch.Tensor:
        """Update theta and the EMA, and write the error of the EMA."""
        for p, gradient in zip(self.f_theta.theta, self.f_theta.backward_graph.made, strict=True):
            p.grad = gradient
        self.optimiser.step()
        self.average.lerp_(self.problem.crop(self.f_theta.forward_graph.made), self.share)
        if self.validation is not None:
            self.found[1].copy_(self.validation.error(self.average))
        return self.found

    @torch.no_grad()
    def __call__(self, z: torch.Tensor, decay: float) -> tuple[torch.Tensor, float, float | None]:
        """Take a step; return the iterate that it started from, E per measurement, and the validation error of the EMA.

        Args:
            z: The network's input.
            decay: What is left of the average so far; 0 where there is none.
        """
        f_theta = self.f_theta
        f_theta.calls += 1
        f_theta.z.copy_(z)
        self.share.fill_(1 - decay)
        for recording in (f_theta.forward_graph, self.energy_graph, f_theta.backward_graph, self.update_graph):
            recording()
        energy, error = self.found.tolist()
        return self.problem.crop(f_theta.forward_graph.made).clone(), energy, None if self.validation is None else error


def _restoring(optimiser: torch.optim.Optimizer, average: torch.Tensor) -> functools.partial[None]:
    """Return a function that restores theta, the optimiser's state and the EMA in place."""
    theta = [p for group in optimiser.param_groups for p in group["params"]]
    saved = [(tensor, tensor.detach().clone()) for tensor in (average, *theta)]
    moments = {p: {name: value.clone() for name, value in optimiser.state.get(p, {}).items()} for p in theta}
    return functools.partial(_restore, optimiser, saved, moments)


@torch.no_grad()
def _restore(
    optimiser: torch.optim.Optimizer,
    saved: list[tuple[torch.Tensor, torch.Tensor]],
    moments: dict[torch.Tensor, dict[str, torch.Tensor]],
) -> None:
    for tensor, value in saved:
        tensor.copy_(value)
    for p, before in moments.items():
        for name, value in optimiser.state.get(p, {}).items():
            # What the optimiser had not yet begun to remember begins with zeros.
            value.copy_(before[name]) if name in before else value.zero_()
