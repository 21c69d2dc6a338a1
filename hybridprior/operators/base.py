"""The operator A of y = A x + n, and its traits.

Operators are modules, so that they move between devices and can be part of a network. A trait is an attribute or a
method with a default, such as `is_identity`, `downscale` or `known_pixels`. The rest of the library chooses its methods
by traits, never by the type of an operator, so that `Compose` and operators of the user are treated like the built-in
ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from hybridprior._internal.registry import Registry
from hybridprior.analysis.noise import estimate_sigma
from hybridprior.fidelities import Fidelity
from hybridprior.noise_model import NoiseModel

__all__ = ["OPERATORS", "Box", "CallableOperator", "Operator", "placed"]

Shape = tuple[int, int, int, int]


class Box(NamedTuple):
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """Return this part of an image `(B, C, H, W)`.

        Example:
            >>> Box(1, 2, 3, 4).of(torch.zeros(1, 3, 8, 8)).shape
            torch.Size([1, 3, 3, 4])
        """
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]


class Operator(nn.Module):
    """A linear or differentiable map from images to measurements.

    Subclasses define `forward`; the other methods have defaults for an operator whose measurements are an image of the
    same size.

    Example:
        >>> class Flip(Operator):
        ...     def forward(self, x):
        ...         return x.flip(-1)
        >>> Flip().adjoint(torch.tensor([[[[1.0, 2.0]]]]))
        tensor([[[[2., 1.]]]])
    """

    task: str = "denoise"
    """The task whose presets are used: "denoise", "sr", "inpaint", "deblur", "dejpeg" or "demosaic"."""

    tile_multiple: int | None = None
    """`crop` takes boxes in multiples of this number of pixels; None for an operator without `crop`."""

    images: bool = True
    """Whether the measurements are images, with intensity in [0, 1]."""

    is_identity: bool = False
    """Whether A x = x, so that restoring is denoising."""

    downscale: int | None = None
    """How many times smaller than the image y is, where y is the image at another scale; None elsewhere."""

    capturable: bool = False
    """Whether `forward` can be recorded as a CUDA graph: it runs the same kernels for all values and copies nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the measurements A x of an image x, `(B, C, H, W)`, intensity in [0, 1]."""
        raise NotImplementedError

    def image_shape(self, shape: Shape) -> Shape:
        """Return the shape `(B, C, H, W)` of the image whose measurements have `shape`."""
        return shape

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return A^T y by automatic differentiation (of A at 0 where A is not linear).

        Args:
            y: Measurements.
        """
        x = torch.zeros(self.image_shape(_shape(y)), dtype=y.dtype, device=y.device, requires_grad=True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self(x), x, grad_outputs=y)
        return gradient

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return a fast estimate of the image from y, `(1, C, H, W)`, as a start and as a baseline."""
        return y

    def crop_to_observed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the part of the image x in y's frame: all of it, unless A uses pixels beyond the frame."""
        return x

    def enforce_consistency(self, x: torch.Tensor, y: torch.Tensor, *, noisy: bool) -> torch.Tensor:
        """Return x with the pixels that y holds without noise (`known_pixels`) replaced by their measured values.

        Args:
            x: A restored image, `(1, C, H, W)`.
            y: The measurements.
            noisy: Whether y is noisy; then x is returned as it is.
        """
        known = None if noisy else self.known_pixels(y)
        return x if known is None else torch.where(known.to(x) > 0, self.adjoint(y).to(x), x)

    def known_pixels(self, y: torch.Tensor) -> torch.Tensor | None:
        """Return 1 for the pixels of the image that y holds unchanged and 0 for the missing ones.

        For these pixels `adjoint(y)` is the measured value. None where no pixel is missing, or where the measurements
        are not pixels of the image.

        Args:
            y: The measurements.

        Returns:
            `(1, 1 or C, H, W)` in the image's size, or None.
        """
        return None

    def noise_level(self, y: torch.Tensor) -> float:
        """Return the standard deviation of the noise in y, estimated from y, in units of intensity."""
        return estimate_sigma(y, self.observed_mask(y))

    def noise_model(self, y: torch.Tensor) -> NoiseModel | None:
        """Return the noise of y, estimated from y; None where y is not an image whose noise can be estimated."""
        return None

    def observed_mask(self, y: torch.Tensor) -> torch.Tensor | None:
        """Return 1 where an entry of y was measured and 0 elsewhere, in y's shape; None where all were measured."""
        return None

    def noise(self) -> Fidelity | None:
        """Return E for the noise of the operator, or None where the operator does not determine it."""
        return None

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return A for a part of the image, and the corresponding part of y; for images restored tile by tile.

        Args:
            box: The part, in multiples of `tile_multiple`.
        """
        raise NotImplementedError

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y cannot be this operator's measurements."""


OPERATORS: Registry[Callable[..., Operator]] = Registry("operator")


class CallableOperator(Operator):
    """A differentiable function of images as an operator.

    Example:
        >>> grey = CallableOperator(lambda x: x.mean(1, keepdim=True), shape=(1, 3, 8, 8))
        >>> grey.initial_estimate(torch.full((1, 1, 8, 8), 0.5)).shape
        torch.Size([1, 3, 8, 8])
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], shape: Shape | None = None) -> None:
        """Wrap a function.

        Args:
            function: Takes `(B, C, H, W)` and returns measurements of any shape; differentiable by torch.
            shape: Shape of the image, where it differs from that of the measurements.
        """
        super().__init__()
        self.function = function
        self.shape = shape
        self.images = shape is None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the function's value."""
        return self.function(x)

    def image_shape(self, shape: Shape) -> Shape:
        """Return the given shape, else that of the measurements."""
        return self.shape or shape

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return y where it has the image's shape, else A^T y scaled so that A x is nearest to y."""
        if self.image_shape(_shape(y)) == tuple(y.shape):
            return y
        back = self.adjoint(y)
        again = self(back)
        scale = (again * y).sum() / again.square().sum().clamp_min(1e-12)
        estimate: torch.Tensor = (back * scale).clamp(0, 1)
        return estimate


def _shape(y: torch.Tensor) -> Shape:
    return (y.shape[0], y.shape[1], y.shape[2], y.shape[3]) if y.ndim == 4 else tuple(y.shape)  # type: ignore[return-value]


def placed(operator: Operator, device: torch.device) -> Operator:
    """Return the operator on a device, with parameters that need no gradient; the given one is not changed.

    Args:
        operator: A; it is copied if anything has to be changed.
        device: The device.

    Example:
        >>> placed(Operator(), torch.device("cpu"))
        Operator()
    """
    tensors = (*operator.parameters(), *operator.buffers())
    if not any(tensor.device != device or tensor.requires_grad or tensor.is_inference() for tensor in tensors):
        return operator
    return copy.deepcopy(operator).to(device).requires_grad_(False)
