"""The physics of deepinv as operators, and any object that is like them: tomography, magnetic resonance, blur ...

A physics has `A(x)`, the measurements without noise; calling it adds noise. Duck typing is all it takes, and deepinv
need not be installed. Its images are `(B, C, H, W)`, complex ones as two channels; its measurements have any shape.
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

FEW = 12
"""Iterations of conjugate gradients for the cheap estimate; so few do not bring up the noise."""


class PhysicsOperator(Operator):
    """A x = physics.A(x)."""

    task = "inpaint"
    images = False

    def __init__(self, physics: Any, shape: Shape | None = None) -> None:
        """Wrap a physics; a module is held as one, so that it moves between devices.

        Args:
            physics: Has `A(x)`, differentiable by torch; `A_adjoint(y)`, where it says the image's shape; and
                `noise_model`, where it is known.
            shape: Shape of the image, where neither the measurements nor `A_adjoint` have it.
        """
        super().__init__()
        self.physics = physics
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the measurements without noise.

        Raises:
            ShapeError: They are several tensors.
        """
        y = self.physics.A(x)
        if not isinstance(y, torch.Tensor):
            raise ShapeError("This physics has several measurements of an image; give one whose A(x) is one tensor.")
        return y

    def image_shape(self, shape: Shape) -> Shape:
        """Return the shape that was given, else that of A^T y, else that of the measurements."""
        if self.shape is not None or not hasattr(self.physics, "A_adjoint"):
            return self.shape or shape
        buffers = [*self.buffers(), torch.zeros(())]
        with torch.no_grad():
            back = self.physics.A_adjoint(torch.zeros(shape, device=buffers[0].device))
        return tuple(back.shape)  # type: ignore[return-value]

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return what a few iterations of conjugate gradients on A^T A x = A^T y make of the best flat image.

        Where A is not linear, its derivative at 0 stands for it.
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

        return conjugate_gradients(curvature, self.adjoint(y - origin), start, iterations=FEW)

    def observed_mask(self, y: torch.Tensor) -> torch.Tensor | None:
        """Return 0 where y is the same for any image, as outside the mask of k-space; None where all is measured."""
        shape = self.image_shape(tuple(y.shape))  # type: ignore[arg-type]
        rng = stream(0, "measured")
        with torch.no_grad():
            first, second = (self(torch.rand(shape, generator=rng).to(y)) for _ in range(2))
        differs = (first != second).to(y)
        return None if bool(differs.all()) else differs

    def noise(self) -> Fidelity | None:
        """Return the E of the physics' own noise model: Gaussian, Laplace's, or Poisson's in units of the image.

        None where it has none, or another one.
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
    """Return a number of a noise model's, the greatest where it has one for each image of a batch."""
    return float(torch.as_tensor(getattr(model, name)).max())


def is_physics(given: object) -> bool:
    """Return whether something is used as deepinv's physics are: it has `A` and a noise model."""
    return callable(getattr(given, "A", None)) and hasattr(given, "noise_model")
