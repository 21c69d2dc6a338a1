"""Results that need no network: the measurements themselves, and the denoiser's image under noise that is not white."""

from __future__ import annotations

import time

import torch

from hybridprior._internal.device import Precision
from hybridprior.config import RestoreConfig
from hybridprior.denoisers import Denoiser
from hybridprior.fusion_weights import uniform_weights
from hybridprior.noise_model import NoiseModel
from hybridprior.problem import Problem
from hybridprior.result import Result, Status, Timings

__all__ = ["denoised", "unchanged"]


def unchanged(problem: Problem, config: RestoreConfig, precision: Precision) -> Result:
    """Return the measurements: where A = 1 and there is no noise they are the image.

    Args:
        problem: The measurements.
        config: The configuration.
        precision: The arithmetic.
    """
    return Result(
        image=problem.y.detach().float().cpu().clone(),
        step=0,
        status=Status.FINISHED,
        message="The noise is negligible: the image is returned unchanged.",
        trace=(),
        config=config,
        sigma=problem.fidelity.sigma,
        timings=Timings(0.0, 0.0),
        precision=str(precision),
    )


def denoised(
    problem: Problem,
    config: RestoreConfig,
    noise: NoiseModel,
    denoiser: Denoiser,
    *,
    precision: Precision,
    started: float,
) -> Result:
    """Return the denoiser's image, conditioned on the noise: under correlated noise no candidate can be validated.

    Args:
        problem: The measurements, with A = 1.
        config: The configuration.
        noise: The noise of the measurements.
        denoiser: D, on their device.
        precision: The arithmetic.
        started: `time.perf_counter()` when the set-up began.
    """
    set_up = time.perf_counter()
    with torch.no_grad():
        image = denoiser.denoise(problem.filled(), noise)
    correlation = f"{max(noise.correlation):.2f}" if any(noise.correlation) else "unknown"
    return Result(
        image=image.float().cpu(),
        step=0,
        status=Status.FINISHED,
        message=f"The noise is correlated (neighbouring pixels: {correlation}), so that no measurements are "
        "independent: the denoiser was given the noise model, and no network was fitted.",
        trace=(),
        config=config,
        sigma=problem.fidelity.sigma,
        timings=Timings(set_up - started, time.perf_counter() - set_up),
        precision=str(precision),
        fusion=uniform_weights(["global"], problem.shape),
    )
