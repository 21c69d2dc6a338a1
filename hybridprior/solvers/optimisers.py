"""The optimisers of theta: Adam, as in Deep Image Prior, and Muon, which needs fewer steps.

Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024) replaces the momentum
M = U S V^T of a convolution, taken as a matrix with a row for each output channel, by about U V^T: five rounds of

    X <- (a + b X X^T + c (X X^T)^2) X,    X_0 = M / |M|

so that every direction is learned at the same rate. The step has the size of Adam's (Liu et al., "Muon is Scalable
for LLM Training", 2025), and one learning rate serves both. Biases, norms, and layers of few channels go on with Adam.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior._internal.registry import Registry
from hybridprior.config import SolverConfig

__all__ = ["OPTIMISERS", "Muon"]

BETA1 = 0.9
"""Adam's momentum, the paper's and everybody's."""

MOMENTUM = 0.95

ROUNDS = 5

QUINTIC = (3.4445, -4.7750, 2.0315)
"""a, b, c: singular values from 1e-3 to 1 come out between 0.7 and 1.2."""

ADAMS_SIZE = 0.2
"""Root mean square of Adam's step in units of the learning rate, as Liu et al. found it."""

FEWEST = 16
"""Rows and columns from which a weight counts as a matrix."""

Factory = Callable[[Iterable[torch.nn.Parameter], SolverConfig, Precision], torch.optim.Optimizer]

OPTIMISERS: Registry[Factory] = Registry("optimiser")


@OPTIMISERS.register("adam")
def _adam(theta: Iterable[torch.nn.Parameter], config: SolverConfig, precision: Precision) -> torch.optim.Optimizer:
    theta, betas, rate = list(theta), (BETA1, config.beta2), config.learning_rate
    adam = torch.optim.Adam(theta, lr=rate, betas=betas, **_kind(theta[0].device, precision))
    adam.register_load_state_dict_pre_hook(_of_this_kind)
    return adam


@OPTIMISERS.register("muon")
class Muon(torch.optim.Adam):
    """Muon for the matrices among the parameters, Adam for the rest."""

    def __init__(self, theta: Iterable[torch.nn.Parameter], config: SolverConfig, precision: Precision) -> None:
        """Divide the parameters.

        Args:
            theta: The parameters.
            config: The learning rate of both, and Adam's beta_2.
            precision: Whether products of matrices may be bf16.
        """
        theta = list(theta)
        kind = _kind(theta[0].device, precision)
        super().__init__(theta, lr=config.learning_rate, betas=(BETA1, config.beta2), **kind)
        self.register_load_state_dict_pre_hook(_of_this_kind)
        matrices = [p for p in theta if p.ndim > 1 and min(p.shape[0], p[0].numel()) >= FEWEST]
        shapes = {(p.shape[0], p[0].numel()): None for p in matrices}
        self.alike = [[p for p in matrices if (p.shape[0], p[0].numel()) == shape] for shape in shapes]
        self.kind = torch.bfloat16 if precision.bf16 else torch.float32

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step.

        Args:
            closure: Not used.
        """
        rate = self.param_groups[0]["lr"] * ADAMS_SIZE
        for alike in self.alike:
            moving = [p for p in alike if p.grad is not None]
            if not moving:
                continue
            updates = orthogonal(torch.stack([self._momentum(p).flatten(1) for p in moving]), self.kind)
            for p, update in zip(moving, updates, strict=True):
                p.sub_(update.reshape(p.shape), alpha=rate * math.sqrt(max(update.shape)))
                p.grad = None
        super().step()

    def _momentum(self, p: torch.nn.Parameter) -> torch.Tensor:
        """Return Nesterov's momentum of a parameter, with its gradient."""
        assert p.grad is not None
        state = self.state[p]
        if not state:
            # Adam's load_state_dict reads the step of each.
            state.update(step=torch.zeros(()), momentum=torch.zeros_like(p))
        momentum: torch.Tensor = state["momentum"].mul_(MOMENTUM).add_(p.grad)
        return p.grad + MOMENTUM * momentum


def _kind(device: torch.device, precision: Precision) -> dict[str, bool]:
    """Return the implementation of Adam: fused in one kernel, and capturable by a CUDA graph."""
    return {"fused": device.type != "mps", "capturable": precision.graphs and device.type == "cuda"}


def _of_this_kind(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Return a saved state, converted to the implementation of Adam on this machine."""
    ours = ("fused", "capturable")
    pairs = zip(state["param_groups"], optimiser.param_groups, strict=True)
    return {**state, "param_groups": [{**theirs, **{name: own[name] for name in ours}} for theirs, own in pairs]}


def orthogonal(matrices: torch.Tensor, kind: torch.dtype = torch.float32) -> torch.Tensor:
    """Return about U V^T of matrices U S V^T, float32.

    The rounds are products of small matrices only: with A = X X^T and P = a + b A + c A^2, the next X is P X, and the
    next A is P A P. All of it in fp32, since A has the squares of the singular values.

    Args:
        matrices: `(B, m, n)`.
        kind: Arithmetic of the last product.
    """
    a, b, c = QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    gram = x @ x.mT
    product = torch.eye(gram.shape[-1], device=x.device).expand_as(gram)
    for _ in range(ROUNDS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor @ product
        gram = factor @ gram @ factor
    found: torch.Tensor = (product.to(kind) @ x.to(kind)).float()
    return found.mT if tall else found
