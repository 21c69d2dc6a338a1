"""Training of the noise estimator on the degradations of the training of the denoiser.

The loss of a cell is |p - t| for each parameter, and |p - t| / s + log s for the scale only. t is computed by
`degradations.conditions` from the added noise; p and s are the location and scale of the network. A fraction of the
patches is clean, so that the network also estimates images without noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hybridprior._internal.random import drawn, stream
from hybridprior.analysis.estimator import CELL, OUTPUTS, NoiseNetwork
from hybridprior.training.camera import CameraConfig
from hybridprior.training.data import Photographs
from hybridprior.training.degradations import DegradationConfig, Sample, degrade

__all__ = ["EstimatorConfig", "targets", "train_estimator"]

FLOOR = 0.2 / 255
"""Target of the level of a clean image."""


@dataclass(frozen=True)
class EstimatorConfig:
    """Configuration of the training of the estimator."""

    steps: int = 10_000
    """Number of batches."""
    batch: int = 12
    """Number of patches in a batch."""
    patch: int = 96
    """Side of a patch in pixels."""
    learning_rate: float = 2e-3
    """Learning rate of AdamW after the warm-up; it decays to 0 by a cosine schedule."""
    clean: float = 0.2
    """Fraction of patches without noise."""
    camera: float = 0.5
    """Fraction of patches with the noise of a camera."""
    jpeg: float = 0.15
    """Fraction of patches with JPEG only. The rest has white noise."""
    seed: int = 0
    """Seed of the initial weights, the patches and the noise."""


def targets(sample: Sample) -> torch.Tensor:
    """Return the targets of the network for a sample, `(B, OUTPUTS, H / 8, W / 8)`."""
    level = sample.level.clamp_min(FLOOR)
    shares = sample.planes[:, :-1] / level
    rest = torch.log1p(255 * sample.planes[:, -1:])
    return torch.nn.functional.avg_pool2d(torch.cat([(255 * level).log(), shares, rest], 1), CELL)


def train_estimator(
    photographs: Photographs,
    config: EstimatorConfig | None = None,
    *,
    callback: Callable[[int, float, NoiseNetwork], None] | None = None,
) -> NoiseNetwork:
    """Return a trained estimator.

    Args:
        photographs: Clean photographs.
        config: `EstimatorConfig()` if not given.
        callback: Called with the number of each step, its loss and the network.
    """
    config = config or EstimatorConfig()
    with drawn(config.seed, "noise estimator"):
        network = NoiseNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-3)
    kinds = DegradationConfig(
        camera=config.camera,
        jpeg=config.jpeg,
        uncertainty=0.0,
        sigma_median=12 / 255,
        quality=(55, 98),
        camera_config=CameraConfig(denoised=0.75, shot=(1e-4, 5e-2)),
    )
    for step in range(config.steps):
        rate = config.learning_rate * min(1, (step + 1) / 200) * (1 + math.cos(math.pi * step / config.steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate
        sample = _batch(photographs, step, config, kinds)
        location, scale = network(sample.noisy)
        error = (location - targets(sample)).abs()
        loss = error.mean()
        likelihood = (error.detach() * (-scale).exp() + scale).mean()
        optimiser.zero_grad(set_to_none=True)
        (loss + 0.1 * likelihood).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if callback is not None:
            callback(step + 1, float(loss.detach()), network)
    assert location.shape[1] == OUTPUTS
    return network.requires_grad_(False).eval()


def _batch(photographs: Photographs, step: int, config: EstimatorConfig, kinds: DegradationConfig) -> Sample:
    rng = stream(config.seed, f"estimator batch {step}")

    def draw(number: int, side: int) -> torch.Tensor:
        return photographs.patches(number, side, rng, shrink=3.0, grey=0.15)

    sample = degrade(draw, config.batch, config.patch, rng, kinds)
    untouched = torch.rand((config.batch, 1, 1, 1), generator=rng) < config.clean
    return Sample(
        sample.clean,
        torch.where(untouched, sample.clean, sample.noisy.clamp(0, 1)),
        torch.where(untouched, torch.full_like(sample.level, FLOOR), sample.level),
        torch.where(untouched, torch.zeros_like(sample.planes), sample.planes),
    )
