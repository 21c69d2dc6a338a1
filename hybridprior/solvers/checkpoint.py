"""What a run saves: the last good state, and the checkpoint that it continues from.

Theta, the optimiser's state, the EMA and R's state belong together; a checkpoint also has the random numbers, the rule,
the divergence monitor and the trace, and the run continues to the same bits.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch

from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.generators.base import Generator
from hybridprior.problem import Problem
from hybridprior.regularisers.base import Regulariser
from hybridprior.solvers.components import Components
from hybridprior.solvers.divergence import DivergenceMonitor
from hybridprior.solvers.fingerprint import agree, copied, fingerprint, snapshot
from hybridprior.solvers.graphed_step import GraphedStep
from hybridprior.solvers.network import Network
from hybridprior.solvers.state import SolverState
from hybridprior.stopping.base import StoppingRule

__all__ = ["CheckpointedRun"]

log = logging.getLogger(__name__)


class CheckpointedRun:
    """The components and the state of a run. `GradientSolver` has the loop."""

    problem: Problem
    components: Components
    config: RestoreConfig
    network: Network
    state: SolverState
    divergence: DivergenceMonitor
    graphed_step: GraphedStep | None
    """The next step as CUDA graphs, which are of no use for another state."""

    @property
    def generator(self) -> Generator:
        """f_theta."""
        return self.state.generator

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """The optimiser of theta."""
        return self.state.optimiser

    @property
    def regulariser(self) -> Regulariser:
        """R."""
        return self.components.regulariser

    @property
    def stopping(self) -> StoppingRule:
        """The stopping rule."""
        return self.components.stopping

    @property
    def z(self) -> torch.Tensor:
        """The input of f_theta."""
        return self.network.z

    @property
    def f_theta(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The network as a function of z."""
        return self.network.f_theta

    @property
    def step(self) -> int:
        """Steps so far."""
        return self.state.step

    @property
    def chosen(self) -> int:
        """The best step so far."""
        return self.state.chosen

    @property
    def average(self) -> torch.Tensor | None:
        """EMA of the iterates, `(1, C, H, W)`."""
        return self.state.average

    @property
    def best(self) -> torch.Tensor | None:
        """The EMA at the best step so far."""
        return self.state.best

    @property
    def best_theta(self) -> dict[str, Any] | None:
        """The state near the best step, to continue from."""
        return self.state.best_theta

    @property
    def last_good_state(self) -> dict[str, Any]:
        """The state that is restored after a divergence."""
        return self.state.last_good_state

    def _roll_back(self, energy: float) -> None:
        """Restore the last good state, with a lower learning rate."""
        self.divergence.count()
        log.warning("step %d: E = %.3g nats per measurement; rolled back", self.step, energy)
        self.graphed_step = None
        self.generator.load_state_dict(self.last_good_state["theta"])
        if self.last_good_state["average"] is not None and self.average is not None:
            self.average.copy_(self.last_good_state["average"])
        self._load_regulariser_state(copied(self.last_good_state["prior"], self.problem.y.device))
        self.optimiser.load_state_dict(copy.deepcopy(self.last_good_state["adam"]))
        for group in self.optimiser.param_groups:
            group["lr"] *= self.divergence.lr_factor

    def _theta(self) -> dict[str, Any]:
        """Return a copy of the state that steps change."""
        theta, adam = dict(self.generator.state_dict()), self.optimiser.state_dict()
        return snapshot({"theta": theta, "adam": adam, "average": self.average, "prior": self._regulariser_state()})

    def _regulariser_state(self) -> dict[str, Any]:
        """Return the state of R."""
        return self.regulariser.run_state()

    def _load_regulariser_state(self, state: Mapping[str, Any]) -> None:
        """Load a state that `_regulariser_state` returned."""
        self.regulariser.load_run_state(state)

    def state_dict(self) -> dict[str, Any]:
        """Return what the run needs to continue to the same bits; `torch.load(weights_only=True)` reads it."""
        return {
            **self._theta(),
            **self.state.state_dict(),
            "rule": self.stopping.state_dict(),
            "divergence": self.divergence.state_dict(),
            "fingerprint": self._fingerprint(),
        }

    def _fingerprint(self) -> dict[str, Any]:
        parts = {"generator": self.generator, "regulariser": self.regulariser, "stopping rule": self.stopping}
        return {**fingerprint(self.problem, self.config, parts), **self.components.identity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of a run of the same problem and configuration.

        Raises:
            ConfigError: It is the state of another image or configuration.
        """
        if state.keys() != self.state_dict().keys():
            raise ConfigError("This is not the saved state of a run; start a new one.")
        agree(state["fingerprint"], self._fingerprint())
        state, self.graphed_step = copied(state, self.problem.y.device), None
        self.state.load_state_dict(state)
        self.stopping.load_state_dict(state["rule"])
        self.divergence.load_state_dict(state["divergence"])
        self._load_regulariser_state(state["prior"])
