"""The oracle: what the best step was, told by the ground truth. It is a callback, and no stopping rule ever sees it."""

from __future__ import annotations

import torch

from hybridprior import metrics
from hybridprior.result import Step

__all__ = ["Oracle"]


class Oracle:
    """A callback that knows the ground truth: the best PSNR of all steps, and the curve."""

    def __init__(self, truth: torch.Tensor, task: str) -> None:
        """Take the ground truth, `(1, C, H, W)`, and the task, which says how it is compared."""
        self.truth, self.task = truth, task
        self.psnr, self.step = float("-inf"), 0
        self.curve: list[list[float]] = []

    def __call__(self, step: Step) -> None:
        """Compare a step's picture."""
        value = metrics.psnr_for_task(step.picture.cpu(), self.truth, self.task)
        if value > self.psnr:
            self.psnr, self.step = value, step.number
        if step.number % 20 == 0:
            self.curve.append([step.number, round(step.seconds, 2), round(value, 3)])
