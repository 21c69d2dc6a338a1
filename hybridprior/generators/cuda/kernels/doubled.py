"""Concatenation of a skip connection with the upsampled coarser level, in one pass forward and one backward."""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language import constexpr

__all__ = ["gather", "merge"]

_compiled = triton.jit(do_not_specialize=["height", "width"])


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
    """Write the channels of the skip connection and of the upsampled level, `(height width, few + many)`."""
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
    """Write the gradient of the coarser level, `(height width / 4, many)`, by the adjoint of the upsampling."""
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
