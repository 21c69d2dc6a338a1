"""Whatever a caller gives as an operator becomes an `Operator`: `as_operator()`."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hybridprior.errors import ShapeError
from hybridprior.operators.base import CallableOperator, Operator, Shape
from hybridprior.operators.deepinv import PhysicsOperator, is_physics
from hybridprior.operators.identity import Identity

__all__ = ["as_operator"]


def as_operator(
    operator: Operator | Callable[[torch.Tensor], torch.Tensor] | None, *, shape: Shape | None = None
) -> Operator:
    """Return `operator` as an `Operator`: None is the identity; a physics of deepinv or a callable is wrapped.

    Args:
        operator: An operator, a physics, a differentiable callable, or None.
        shape: `(B, C, H, W)` of the image, for callables whose measurements have another shape.

    Raises:
        ShapeError: `operator` is none of these.

    Example:
        >>> as_operator(None)
        Identity()
    """
    if operator is None:
        return Identity()
    if isinstance(operator, Operator):
        return operator
    if isinstance(operator, type):
        raise ShapeError(f"{operator.__name__} is a class; give an instance: {operator.__name__}(...).")
    if is_physics(operator):
        return PhysicsOperator(operator, shape)
    if callable(operator):
        return CallableOperator(operator, shape)
    raise ShapeError(f"An operator is an Operator, a callable or None, not {type(operator).__name__}.")
