"""Fused convolution, batch norm and leaky ReLU for one image on a GPU in bf16.

- A bias before batch norm is omitted, since batch norm removes it.
- Batch norm (Ioffe and Szegedy, 2015) and leaky ReLU are one operation.
- The concatenation of the skip connection and the upsampled coarser level is one operation without copies.
- Channels are padded with zeros to multiples of eight, as the matrix units require.

The kernels (`kernels`) are written in Triton and compiled at their first use. Sums are computed in fp32.
"""

from __future__ import annotations

import functools
import logging
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

__all__ = ["EIGHT", "fits", "merged", "mixed", "normalised", "unbiased"]

EIGHT = 8
"""The matrix units process channels in multiples of this number."""

TILE = 2048
"""Numbers that a program processes at a time."""

WARPS = 4
"""Warps of a program."""

MOST = 2**28
"""Largest size of a feature map: the kernels use indices of 32 bits, and upsampling makes maps four times larger."""

PROGRAMS = 528
"""Programs that sum over pixels: four for each multiprocessor of a large GPU."""

DEPTH, LANES = 128, 16
"""Block of the reduction over programs: programs, and sums of each."""


log = logging.getLogger(__name__)


@functools.lru_cache
def _compiler() -> ModuleType:
    """Return the module of the kernels. It needs Triton, which torch installs where it supports the GPU."""
    from hybridprior.generators.cuda import kernels

    return kernels


@functools.lru_cache
def _compiles(device: torch.device) -> bool:
    """Return whether the kernels can be compiled and run on the device."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return False
    try:
        parts = torch.arange(2.0 * LANES, device=device).view(2, LANES)
        out = torch.empty_like(parts[0])
        _launch("collect", 1, out, parts, out, 2, LANES, depth=DEPTH, lanes=LANES)
        return torch.equal(out, parts.sum(0))
    except Exception as error:  # any error: the network works without the kernels
        log.warning("The fused kernels are not available, and the network runs slower: %s", error)
        return False


def fits(x: torch.Tensor) -> bool:
    """Return whether x, `(B, C, H, W)`, can be fused: one image on a GPU in bf16 and channels_last."""
    return (
        x.is_cuda
        and x.shape[0] == 1
        and x.numel() < MOST
        and torch.is_autocast_enabled("cuda")
        and torch.get_autocast_dtype("cuda") == torch.bfloat16
        and x.is_contiguous(memory_format=torch.channels_last)
        and _compiles(x.device)
    )


def unbiased(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Return a convolution without its bias, `(1, C', H', W')`.

    Args:
        conv: The layer.
        x: Its input `(1, C, H, W)`, which may have additional channels of zeros.
    """
    more = x.shape[1] - conv.in_channels
    if not more and conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.out_channels < EIGHT:
        return mixed(
            x, conv.weight, kind=torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else x.dtype
        )
    weight = F.pad(conv.weight, (0, 0, 0, 0, 0, more)) if more else conv.weight
    y: torch.Tensor = conv._conv_forward(x, weight, None)
    return y.contiguous(memory_format=torch.channels_last)


def normalised(x: torch.Tensor, norm: nn.BatchNorm2d, slope: float = 1.0, *, filled: bool = False) -> torch.Tensor:
    """Return the leaky ReLU of the batch norm of x, in the type of x.

    Args:
        x: `(1, C, H, W)`, channels last.
        norm: The layer.
        slope: Slope of the leaky ReLU; 1 for none.
        filled: Whether the channels are padded with zeros to a multiple of eight.
    """
    wide = -(-x.shape[1] // EIGHT) * EIGHT if filled else x.shape[1]
    made: torch.Tensor = _Normalised.apply(x, norm.weight, norm.bias, norm.eps, slope, wide)
    return made


def merged(skip: torch.Tensor, deeper: torch.Tensor) -> torch.Tensor:
    """Return the channels of the skip connection, then those of the coarser level after bilinear upsampling.

    Args:
        skip: `(1, S, H, W)`, channels last.
        deeper: `(1, D, H/2, W/2)`, channels last.
    """
    made: torch.Tensor = _Merged.apply(skip, deeper)
    return made


def mixed(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    sigmoid: bool = False,
    kind: torch.dtype,
) -> torch.Tensor:
    """Return a 1x1 convolution to few channels, computed in fp32.

    Args:
        x: `(1, C, H, W)`, channels last.
        weight: `(C', C, 1, 1)`.
        bias: `(C',)`.
        sigmoid: Whether to apply the sigmoid.
        kind: Type of the result.
    """
    made: torch.Tensor = _Mixed.apply(x, weight, bias, sigmoid, kind)
    return made


def _launch(name: str, programs: int, x: torch.Tensor, *arguments: Any, **shape: int) -> None:
    """Run a kernel on the device of x."""
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        getattr(_compiler(), name)[(programs,)](*arguments, **shape)


def _lanes(channels: int) -> int:
    """Return the next power of two, as the kernels require."""
    return int(2 ** (channels - 1).bit_length())


def _tile(lanes: int) -> dict[str, int]:
    return {"rows": max(1, TILE // lanes), "lanes": lanes, "num_warps": WARPS}


def _empty(x: torch.Tensor, channels: int, height: int, width: int, kind: torch.dtype | None = None) -> torch.Tensor:
    """Return an empty feature map in channels_last."""
    shape, kind = (1, channels, height, width), kind or x.dtype
    return torch.empty(shape, dtype=kind, device=x.device, memory_format=torch.channels_last)


class _Sums:
    """The partial sums over the pixels of a feature map, one set for each program."""

    def __init__(self, x: torch.Tensor, each: int) -> None:
        """Allocate `each` sums for every program."""
        self.pixels = x.shape[2] * x.shape[3]
        self.tile = _tile(_lanes(x.shape[1]))
        blocks = -(-self.pixels // self.tile["rows"])
        self.chunk = -(-blocks // PROGRAMS) * self.tile["rows"]
        self.programs = -(-self.pixels // self.chunk)
        self.each, self.parts = each, x.new_empty((self.programs, each), dtype=torch.float32)

    def collected(self) -> torch.Tensor:
        """Return the sums over all programs."""
        out = self.parts.new_empty(self.each)
        few = {"depth": DEPTH, "lanes": LANES}
        _launch("collect", -(-self.each // LANES), out, self.parts, out, self.programs, self.each, **few)
        return out


class _Normalised(torch.autograd.Function):
    """Batch norm and leaky ReLU."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float, slope: float, wide: int
    ) -> torch.Tensor:
        """Sum, compute the statistics, normalise."""
        channels = x.shape[1]
        sums, tile = _Sums(x, 2 * channels), _tile(_lanes(wide))
        stats, out = x.new_empty((4, channels), dtype=torch.float32), _empty(x, wide, *x.shape[2:])
        n, parts = sums.pixels, sums.parts
        _launch("add_up", sums.programs, x, x, parts, n, sums.chunk, channels, **sums.tile)
        few = {"depth": DEPTH, "lanes": LANES}
        made = (parts, weight, bias, stats, n, sums.programs, eps, channels)
        _launch("settle", -(-channels // LANES), x, x, *made, **few)
        _launch("normalise", -(-n // tile["rows"]), x, x, stats, out, n, slope, channels, wide, **tile)
        ctx.save_for_backward(x, stats)
        ctx.slope, ctx.wide = slope, wide
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        """Sum, reduce, differentiate."""
        x, stats = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        channels, wide, slope = x.shape[1], ctx.wide, ctx.slope
        sums, out = _Sums(x, 2 * channels), _empty(x, *x.shape[1:])
        n, tile = sums.pixels, sums.tile
        seen = (x, gradient, stats)
        _launch("slopes", sums.programs, x, *seen, sums.parts, n, sums.chunk, slope, channels, wide, **tile)
        found = sums.collected()
        _launch("differentiate", -(-n // tile["rows"]), x, *seen, found, out, n, slope, channels, wide, **tile)
        return out, found[channels:], found[:channels], None, None, None


class _Merged(torch.autograd.Function):
    """Concatenation of a skip connection and the upsampled coarser level."""

    @staticmethod
    def forward(ctx: Any, skip: torch.Tensor, deeper: torch.Tensor) -> torch.Tensor:
        """Upsample and concatenate."""
        skip, deeper = (x.contiguous(memory_format=torch.channels_last) for x in (skip, deeper))
        (few, height, width), many = skip.shape[1:], deeper.shape[1]
        ctx.sizes = few, many, height, width
        out, tile = _empty(skip, few + many, height, width), _tile(_lanes(many))
        programs, thin = -(-height * width // tile["rows"]), _lanes(few)
        _launch("merge", programs, skip, skip, deeper, out, height, width, few, many, thin=thin, **tile)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Split the gradient and apply the adjoint of the upsampling."""
        few, many, height, width = ctx.sizes
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        out, tile = _empty(gradient, many, height // 2, width // 2), _tile(_lanes(many))
        programs = -(-(height // 2) * (width // 2) // tile["rows"])
        _launch("gather", programs, out, gradient, out, height, width, few, many, **tile)
        return gradient[:, :few].contiguous(memory_format=torch.channels_last), out


class _Mixed(torch.autograd.Function):
    """A 1x1 convolution to few channels."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, sigmoid: bool, kind: torch.dtype
    ) -> torch.Tensor:
        """Multiply."""
        few, channels, n = weight.shape[0], weight.shape[1], x.shape[2] * x.shape[3]
        out, tile = _empty(x, few, x.shape[2], x.shape[3], kind), _tile(_lanes(channels))
        shape = (channels, few, bias is not None, sigmoid)
        _launch("mix", -(-n // tile["rows"]), x, x, weight, bias, out, n, *shape, **tile)
        ctx.save_for_backward(x, weight, out if sigmoid else None)
        ctx.biased = bias is not None
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        """Multiply by the transposed weights, and sum."""
        x, weight, y = ctx.saved_tensors
        few, channels = weight.shape[:2]
        sums, gradient = _Sums(x, few * (channels + 1)), gradient.contiguous(memory_format=torch.channels_last)
        out = _empty(x, *x.shape[1:]) if ctx.needs_input_grad[0] else None
        shape = (channels, few, y is not None, out is not None)
        given = (x, weight, y, gradient, out, sums.parts, sums.pixels, sums.chunk)
        _launch("unmix", sums.programs, x, *given, *shape, **sums.tile)
        found = sums.collected().view(few, channels + 1)
        bias = found[:, channels].clone() if ctx.biased else None
        return out, found[:, :channels].reshape(weight.shape).clone(), bias, None, None
