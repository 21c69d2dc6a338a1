"""Batch norm with leaky ReLU, in two passes forward and two backward.

Ioffe and Szegedy, "Batch Normalization", ICML 2015. Each program sums over one chunk of pixels, and the sums are
added in a fixed order.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language import constexpr

__all__ = ["add_up", "collect", "differentiate", "normalise", "settle", "slopes"]

_compiled = triton.jit(do_not_specialize=["pixels", "chunk", "programs", "size"])


@triton.jit
def _settled(stats, c, channels: constexpr):
    """Load mean, 1 / standard deviation, scale and offset of channels c."""
    real = c < channels
    mean = tl.load(stats + c, mask=real, other=0.0)
    inverse = tl.load(stats + channels + c, mask=real, other=0.0)
    scale = tl.load(stats + 2 * channels + c, mask=real, other=0.0)
    level = tl.load(stats + 3 * channels + c, mask=real, other=0.0)
    return mean, inverse, scale, level


@triton.jit
def _store_sums(part, first, second, c, channels: constexpr):
    """Store two sums over the rows of a chunk: part is `(2, channels)`."""
    tl.store(part + c, tl.sum(first, 0), mask=c < channels)
    tl.store(part + channels + c, tl.sum(second, 0), mask=c < channels)


@_compiled
def add_up(x, parts, pixels, chunk, channels: constexpr, rows: constexpr, lanes: constexpr):
    """Sum x - x[0] and its square over a chunk of pixels: parts is `(programs, 2, channels)`."""
    program = tl.program_id(0)
    c = tl.arange(0, lanes)
    real = c < channels
    origin = tl.load(x + c, mask=real, other=0.0).to(tl.float32)
    total = tl.zeros((rows, lanes), tl.float32)
    squares = tl.zeros((rows, lanes), tl.float32)
    end = tl.minimum((program + 1) * chunk, pixels)
    for start in range(program * chunk, end, rows):
        row = start + tl.arange(0, rows)
        there = (row < end)[:, None] & real[None, :]
        value = tl.load(x + row[:, None] * channels + c[None, :], mask=there, other=0.0).to(tl.float32)
        value = tl.where(there, value - origin[None, :], 0.0)
        total += value
        squares += value * value
    _store_sums(parts + program * 2 * channels, total, squares, c, channels)


@_compiled
def settle(x, parts, weight, bias, stats, pixels, programs, eps, size, depth: constexpr, lanes: constexpr):
    """Compute mean, 1 / standard deviation, scale and offset from the sums: stats is `(4, size)`."""
    c = tl.program_id(0) * lanes + tl.arange(0, lanes)
    real = c < size
    total = tl.zeros((depth, lanes), tl.float32)
    squares = tl.zeros((depth, lanes), tl.float32)
    for start in range(0, programs, depth):
        row = start + tl.arange(0, depth)
        there = (row < programs)[:, None] & real[None, :]
        place = parts + row[:, None] * 2 * size + c[None, :]
        total += tl.load(place, mask=there, other=0.0)
        squares += tl.load(place + size, mask=there, other=0.0)
    offset = tl.sum(total, 0) / pixels
    variance = tl.maximum(tl.sum(squares, 0) / pixels - offset * offset, 0.0)
    mean = offset + tl.load(x + c, mask=real, other=0.0).to(tl.float32)
    inverse = 1.0 / tl.sqrt(variance + eps)
    scale = inverse * tl.load(weight + c, mask=real, other=0.0)
    level = tl.load(bias + c, mask=real, other=0.0)
    tl.store(stats + c, mean, mask=real)
    tl.store(stats + size + c, inverse, mask=real)
    tl.store(stats + 2 * size + c, scale, mask=real)
    tl.store(stats + 3 * size + c, level, mask=real)


@_compiled
def normalise(x, stats, out, pixels, slope, channels: constexpr, wide: constexpr, rows: constexpr, lanes: constexpr):
    """Write leaky(scale (x - mean) + offset), `(pixels, wide)`, with zeros in the additional channels."""
    c = tl.arange(0, lanes)
    real = c < channels
    mean, _, scale, level = _settled(stats, c, channels)
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    inside = (row < pixels)[:, None]
    value = tl.load(x + row[:, None] * channels + c[None, :], mask=inside & real[None, :], other=0.0).to(tl.float32)
    value = (value - mean[None, :]) * scale[None, :] + level[None, :]
    value = tl.where(value > 0, value, value * slope)
    tl.store(out + row[:, None] * wide + c[None, :], value.to(out.dtype.element_ty), mask=inside & (c < wide)[None, :])


@_compiled
def slopes(
    x,
    gradient,
    stats,
    parts,
    pixels,
    chunk,
    slope,
    channels: constexpr,
    wide: constexpr,
    rows: constexpr,
    lanes: constexpr,
):
    """Sum g and g x^ over a chunk of pixels, g at the input of the leaky ReLU: parts is `(programs, 2, channels)`."""
    program = tl.program_id(0)
    c = tl.arange(0, lanes)
    real = c < channels
    mean, inverse, scale, level = _settled(stats, c, channels)
    total = tl.zeros((rows, lanes), tl.float32)
    products = tl.zeros((rows, lanes), tl.float32)
    end = tl.minimum((program + 1) * chunk, pixels)
    for start in range(program * chunk, end, rows):
        row = start + tl.arange(0, rows)
        there = (row < end)[:, None] & real[None, :]
        value = tl.load(x + row[:, None] * channels + c[None, :], mask=there, other=0.0).to(tl.float32)
        g = tl.load(gradient + row[:, None] * wide + c[None, :], mask=there, other=0.0).to(tl.float32)
        g = tl.where((value - mean[None, :]) * scale[None, :] + level[None, :] > 0, g, g * slope)
        total += g
        products += g * (value - mean[None, :]) * inverse[None, :]
    _store_sums(parts + program * 2 * channels, total, products, c, channels)


@_compiled
def collect(parts, out, programs, size, depth: constexpr, lanes: constexpr):
    """Sum the parts over programs: out is `(size,)`."""
    c = tl.program_id(0) * lanes + tl.arange(0, lanes)
    total = tl.zeros((depth, lanes), tl.float32)
    for start in range(0, programs, depth):
        row = start + tl.arange(0, depth)
        there = (row < programs)[:, None] & (c < size)[None, :]
        total += tl.load(parts + row[:, None] * size + c[None, :], mask=there, other=0.0)
    tl.store(out + c, tl.sum(total, 0), mask=c < size)


@_compiled
def differentiate(
    x,
    gradient,
    stats,
    sums,
    out,
    pixels,
    slope,
    channels: constexpr,
    wide: constexpr,
    rows: constexpr,
    lanes: constexpr,
):
    """Write the gradient of x: scale (g - mean g - x^ mean(g x^)); sums is `(2, channels)`, of g and of g x^."""
    c = tl.arange(0, lanes)
    real = c < channels
    mean, inverse, scale, level = _settled(stats, c, channels)
    total = tl.load(sums + c, mask=real, other=0.0) / pixels
    products = tl.load(sums + channels + c, mask=real, other=0.0) / pixels
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    there = (row < pixels)[:, None] & real[None, :]
    place = row[:, None] * channels + c[None, :]
    value = tl.load(x + place, mask=there, other=0.0).to(tl.float32)
    g = tl.load(gradient + row[:, None] * wide + c[None, :], mask=there, other=0.0).to(tl.float32)
    g = tl.where((value - mean[None, :]) * scale[None, :] + level[None, :] > 0, g, g * slope)
    g -= total[None, :] + (value - mean[None, :]) * inverse[None, :] * products[None, :]
    tl.store(out + place, (g * scale[None, :]).to(out.dtype.element_ty), mask=there)
