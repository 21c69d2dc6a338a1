"""A 1x1 convolution to few channels, without matrix units."""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language import constexpr

__all__ = ["mix", "unmix"]

_compiled = triton.jit(do_not_specialize=["pixels", "chunk"])


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
    """Write the gradient of x if requested, and sum the gradients of weights and biases over a chunk of pixels.

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
