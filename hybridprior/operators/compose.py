"""The composition of operators, A = A_n ... A_1, with their traits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from hybridprior.errors import ConfigError
from hybridprior.fidelities import Fidelity
from hybridprior.operators.base import OPERATORS, Operator, Shape

__all__ = ["Compose"]


@OPERATORS.register("compose")
class Compose(Operator):
    """A x = A_n ( ... A_1 x): `Compose(blur, downsample, mask)` blurs first and masks last.

    Example:
        >>> from hybridprior.operators import Blur, Downsample
        >>> operator = Compose(Blur(torch.ones(3, 3), "reflect"), Downsample(2))
        >>> operator.task, operator.downscale, operator(torch.rand(1, 3, 8, 8)).shape
        ('sr', 2, torch.Size([1, 3, 4, 4]))
    """

    def __init__(self, *operators: Operator) -> None:
        """Take the operators in the order in which they are applied.

        Args:
            operators: One or more. The task is that of the last operator whose task is not "denoise".

        Raises:
            ConfigError: No operator.
        """
        super().__init__()
        if not operators:
            raise ConfigError("Compose takes one operator at least; use Identity() for denoising.")
        self.operators = nn.ModuleList(operators)
        self.images = operators[-1].images
        self.task = next((a.task for a in reversed(operators) if a.task != "denoise"), "denoise")
        self.is_identity = all(a.is_identity for a in operators)
        self.downscale = _downscale([a for a in operators if not a.is_identity])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the measurements of the last operator."""
        for operator in self.operators:
            x = operator(x)
        return x

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return A_1^T ... A_n^T y."""
        for operator in reversed(self.operators):
            y = operator.adjoint(y)  # type: ignore[operator]
        return y

    def image_shape(self, shape: Shape) -> Shape:
        """Return the shape of the first operator's image."""
        for operator in reversed(self.operators):
            shape = operator.image_shape(shape)  # type: ignore[operator]
        return shape

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return the first operator's estimate from that of the second, and so on."""
        for operator in reversed(self.operators):
            y = operator.initial_estimate(y)  # type: ignore[operator]
        return y

    def crop_to_observed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the part of the image in the first operator's frame."""
        return self.operators[0].crop_to_observed(x)  # type: ignore[operator, no-any-return]

    def noise(self) -> Fidelity | None:
        """Return E for the noise of the last operator."""
        return self.operators[-1].noise()  # type: ignore[operator, no-any-return]

    def noise_level(self, y: torch.Tensor) -> float:
        """Return the last operator's estimate."""
        return self.operators[-1].noise_level(y)  # type: ignore[operator, no-any-return]

    def observed_mask(self, y: torch.Tensor) -> torch.Tensor | None:
        """Return the last operator's mask."""
        return self.operators[-1].observed_mask(y)  # type: ignore[operator, no-any-return]

    def known_pixels(self, y: torch.Tensor) -> torch.Tensor | None:
        """Return the pixels that every operator leaves unchanged; None where one of them changes pixels."""
        known: torch.Tensor | None = None
        for operator in reversed([a for a in self.operators if not a.is_identity]):
            left = operator.known_pixels(y)  # type: ignore[operator]
            if left is None:
                return None
            known = left if known is None else left * operator.adjoint(known)  # type: ignore[operator]
            y = operator.adjoint(y)  # type: ignore[operator]
        return known

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y cannot be measurements of the last operator."""
        self.operators[-1].check(y)  # type: ignore[operator]


def _downscale(operators: Sequence[Operator]) -> int | None:
    """Return the product of the factors; None where y is not the image at another scale.

    A blur may precede a reduction. After it, y would be a blurred or incomplete image of the smaller scale.
    """
    if not operators or operators[-1].downscale is None or any(not _keeps_scale(a) for a in operators):
        return None
    return math.prod(a.downscale or 1 for a in operators)


def _keeps_scale(operator: Operator) -> bool:
    return operator.downscale is not None or operator.task == "deblur"
