"""R by splitting, where x = f_theta(z): v = D(x; sigma_k), then x fits y and v, in turn.

Half-quadratic splitting and ADMM (see `pnp` for the papers and the equations): x fits by a few steps on theta, and the
image is the average of the iterates (Mataev, Elad, Milanfar, "DeepRED", ICCV Workshops 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior.config import RestoreConfig, SplittingConfig
from hybridprior.errors import ConfigError
from hybridprior.problem import Problem
from hybridprior.regularisers.schedule import Schedule
from hybridprior.solvers.base import SOLVERS
from hybridprior.solvers.components import Components
from hybridprior.solvers.gradient import GradientSolver

__all__ = ["SplittingSolver"]

SPLIT = ("clean", "offset", "sigma_k")
"""What the splitting remembers: v, u and sigma_k."""


@SOLVERS.register("splitting")
class SplittingSolver(GradientSolver):
    """Gradient descent with R by splitting."""

    Config: type = SplittingConfig

    uses_graphed_steps = False

    def __init__(
        self,
        problem: Problem,
        components: Components,
        *,
        config: RestoreConfig,
        precision: Precision,
        started: float | None = None,
    ) -> None:
        """Build the solver as `GradientSolver` does.

        Args:
            problem: What to solve.
            components: The regulariser has a `split`.
            config: lambda, the numbers of the loop and the seed.
            precision: Arithmetic of the generator.
            started: `time.perf_counter()` when the set-up began; now if not given.

        Raises:
            ConfigError: R has no `split`.
        """
        if not components.regulariser.splits:
            raise ConfigError("This regulariser enters by its gradient only; use solver='gradient'.")
        super().__init__(problem, components, config=config, precision=precision, started=started)
        self.clean: torch.Tensor | None = None
        self.offset: torch.Tensor | None = None
        self.sigma_k = math.inf
        split = config.splitting
        self.penalty = Schedule(split.penalty, split.penalty_end or split.penalty, config.solver.max_steps)
        """c over the steps."""

    def _prior(self, x: torch.Tensor) -> torch.Tensor:
        """Return the distance of x and v, with a new v every few steps."""
        if self.clean is None or (self.step - 1) % self.config.splitting.inner_steps == 0:
            self._split(x.detach() if self.average is None else self.average, self.step)
        return self._distance(x)

    def _split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> torch.Tensor:
        """Renew v, and u in ADMM; return v."""
        if self.offset is None:
            self.offset = torch.zeros_like(x)
        if self.config.splitting.admm and self.clean is not None:
            self.offset = self.offset + x - self.clean
        self.clean, self.sigma_k = self.regulariser.split(x + self.offset, step, scale)
        return self.clean

    def _distance(self, x: torch.Tensor) -> torch.Tensor:
        """Return |x - v + u|^2 / (2 sigma_k^2)."""
        assert self.clean is not None and self.offset is not None
        return (x - self.clean + self.offset).square().sum() / (2 * self.sigma_k**2)

    def _regulariser_state(self) -> dict[str, Any]:
        split = {name: getattr(self, name, None) for name in SPLIT}
        copies = {name: value.clone() if torch.is_tensor(value) else value for name, value in split.items()}
        return {"regulariser": super()._regulariser_state(), "split": copies}

    def _load_regulariser_state(self, state: Mapping[str, Any]) -> None:
        super()._load_regulariser_state(state["regulariser"])
        for name in SPLIT:
            setattr(self, name, state["split"][name])
