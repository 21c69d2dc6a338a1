"""Kernels for the glue between convolutions, which on a GPU costs more than the convolutions of a network so small.

Batch norm (Ioffe and Szegedy, 2015) with leaky ReLU in two passes forward and two backward, and the meeting of a skip
with the doubled coarser level in one pass each way. Feature maps are rows of channels, `(pixels, C)`, as channels_last
has them in memory; sums are fp32, and of the same bits every time.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language import constexpr

__all__ = ["add_up", "collect", "differentiate", "gather", "merge", "mix", "normalise", "settle", "slopes", "unmix"]

_compiled = triton.jit(do_not_specialize=["pixels", "chunk", "programs", "height", "width", "size"])


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
    place = parts + program * 2 * channels + c
    tl.store(place, tl.sum(total, 0), mask=real)
    tl.store(place + channels, tl.sum(squares, 0), mask=real)


@_compiled
def settle(x, parts, weight, bias, stats, pixels, programs, eps, size, depth: constexpr, lanes: constexpr):
    """Make mean, 1 / deviation, scale and level of the parts: stats is `(4, size)`."""
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
    """Write leaky(scale (x - mean) + level), `(pixels, wide)`, with zeros in the channels that x has not."""
    c = tl.arange(0, lanes)
    real = c < channels
    mean = tl.load(stats + c, mask=real, other=0.0)
    scale = tl.load(stats + 2 * channels + c, mask=real, other=0.0)
    level = tl.load(stats + 3 * channels + c, mask=real, other=0.0)
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
    """Sum g and g x^ over a chunk of pixels, g behind the leaky ReLU: parts is `(programs, 2, channels)`."""
    program = tl.program_id(0)
    c = tl.arange(0, lanes)
    real = c < channels
    mean = tl.load(stats + c, mask=real, other=0.0)
    inverse = tl.load(stats + channels + c, mask=real, other=0.0)
    scale = tl.load(stats + 2 * channels + c, mask=real, other=0.0)
    level = tl.load(stats + 3 * channels + c, mask=real, other=0.0)
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
    place = parts + program * 2 * channels + c
    tl.store(place, tl.sum(total, 0), mask=real)
    tl.store(place + channels, tl.sum(products, 0), mask=real)


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
    mean = tl.load(stats + c, mask=real, other=0.0)
    inverse = tl.load(stats + channels + c, mask=real, other=0.0)
    scale = tl.load(stats + 2 * channels + c, mask=real, other=0.0)
    level = tl.load(stats + 3 * channels + c, mask=real, other=0.0)
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


@_compiled
def merge(
    skip,
    deeper,
    out,
    height,
    width,
    few: constexpr,
    many: constexpr,
    rows: constexpr,
    thin: constexpr,
    lanes: constexpr,
):
    """Write the skip's channels, then those of the doubled coarser level: out is `(height width, few + many)`."""
    pixel = tl.program_id(0) * rows + tl.arange(0, rows)
    inside = (pixel < height * width)[:, None]
    h, w = pixel // width, pixel % width
    near_h, near_w = h // 2, w // 2
    far_h = tl.minimum(tl.maximum(near_h + (h % 2) * 2 - 1, 0), height // 2 - 1)
    far_w = tl.minimum(tl.maximum(near_w + (w % 2) * 2 - 1, 0), width // 2 - 1)
    c = tl.arange(0, lanes)
    there = inside & (c < many)[None, :]
    half = width // 2
    near = tl.load(deeper + ((near_h * half + near_w) * many)[:, None] + c[None, :], mask=there, other=0.0)
    beside = tl.load(deeper + ((near_h * half + far_w) * many)[:, None] + c[None, :], mask=there, other=0.0)
    below = tl.load(deeper + ((far_h * half + near_w) * many)[:, None] + c[None, :], mask=there, other=0.0)
    across = tl.load(deeper + ((far_h * half + far_w) * many)[:, None] + c[None, :], mask=there, other=0.0)
    value = 0.75 * (0.75 * near.to(tl.float32) + 0.25 * beside.to(tl.float32))
    value += 0.25 * (0.75 * below.to(tl.float32) + 0.25 * across.to(tl.float32))
    place = out + (pixel * (few + many))[:, None]
    tl.store(place + few + c[None, :], value.to(out.dtype.element_ty), mask=there)
    s = tl.arange(0, thin)
    there = inside & (s < few)[None, :]
    tl.store(place + s[None, :], tl.load(skip + (pixel * few)[:, None] + s[None, :], mask=there, other=0.0), mask=there)


@_compiled
def gather(gradient, out, height, width, few: constexpr, many: constexpr, rows: constexpr, lanes: constexpr):
    """Write the gradient of the coarser level, `(height width / 4, many)`: the adjoint of doubling."""
    pixel = tl.program_id(0) * rows + tl.arange(0, rows)
    half = width // 2
    inside = (pixel < (height // 2) * half)[:, None]
    h, w = pixel // half, pixel % half
    c = tl.arange(0, lanes)
    there = inside & (c < many)[None, :]
    total = tl.zeros((rows, lanes), tl.float32)
    for tap in range(16):
        i, j = tap // 4, tap % 4
        row = tl.minimum(tl.maximum(2 * h + i - 1, 0), height - 1)
        column = tl.minimum(tl.maximum(2 * w + j - 1, 0), width - 1)
        share = tl.where((i == 1) | (i == 2), 0.75, 0.25) * tl.where((j == 1) | (j == 2), 0.75, 0.25)
        place = gradient + ((row * width + column) * (few + many) + few)[:, None] + c[None, :]
        total += share * tl.load(place, mask=there, other=0.0).to(tl.float32)
    tl.store(out + (pixel * many)[:, None] + c[None, :], total.to(out.dtype.element_ty), mask=there)


@_compiled
def mix(
    x,
    weight,
    bias,
    out,
    pixels,
    channels: constexpr,
    few: constexpr,
    biased: constexpr,
    sigmoid: constexpr,
    rows: constexpr,
    lanes: constexpr,
):
    """Write a 1x1 convolution to few channels, `(pixels, few)`, or the sigmoid of it."""
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    c = tl.arange(0, lanes)
    there = (row < pixels)[:, None] & (c < channels)[None, :]
    value = tl.load(x + row[:, None] * channels + c[None, :], mask=there, other=0.0).to(tl.float32)
    for k in tl.static_range(few):
        w = tl.load(weight + k * channels + c, mask=c < channels, other=0.0)
        y = tl.sum(value * w[None, :], 1)
        if biased:
            y += tl.load(bias + k)
        if sigmoid:
            y = 1.0 / (1.0 + tl.exp(-y))
        tl.store(out + row * few + k, y.to(out.dtype.element_ty), mask=row < pixels)


@_compiled
def unmix(
    x,
    weight,
    y,
    gradient,
    out,
    parts,
    pixels,
    chunk,
    channels: constexpr,
    few: constexpr,
    sigmoid: constexpr,
    wanted: constexpr,
    rows: constexpr,
    lanes: constexpr,
):
    """Write the gradient of x, if it is wanted, and sum those of the weights and biases over a chunk of pixels.

    Parts is `(programs, few, channels + 1)`.
    """
    program = tl.program_id(0)
    c = tl.arange(0, lanes)
    real = c < channels
    for k in tl.static_range(few):
        total = tl.zeros((rows, lanes), tl.float32)
        plain = tl.zeros((rows,), tl.float32)
        end = tl.minimum((program + 1) * chunk, pixels)
        for start in range(program * chunk, end, rows):
            row = start + tl.arange(0, rows)
            there = (row < end)[:, None] & real[None, :]
            value = tl.load(x + row[:, None] * channels + c[None, :], mask=there, other=0.0).to(tl.float32)
            g = tl.load(gradient + row * few + k, mask=row < end, other=0.0).to(tl.float32)
            if sigmoid:
                s = tl.load(y + row * few + k, mask=row < end, other=0.0).to(tl.float32)
                g = g * s * (1.0 - s)
            total += g[:, None] * value
            plain += g
        mine = parts + (program * few + k) * (channels + 1)
        tl.store(mine + c, tl.sum(total, 0), mask=real)
        tl.store(mine + channels, tl.sum(plain, 0))
    if wanted:
        end = tl.minimum((program + 1) * chunk, pixels)
        for start in range(program * chunk, end, rows):
            row = start + tl.arange(0, rows)
            back = tl.zeros((rows, lanes), tl.float32)
            for k in tl.static_range(few):
                g = tl.load(gradient + row * few + k, mask=row < end, other=0.0).to(tl.float32)
                if sigmoid:
                    s = tl.load(y + row * few + k, mask=row < end, other=0.0).to(tl.float32)
                    g = g * s * (1.0 - s)
                back += g[:, None] * tl.load(weight + k * channels + c, mask=real, other=0.0)[None, :]
            there = (row < end)[:, None] & real[None, :]
            tl.store(out + row[:, None] * channels + c[None, :], back.to(out.dtype.element_ty), mask=there)
