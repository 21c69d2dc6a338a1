"""The proximal map of E: the image near x that the measurements agree with.

    prox(x; mu) = argmin over u of  E(A u; y) + mu |u - x|^2 / 2

Where E is quadratic in u this is a linear system, solved by conjugate gradients (Hestenes and Stiefel, "Methods of
Conjugate Gradients for Solving Linear Systems", 1952) from the gradient of E alone, so that any linear A will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from hybridprior.problem import Problem

__all__ = ["FINEST", "Proximal", "conjugate_gradients"]

FINEST = 2 / 255
"""The least noise level that a denoiser is asked for: finer than that no photograph is."""

TOLERANCE = 1e-4
"""Residual, relative to the right side, at which conjugate gradients stop."""

ITERATIONS = 100
"""Most iterations of conjugate gradients."""

CURVED = 1e-2
"""Departure of the gradient of E from a straight line, relative to it, above which E is not quadratic."""


class Proximal:
    """The proximal map of a problem's E; measurements are trusted no further than a denoiser is asked."""

    def __init__(self, problem: Problem) -> None:
        """Find the gradient of E at 0, and whether it grows in proportion to a step.

        Args:
            problem: What is solved.
        """
        self.problem = problem
        self.trust = min(1.0, problem.fidelity.sigma / FINEST) ** 2
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
            mu: How firmly it holds to x, an inverse variance.
            start: Where conjugate gradients start; x if not given.
        """

        def curvature(p: torch.Tensor) -> torch.Tensor:
            return self._slope(p) - self.origin + mu * p

        return conjugate_gradients(curvature, mu * x - self.origin, x if start is None else start)

    def _slope(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gradient of E at x."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            return self.trust * torch.autograd.grad(self.problem.energy(x), x)[0]


def conjugate_gradients(
    curvature: Callable[[torch.Tensor], torch.Tensor],
    right: torch.Tensor,
    x: torch.Tensor,
    *,
    iterations: int = ITERATIONS,
) -> torch.Tensor:
    """Return the solution of `curvature(x) = right`.

    Args:
        curvature: A symmetric positive linear map.
        right: The right side.
        x: Where to start.
        iterations: The most that are taken.
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
