"""The proximal map of E: the image near x that fits the measurements.

    prox(x; mu) = argmin over u of  E(A u; y) + mu |u - x|^2 / 2

Where E is quadratic in u this is a linear system. It is solved by conjugate gradients (Hestenes and Stiefel, "Methods
of Conjugate Gradients for Solving Linear Systems", 1952), which need only the gradient of E, for every linear A.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from hybridprior.fidelities.base import Fidelity

__all__ = ["FINEST", "Proximal", "conjugate_gradients"]

FINEST = 2 / 255
"""The least noise level of a denoiser, in units of intensity: photographs have at least as much."""

TOLERANCE = 1e-4
"""Residual at which conjugate gradients stop, relative to the right side."""

ITERATIONS = 100
"""Largest number of iterations of conjugate gradients."""

CURVED = 1e-2
"""Relative deviation of the gradient of E from linearity above which E is not quadratic."""


class QuadraticProblem(Protocol):
    """The part of a `Problem` that the proximal map uses."""

    @property
    def y(self) -> torch.Tensor:
        """The measurements."""
        ...

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(1, C, H, W)` of the image."""
        ...

    @property
    def fidelity(self) -> Fidelity:
        """E."""
        ...

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        """Return E(A x; y), a scalar."""
        ...


class Proximal:
    """The proximal map of a problem's E, with its noise level raised to `FINEST`, the least one of a denoiser.

    Example:
        >>> from hybridprior.operators import Identity
        >>> from hybridprior.problem import Problem
        >>> proximal = Proximal(Problem.make(torch.ones(1, 1, 4, 4), Identity(), sigma=0.1))
        >>> proximal.exact, float(proximal(torch.zeros(1, 1, 4, 4), mu=100.0).mean())
        (True, 0.5)
    """

    def __init__(self, problem: QuadraticProblem) -> None:
        """Compute the gradient of E at 0, and whether E is quadratic.

        Args:
            problem: The problem.
        """
        self.problem = problem
        self.scale = min(1.0, problem.fidelity.sigma / FINEST) ** 2
        zero = torch.zeros(problem.shape, device=problem.y.device)
        probe = torch.rand(zero.shape, generator=torch.Generator().manual_seed(0)).to(zero)
        self.origin = self._slope(zero)
        once, twice = (self._slope(factor * probe) - self.origin for factor in (1, 2))
        self.exact = bool((twice - 2 * once).norm() <= CURVED * twice.norm())
        """Whether E is quadratic: a linear A and Gaussian noise."""

    def __call__(self, x: torch.Tensor, mu: float, *, start: torch.Tensor | None = None) -> torch.Tensor:
        """Return the image `(1, C, H, W)` that fits y and lies near x.

        Args:
            x: An image, `(1, C, H, W)`.
            mu: Weight of the distance to x, an inverse variance.
            start: First iterate of conjugate gradients; x if not given.
        """

        def curvature(p: torch.Tensor) -> torch.Tensor:
            return self._slope(p) - self.origin + mu * p

        return conjugate_gradients(curvature, mu * x - self.origin, x if start is None else start)

    def _slope(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gradient of E at x."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            return self.scale * torch.autograd.grad(self.problem.energy(x), x)[0]


def conjugate_gradients(
    curvature: Callable[[torch.Tensor], torch.Tensor],
    right: torch.Tensor,
    x: torch.Tensor,
    *,
    iterations: int = ITERATIONS,
) -> torch.Tensor:
    """Return the solution of `curvature(x) = right`, in x's shape.

    Args:
        curvature: A symmetric positive linear map.
        right: The right side.
        x: The first iterate.
        iterations: Largest number of iterations.

    Example:
        >>> conjugate_gradients(lambda x: 2 * x, torch.ones(3), torch.zeros(3))
        tensor([0.5000, 0.5000, 0.5000])
    """
    residual = right - curvature(x)
    direction, squared = residual.clone(), float(residual.square().sum())
    least = TOLERANCE**2 * float(right.square().sum())
    for _ in range(iterations):
        if squared <= least:
            break
        curved = curvature(direction)
        length = squared / float((direction * curved).sum())
        x, residual = x + length * direction, residual - length * curved
        before, squared = squared, float(residual.square().sum())
        direction = residual + squared / before * direction
    return x
