"""The size of the tiles of a large image, by the memory that the feature maps of a small image take."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hybridprior._internal.device import Precision, free_memory
from hybridprior._internal.random import stream
from hybridprior.config import RestoreConfig
from hybridprior.generators import Generator
from hybridprior.problem import Problem

__all__ = ["longest_side", "settle_tiles"]

log = logging.getLogger(__name__)

MOST_MEMORY = 3 * 2**30
"""Bytes that the feature maps of a tile may take, however much memory there is."""

IMAGES = 1000
"""Bytes a pixel besides the feature maps: images, averages, and a denoiser's own features."""

SMALL = 512**2
"""Pixels up to which an image fits any memory."""

PROBE = 128
"""Side of the image whose feature maps are counted."""


def settle_tiles(
    config: RestoreConfig,
    problem: Problem,
    generator: Callable[[], Generator],
    *,
    precision: Precision,
    checkpoint: Mapping[str, Any] | None = None,
) -> RestoreConfig:
    """Return the configuration with the side of the tiles: 0 where the image is not divided.

    Args:
        config: Its tiles' side is settled by the free memory if it is 0.
        problem: The whole image's.
        generator: Makes f_theta, whose memory is counted.
        precision: Its arithmetic.
        checkpoint: That of an interrupted run, which knows its side.
    """
    side, pixels = config.tiles.side, math.prod(problem.shape[-2:])
    if checkpoint is not None:
        side = checkpoint.get("side", side)
    elif not side and pixels > SMALL:
        longest = longest_side(generator(), problem.shape, problem.y.device, bf16=precision.bf16)
        side = longest if pixels > longest**2 else 0
    if side and side < max(problem.shape[-2:]) and problem.operator.tile_multiple is None:
        log.warning("This operator cannot be cut into tiles, and the image may be too large for the memory.")
        side = 0
    return dataclasses.replace(config, tiles=dataclasses.replace(config.tiles, side=side))


def longest_side(generator: Generator, shape: Sequence[int], device: torch.device, *, bf16: bool) -> int:
    """Return the side of the largest square whose gradient fits the memory, a multiple of 64.

    Args:
        generator: f_theta; it is not changed.
        shape: `(1, C, H, W)` of the image.
        device: Where it runs.
        bf16: Whether its convolutions run in bfloat16.
    """
    room = min(free_memory(device) / 2, MOST_MEMORY)
    return max(256, math.isqrt(int(room / _bytes_a_pixel(generator, shape, bf16))) // 64 * 64)


def _bytes_a_pixel(generator: Generator, shape: Sequence[int], bf16: bool) -> float:
    """Return the memory of a step per pixel, measured on a small image."""
    probe = copy.deepcopy(generator).cpu()
    small = probe.padded((1, shape[1], PROBE, PROBE))
    z = probe.input(small, stream(0, "memory"))
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        x = probe(z)
    return IMAGES + sum(saved.values()) / float(x.shape[-2] * x.shape[-1])
