"""The reduction: the image is filtered and sampled by an integer factor. The task is super-resolution.

Kernels are those of the papers: Lanczos as in Deep Image Prior (phase 0.5: pixels are areas, so that sample j of the
small image lies at the middle of its factor x factor block), bicubic with a = -1/2 stretched by the factor (Keys 1981;
MATLAB's antialiased `imresize`), and the average over the block.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from hybridprior.errors import ConfigError, ShapeError, unknown_name
from hybridprior.operators.base import OPERATORS, Box, Operator, Shape

__all__ = ["KERNELS", "Downsample"]


def _lanczos(support: int) -> Callable[[float], float]:
    def kernel(t: float) -> float:
        if t == 0:
            return 1.0
        return support * math.sin(math.pi * t) * math.sin(math.pi * t / support) / (math.pi * t) ** 2

    return kernel


def _cubic(t: float) -> float:
    t = abs(t)
    if t >= 2:
        return 0.0
    return 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2


KERNELS: dict[str, tuple[Callable[[float], float], float, str]] = {
    "lanczos2": (_lanczos(2), 2.0, "replicate"),
    "lanczos3": (_lanczos(3), 3.0, "replicate"),
    "bicubic": (_cubic, 2.0, "symmetric"),
    "area": (lambda t: 1.0, 0.5, "replicate"),
}
"""Name -> (kernel over the distance in small pixels, its half width, the rule beyond the border)."""


@OPERATORS.register("resample")
class Downsample(Operator):
    """A x = x low-pass filtered and sampled at every `factor`-th pixel.

    An image whose sides are not multiples of the factor gives measurements of `ceil(H / factor)` rows; the last one
    extends beyond the border.

    Example:
        >>> operator = Downsample(2, "bicubic")
        >>> operator(torch.rand(1, 3, 8, 8)).shape, operator.downscale
        (torch.Size([1, 3, 4, 4]), 2)
    """

    task = "sr"
    capturable = True

    def __init__(self, factor: int, kernel: str = "lanczos2") -> None:
        """Choose factor and kernel.

        Args:
            factor: Ratio of the image's side to that of y, 2 or more (1 is the identity).
            kernel: "lanczos2", "lanczos3", "bicubic" or "area".

        Raises:
            ConfigError: A factor below 1 or not an integer, or an unknown kernel.
        """
        super().__init__()
        if not math.isfinite(factor) or factor != int(factor) or factor < 1:
            raise ConfigError(f"The scale is an integer, 2 or more, not {factor}.")
        if kernel not in KERNELS:
            raise unknown_name("kernel", kernel, KERNELS)
        self.factor = int(factor)
        self.kernel = kernel
        self.tile_multiple = self.factor
        self.downscale = self.factor if self.factor > 1 else None
        self._matrices: dict[tuple[int, torch.dtype, torch.device], torch.Tensor] = {}

    def matrix(self, side: int, like: torch.Tensor) -> torch.Tensor:
        """Return the matrix `(ceil(side / factor), side)` that reduces one side of an image.

        Args:
            side: Length of the side.
            like: A tensor of the matrix's type and device.
        """
        key = (side, like.dtype, like.device)
        if key not in self._matrices:
            self._matrices[key] = _matrix(side, self.factor, self.kernel).to(like)
        return self._matrices[key]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the small image, `(B, C, ceil(H / factor), ceil(W / factor))`."""
        rows, columns = self.matrix(x.shape[-2], x), self.matrix(x.shape[-1], x)
        return rows @ (x @ columns.T)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return A^T y, `(B, C, factor h, factor w)`."""
        _, _, height, width = self.image_shape((y.shape[0], y.shape[1], y.shape[2], y.shape[3]))
        return self.matrix(height, y).T @ (y @ self.matrix(width, y))

    def image_shape(self, shape: Shape) -> Shape:
        """Return the image's shape, `factor` times larger than y."""
        if len(shape) != 4:
            raise ShapeError(f"An image has the shape (B, C, H, W), not {tuple(shape)}.")
        return (shape[0], shape[1], shape[2] * self.factor, shape[3] * self.factor)

    def crop(self, box: Box) -> tuple[Operator, Box]:
        """Return the same operator, and the part of y that corresponds to the box."""
        return self, Box(*(side // self.factor for side in box))

    def initial_estimate(self, y: torch.Tensor) -> torch.Tensor:
        """Return the bicubic interpolation of y (a = -1/2, as in published baselines)."""
        rows, columns = (_enlarging(side, self.factor).to(y) for side in y.shape[-2:])
        return (rows @ (y @ columns.T)).clamp(0, 1)


def _matrix(side: int, factor: int, kernel: str) -> torch.Tensor:
    """Return the matrix `(ceil(side / factor), side)` of a kernel, in double precision."""
    weight, support, border = KERNELS[kernel]
    small = math.ceil(side / factor)
    matrix = torch.zeros(small, side, dtype=torch.float64)
    for j in range(small):
        centre = (j + 0.5) * factor - 0.5
        reach = support * factor
        for i in range(math.ceil(centre - reach), math.floor(centre + reach) + 1):
            t = (i - centre) / factor
            if abs(t) < support:
                matrix[j, _inside(i, side, border)] += weight(t)
    return matrix / matrix.sum(dim=1, keepdim=True)


def _enlarging(small: int, factor: int) -> torch.Tensor:
    """Return the matrix `(factor * small, small)` of bicubic interpolation."""
    matrix = torch.zeros(small * factor, small, dtype=torch.float64)
    for i in range(small * factor):
        centre = (i + 0.5) / factor - 0.5
        for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
            matrix[i, _inside(j, small, "symmetric")] += _cubic(centre - j)
    return matrix


def _inside(i: int, side: int, border: str) -> int:
    """Return the pixel in [0, side) for position i, which may be beyond the border."""
    if border == "replicate":
        return min(max(i, 0), side - 1)
    i %= 2 * side
    return min(i, 2 * side - 1 - i)
