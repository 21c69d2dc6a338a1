"""Plug-and-play: half-quadratic splitting or ADMM on pixels, without a generator.

    v_k = D(x_{k-1} + u; sigma_k),  x_k = argmin E(A x; y) + c lambda |x - v_k + u|^2 / (2 sigma_k^2),  u += x_k - v_k

Each step solves for x by conjugate gradients, for any linear A and Gaussian noise, and the image is v (Zhang et al.,
"Plug-and-Play Image Restoration with Deep Denoiser Prior", TPAMI 2022, eq. 6; ADMM: Venkatakrishnan, Bouman, Wohlberg,
"Plug-and-Play Priors", GlobalSIP 2013).
"""

from __future__ import annotations

import math

import torch

from hybridprior._internal.device import Precision
from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.fidelities.proximal import Proximal
from hybridprior.generators import Pixels
from hybridprior.problem import Problem
from hybridprior.solvers.base import SOLVERS
from hybridprior.solvers.components import Components
from hybridprior.solvers.splitting import SplittingSolver

__all__ = ["PlugAndPlaySolver"]


@SOLVERS.register("pnp")
class PlugAndPlaySolver(SplittingSolver):
    """Splitting where x is pixels."""

    def __init__(
        self,
        problem: Problem,
        components: Components,
        *,
        config: RestoreConfig,
        precision: Precision,
        started: float | None = None,
        start: torch.Tensor | None = None,
    ) -> None:
        """Start at the operator's initial estimate.

        Args:
            problem: What to solve.
            components: The generator is `Pixels`, and the regulariser has a `split`.
            config: lambda, the numbers of the loop and the seed.
            precision: The arithmetic.
            started: `time.perf_counter()` when the set-up began; now if not given.
            start: Where the pixels start instead, `(1, C, H, W)`.

        Raises:
            ConfigError: R has no `split`, the generator is a network, or the objective is not quadratic.
        """
        super().__init__(problem, components, config=config, precision=precision, started=started)
        if not isinstance(self.generator, Pixels):
            raise ConfigError("The solver 'pnp' has no generator; use generator='pixels', or solver='splitting'.")
        initial = self.problem.operator.initial_estimate(self.problem.filled()) if start is None else start
        self.generator.theta.data = initial.to(self.problem.y).clone()
        self.state.last_good_state = self._theta()
        self.proximal = Proximal(self.problem)
        if not self.proximal.exact:
            raise ConfigError("Splitting on pixels needs a linear operator and Gaussian noise; use solver='gradient'.")

    def _descend(self) -> tuple[torch.Tensor | None, float, float]:
        """Take one iteration; the image is v."""
        assert isinstance(self.generator, Pixels)
        theta = self.generator.theta.data
        weight = self.config.weight
        denoising = self.problem.operator.is_identity and self.problem.weights is None
        # Departs from the paper for A = 1: one step of R on y itself, with lambda in its noise level, is the answer.
        v = self._split(theta, self.step, math.sqrt(weight) if denoising else 1.0)
        mu = weight * self.penalty(self.step) / self.sigma_k**2
        if not denoising:
            near = v if self.offset is None else v - self.offset
            self.generator.theta.data = self.proximal(near, mu, start=theta)
        with torch.no_grad():
            energy = float(self.problem.energy(v)) / self.problem.count
            prior = weight * float(self._distance(self.generator.theta)) / self.problem.count
        if not math.isfinite(energy + prior):
            self._roll_back(energy)
            return None, energy, math.nan
        self.state.last_good_state = self._theta()
        self.divergence.mark_good()
        return (v if weight else self.generator.theta.data.clone()), energy, prior
