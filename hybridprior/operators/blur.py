"""Blur: the image convolved with a known kernel. The task is (non-blind) deblurring.

Pixels beyond the frame are blurred into it. With "valid" measurements the image is larger than y by the kernel's reach,
so that these pixels are unknowns and the restored frame has no ringing at its border (Almeida and Figueiredo,
"Deconvolving Images with Unknown Boundaries Using the Alternating Direction Method of Multipliers", IEEE TIP 2013);
`crop_to_observed` returns y's frame. "circular" is the convention of published tables, where y was made that way.

The convolution is a product of Fourier transforms for every size of the kernel.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from hybridprior.errors import ShapeError, unknown_name
from hybridprior.operators.base import OPERATORS, Box, Operator, Shape
from hybridprior.operators.kernels import normalised

__all__ = ["BOUNDARIES", "Blur"]

BOUNDARIES = ("valid", "circular", "reflect", "replicate")
"""How the image continues beyond the frame: "valid" for unknown pixels, or a rule of padding."""


@OPERATORS.register("blur")
class Blur(Operator):
    """A x = k * x.

    Example:
        >>> Blur(torch.ones(3, 3))(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 6, 6])
        >>> Blur(torch.ones(3, 3), "circular")(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 8, 8])
    """

    task = "deblur"
    kernel: torch.Tensor

    def __init__(self, kernel: torch.Tensor, boundary: str = "valid") -> None:
        """Take the kernel.

        Args:
            kernel: `(h, w)`, not negative; it is divided by its sum. Its centre is `(h // 2, w // 2)`.
            boundary: "valid": y has `h - 1` rows and `w - 1` columns fewer than the image; "circular", "reflect" or
                "replicate": y is as large as the image, which is padded in that way.

        Raises:
            InputError: `kernel` is not a kernel.
            ConfigError: An unknown boundary.
        """
        super().__init__()
        if boundary not in BOUNDARIES:
            raise unknown_name("boundary", boundary, BOUNDARIES)
        self.register_buffer("kernel", normalised(torch.as_tensor(kernel)))
        self.boundary = boundary
        self.tile_multiple = 1 if boundary == "valid" else None

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Reach of the kernel beyond the frame in pixels: left, right, top, bottom."""
        height, width = self.kernel.shape
        return ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the blurred image: `(B, C, H, W)`, or `(B, C, H - h + 1, W - w + 1)` where it is "valid"."""
        height, width = self.kernel.shape
        if self.boundary != "valid":
            room = {"reflect": 1, "circular": 0}.get(self.boundary, -math.inf)  # the limits of `F.pad`
            if height // 2 + room > x.shape[-2] or width // 2 + room > x.shape[-1]:
                sides = f"{x.shape[-1]} x {x.shape[-2]}"
                raise ShapeError(f"A kernel of {width} x {height} is too large for an image of {sides}.")
            x = F.pad(x, self.margins, mode=self.boundary)
        blurred: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * self._response(x), s=x.shape[-2:])
        return blurred[..., height - 1 :, width - 1 :]

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return A^T y: y correlated with the kernel."""
        if self.boundary != "valid":
            return super().adjoint(y)
        height, width = self.kernel.shape
        wide = F.pad(y, (width - 1, 0, height - 1, 0))
        back: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(wide) * self._response(wide).conj(), s=wide.shape[-2:])
        return back

    def image_shape(self, shape: Shape) -> Shape:
        """Return y's shape, enlarged by the kernel's reach where it is "valid"."""
        if self.boundary != "valid" or len(shape) != 4:
            return shape
        return (shape[0], shape[1], shape[2] + self.kernel.shape[0] - 1, shape[3] + self.kernel.shape[1] - 1)

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return y, with its border pixels repeated beyond the frame where it is "valid"."""
        return F.pad(y, self.margins, mode="replicate") if self.boundary == "valid" else y

    def crop_to_observed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the part of the image in y's frame."""
        if self.boundary != "valid":
            return x
        left, right, top, bottom = self.margins
        return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the same operator, and the part of y that depends on the box only."""
        height, width = self.kernel.shape
        if box.height < height or box.width < width:
            raise ShapeError(f"The kernel is {width} x {height}, larger than a tile of {box.width} x {box.height}.")
        return self, Box(box.top, box.left, box.height - height + 1, box.width - width + 1)

    def check(self, y: torch.Tensor) -> None:
        """Raise `ShapeError` if y is not an image, or smaller than the kernel where the image is padded."""
        if y.ndim != 4:
            raise ShapeError(f"A blurred image has the shape (B, C, H, W), not {tuple(y.shape)}.")
        (h, w), (a, b) = self.kernel.shape, y.shape[-2:]
        if self.boundary != "valid" and (h > a or w > b):
            raise ShapeError(f"The kernel is {w} x {h}, larger than the image of {b} x {a}; use boundary 'valid'.")

    def _response(self, x: torch.Tensor) -> torch.Tensor:
        """Return the kernel's Fourier transform in x's size."""
        response: torch.Tensor = torch.fft.rfft2(self.kernel.to(x.dtype), s=x.shape[-2:])
        return response
