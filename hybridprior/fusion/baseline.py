"""The baseline of futility stopping: one pass of the fine-tuned denoiser, which an interrupted run may return."""

from __future__ import annotations

import dataclasses

import torch

from hybridprior.fusion.finetuning import DenoiserFinetuner
from hybridprior.fusion.plug_and_play import Interrupted
from hybridprior.problem import Problem, Split
from hybridprior.result import Result

__all__ = ["better_of", "denoiser_baseline"]


def denoiser_baseline(finetuner: DenoiserFinetuner, split: Split) -> torch.Tensor:
    """Return the denoiser's image of the training measurements, fine-tuned where that lowers the validation error.

    After an interrupt the denoiser is not fine-tuned.

    Args:
        finetuner: The denoiser, on the device of the measurements.
        split: The measurements, with Gaussian noise and A = 1.

    Returns:
        `(1, C, H, W)`.
    """
    try:
        best = finetuner.best_image(split) if finetuner.is_applicable else None
    except Interrupted:
        best = None
    if best is None:
        with torch.no_grad():
            return finetuner.denoiser.denoise(split.train.filled(), split.train.fidelity.sigma)
    return best


def better_of(
    result: Result, baseline: torch.Tensor | None, problem: Problem, split: Split, finetuner: DenoiserFinetuner
) -> Result:
    """Return the result of an interrupted run, with the denoiser's image if it has the lower validation error.

    Args:
        result: The network's result.
        baseline: The denoiser's image of the training measurements; None where there is none.
        problem: All measurements.
        split: The measurements, split.
        finetuner: The denoiser.
    """
    validation = split.validation
    if baseline is None or not float(validation.error(baseline)) < float(
        validation.error(result.image.to(validation.y))
    ):
        return result
    with torch.no_grad():
        image = finetuner.network.denoise(problem.filled(), problem.fidelity.sigma)
    message = f"{result.status.value} The denoiser alone had the lower validation error: this is its image."
    return dataclasses.replace(result, image=image.float().cpu(), message=message, held_out=0.0)
