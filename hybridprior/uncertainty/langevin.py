"""Langevin dynamics: a gradient step and noise of matching variance, so that theta samples its posterior.

Welling, Teh, "Bayesian Learning via Stochastic Gradient Langevin Dynamics", ICML 2011, eq. (4); for Deep Image Prior
Cheng et al., "A Bayesian Perspective on the Deep Image Prior", CVPR 2019, section 4. With U the negative log posterior
and G the preconditioner of Li et al., "Preconditioned SGLD for Deep Neural Networks", AAAI 2016:

    theta <- theta - epsilon / 2 G grad U(theta) + sqrt(epsilon G) xi,    xi ~ N(0, 1)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["Langevin"]

BETA2 = 0.99
"""Decay of the average of squared gradients."""

FLAT = 1e-2
"""Least root mean square gradient of a parameter, relative to that of all: a bias before a batch norm has no gradient,
and would otherwise move without limit."""


class Langevin(torch.optim.Optimizer):
    """Preconditioned Langevin dynamics on an objective that is U divided by the number of measurements.

    Example:
        >>> theta = torch.nn.Parameter(torch.zeros(3))
        >>> langevin = Langevin([theta], learning_rate=0.01, count=100.0, rng=torch.Generator().manual_seed(0))
        >>> (theta - 1).square().sum().backward()
        >>> langevin.step()
        >>> bool((theta != 0).all())
        True
    """

    def __init__(
        self, theta: Iterable[torch.nn.Parameter], *, learning_rate: float, count: float, rng: torch.Generator
    ) -> None:
        """Start without averages.

        Args:
            theta: The parameters.
            learning_rate: Length of the gradient's part of a step, as Adam's.
            count: Number of measurements that U was divided by.
            rng: Generator of xi, on the device of theta.
        """
        super().__init__(list(theta), {"lr": learning_rate})
        self.count, self.rng = count, rng

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step.

        Args:
            closure: Not used.
        """
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            for p in moving:
                squared = p.grad.square()
                self.state[p]["square"] = self.state[p].get("square", squared).lerp(squared, 1 - BETA2)
            total = sum(self.state[p]["square"].sum() for p in moving)
            floor = FLAT * torch.as_tensor(total / sum(p.numel() for p in moving)).sqrt()
            for p in moving:
                self._move(p, group["lr"], floor)

    def _move(self, p: torch.nn.Parameter, rate: float, floor: torch.Tensor) -> None:
        """Move one parameter.

        U is N times the objective, and its root mean square gradient N times that of the objective. Hence with
        G = 1 / (N rms) and epsilon = 2 rate, the gradient's part is rate g / rms. The derivative of G is left out, as
        in Li et al.; it is small where G changes slowly.
        """
        assert p.grad is not None
        rms = self.state[p]["square"].sqrt() + floor
        xi = torch.randn(p.shape, generator=self.rng, device=p.device, dtype=p.dtype)
        p.add_(-rate * p.grad / rms + math.sqrt(2 * rate / self.count) * xi / rms.sqrt())
