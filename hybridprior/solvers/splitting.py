"""R by splitting: v = D(x; sigma_k), then x fits y and v, in turn.

Half-quadratic splitting (Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", TPAMI 2022, eq. 6)
and ADMM (Venkatakrishnan, Bouman, Wohlberg, "Plug-and-Play Priors", GlobalSIP 2013):

    v_k = D(x_{k-1} + u; sigma_k),  x_k = argmin E(A x; y) + c lambda |x - v_k + u|^2 / (2 sigma_k^2),  u += x_k - v_k

with u = 0 without duals, and c that may fall over the steps. Where x is pixels, each step solves for x by conjugate
gradients on any linear A, and v is the image: the global prior alone. Where x = f_theta(z), x fits by a few steps on
theta (Mataev, Elad, Milanfar, "DeepRED", ICCV Workshops 2019), and the image is the averaged iterate, as ever.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.fidelities.proximal import Proximal
from hybridprior.generators import Generator, Pixels
from hybridprior.operators import Identity
from hybridprior.problem import Problem
from hybridprior.regularisers import Regulariser
from hybridprior.regularisers.schedule import Schedule
from hybridprior.solvers.gradient import GradientSolver
from hybridprior.stopping import StoppingRule

__all__ = ["SplittingSolver"]

SPLIT = ("clean", "dual", "sigma_k")
"""What the splitting remembers: v, u and sigma_k."""


class SplittingSolver(GradientSolver):
    """The loop with R entering by splitting."""

    uses_graphed_steps = False

    def __init__(
        self,
        problem: Problem,
        generator: Generator,
        regulariser: Regulariser,
        stopping: StoppingRule,
        *,
        config: RestoreConfig,
        precision: Precision,
        started: float | None = None,
        start: torch.Tensor | None = None,
    ) -> None:
        """Put the parts together, as `GradientSolver` does; pixels start at the operator's cheap estimate.

        Args:
            problem: What to solve.
            generator: f_theta, or pixels.
            regulariser: R, one that splits.
            stopping: A fresh rule.
            config: lambda, the loop's numbers and the seed.
            precision: The generator's arithmetic.
            started: `time.perf_counter()` when the set-up began; now if not given.
            start: Where pixels start instead, `(1, C, H, W)`.

        Raises:
            ConfigError: R does not split, or the objective is not quadratic where x is pixels.
        """
        if not regulariser.splits:
            raise ConfigError("This regulariser enters by its gradient only; use solver='gradient'.")
        super().__init__(problem, generator, regulariser, stopping, config=config, precision=precision, started=started)
        self.exact = isinstance(generator, Pixels)
        self.clean: torch.Tensor | None = None
        self.dual: torch.Tensor | None = None
        self.sigma_k = math.inf
        split = config.splitting
        self.penalty = Schedule(split.penalty, split.penalty_end or split.penalty, config.solver.max_steps)
        """c over the steps."""
        if isinstance(self.generator, Pixels):
            cheap = self.problem.operator.initial_estimate(self.problem.filled()) if start is None else start
            self.generator.theta.data = cheap.to(self.problem.y).clone()
            self.last_good_state = self._theta()
            self.proximal = Proximal(self.problem)
            if not self.proximal.exact:
                raise ConfigError(
                    "Splitting on pixels needs a linear operator and Gaussian noise; use solver='gradient'."
                )

    def _descend(self) -> tuple[torch.Tensor | None, float, float]:
        """Take one iteration on pixels, or one step on theta; return as `GradientSolver._descend` does."""
        return self._solve() if self.exact else super()._descend()

    def _prior(self, x: torch.Tensor) -> torch.Tensor:
        """Return the distance of x and v, with a new v every few steps."""
        if self.clean is None or (self.step - 1) % self.config.splitting.inner_steps == 0:
            self._split(x.detach() if self.average is None else self.average, self.step)
        return self._distance(x)

    def _split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> torch.Tensor:
        """Renew v, and u where there are duals; return v."""
        if self.dual is None:
            self.dual = torch.zeros_like(x)
        if self.config.splitting.admm and self.clean is not None:
            self.dual = self.dual + x - self.clean
        self.clean, self.sigma_k = self.regulariser.split(x + self.dual, step, scale)
        return self.clean

    def _distance(self, x: torch.Tensor) -> torch.Tensor:
        """Return |x - v + u|^2 / (2 sigma_k^2)."""
        assert self.clean is not None and self.dual is not None
        return (x - self.clean + self.dual).square().sum() / (2 * self.sigma_k**2)

    def _solve(self) -> tuple[torch.Tensor | None, float, float]:
        """Take one iteration on pixels; the image is v."""
        assert isinstance(self.generator, Pixels)
        theta = self.generator.theta.data
        weight = self.config.weight
        denoising = isinstance(self.problem.operator, Identity) and self.problem.weights is None
        # Departs from the paper for A = 1: one step of R on y itself, with lambda in its noise level, is the answer.
        v = self._split(theta, self.step, math.sqrt(weight) if denoising else 1.0)
        mu = weight * self.penalty(self.step) / self.sigma_k**2
        if not denoising:
            near = v if self.dual is None else v - self.dual
            self.generator.theta.data = self.proximal(near, mu, start=theta)
        with torch.no_grad():
            energy = float(self.problem.energy(v)) / self.problem.count
            prior = weight * float(self._distance(self.generator.theta)) / self.problem.count
        if not math.isfinite(energy + prior):
            self._roll_back(energy)
            return None, energy, math.nan
        self.last_good_state = self._theta()
        self.divergence.mark_good()
        return (v if weight else self.generator.theta.data.clone()), energy, prior

    def _regulariser_state(self) -> dict[str, Any]:
        split = {name: getattr(self, name, None) for name in SPLIT}
        copies = {name: value.clone() if torch.is_tensor(value) else value for name, value in split.items()}
        return {"regulariser": super()._regulariser_state(), "split": copies}

    def _load_regulariser_state(self, memory: Mapping[str, Any]) -> None:
        super()._load_regulariser_state(memory["regulariser"])
        for name in SPLIT:
            setattr(self, name, memory["split"][name])
