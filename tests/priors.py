"""What the tests of the global prior share."""

import torch

from hybridprior.fidelities import Gaussian
from hybridprior.operators import Identity
from hybridprior.problem import Problem


def measured(x: torch.Tensor, sigma: float = 0.01) -> Problem:
    return Problem.make(x, Identity(), Gaussian(sigma))


def slope(regulariser, x: torch.Tensor, step: int = 1) -> torch.Tensor:
    x = x.clone().requires_grad_()
    regulariser(x, step).backward()
    assert x.grad is not None
    return x.grad
