"""The physics of deepinv, and objects with the same methods, as operators: tomography, magnetic resonance, blur ...

A physics has `A(x)`, the measurements without noise; calling it adds noise. deepinv need not be installed. Images are
`(B, C, H, W)`, complex ones have two channels; measurements have any shape.
"""

from __future__ import annotations

from typing import Any

import torch

from hybridprior._internal.random import stream
from hybridprior.errors import ShapeError
from hybridprior.fidelities import Fidelity, Gaussian, Laplace, Poisson
from hybridprior.fidelities.proximal import conjugate_gradients
from hybridprior.operators.base import Operator, Shape

__all__ = ["PhysicsOperator", "is_physics"]

ESTIMATE_ITERATIONS = 12
"""Iterations of conjugate gradients for the initial estimate; more would amplify the noise."""


class PhysicsOperator(Operator):
    """A x = physics.A(x).

    Example:
        >>> class Physics:
        ...     noise_model = None
        ...
        ...     def A(self, x):
        ...         return x.mean(-1)
        >>> PhysicsOperator(Physics(), (1, 3, 8, 8))(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 8])
    """

    task = "inpaint"
    images = False

    def __init__(self, physics: Any, shape: Shape | None = None) -> None:
        """Wrap a physics; a module becomes a submodule and moves between devices.

        Args:
            physics: Has `A(x)`, differentiable by torch; may have `A_adjoint(y)`, which determines the image's shape,
                and `noise_model`.
            shape: `(B, C, H, W)` of the image, where neither the measurements nor `A_adjoint` determine it.
        """
        super().__init__()
        self.physics = physics
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the measurements without noise.

        Raises:
            ShapeError: The measurements are several tensors.
        """
        y = self.physics.A(x)
        if not isinstance(y, torch.Tensor):
            raise ShapeError("This physics returns several tensors; give one whose A(x) is one tensor.")
        return y

    def image_shape(self, shape: Shape) -> Shape:
        """Return the given shape, else that of A^T y, else that of the measurements."""
        if self.shape is not None or not hasattr(self.physics, "A_adjoint"):
            return self.shape or shape
        buffers = [*self.buffers(), torch.zeros(())]
        with torch.no_grad():
            back = self.physics.A_adjoint(torch.zeros(shape, device=buffers[0].device))
        return tuple(back.shape)  # type: ignore[return-value]

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return a few iterations of conjugate gradients on A^T A x = A^T y, from the best constant image.

        Where A is not linear, its derivative at 0 is used.
        """
        shape = self.image_shape(tuple(y.shape))  # type: ignore[arg-type]
        flat = torch.eye(shape[1], device=y.device)[:, None, :, None, None].expand(shape[1], *shape)
        with torch.no_grad():
            origin = self(torch.zeros(shape, device=y.device))
            planes = torch.stack([(self(x) - origin).flatten() for x in flat], 1)
        level = torch.linalg.pinv(planes) @ (y - origin).flatten()
        start = (level[:, None, None, None, None] * flat).sum(0)

        def curvature(x: torch.Tensor) -> torch.Tensor:
            return self.adjoint(self(x) - origin)

        return conjugate_gradients(curvature, self.adjoint(y - origin), start, iterations=ESTIMATE_ITERATIONS)

    def observed_mask(self, y: torch.Tensor) -> torch.Tensor | None:
        """Return 0 where y is the same for every image, as outside the mask of k-space; None where no entry is."""
        shape = self.image_shape(tuple(y.shape))  # type: ignore[arg-type]
        rng = stream(0, "measured")
        with torch.no_grad():
            first, second = (self(torch.rand(shape, generator=rng).to(y)) for _ in range(2))
        differs = (first != second).to(y)
        return None if bool(differs.all()) else differs

    def noise(self) -> Fidelity | None:
        """Return E of the physics' noise model: Gaussian, Laplace, or Poisson in units of the image.

        None where it has no noise model, or another one.
        """
        model = getattr(self.physics, "noise_model", None)
        kind = type(model).__name__
        if kind == "GaussianNoise":
            return Gaussian(_number(model, "sigma"))
        if kind == "LaplaceNoise":
            return Laplace(_number(model, "b"))
        if kind == "PoissonNoise" and _number(model, "normalize"):
            return Poisson(1 / _number(model, "gain"))
        return None


def _number(model: Any, name: str) -> float:
    """Return a number of a noise model; the greatest where it has one for each image of a batch."""
    return float(torch.as_tensor(getattr(model, name)).max())


def is_physics(given: object) -> bool:
    """Return whether an object has the methods of deepinv's physics: `A` and a noise model.

    Example:
        >>> is_physics(torch.square)
        False
    """
    return callable(getattr(given, "A", None)) and hasattr(given, "noise_model")
