"""The oracle: the best step by the ground truth. It is a callback, and no stopping rule uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from hybridprior import metrics
from hybridprior.result import Step

__all__ = ["Oracle"]


class Oracle:
    """A callback that knows the ground truth: the best PSNR of all steps, and the curve."""

    def __init__(
        self,
        truth: torch.Tensor,
        task: str,
        complete: Callable[[torch.Tensor], torch.Tensor] | None = None,
        *,
        every: int = 20,
        keep: bool = False,
    ) -> None:
        """Take what images are compared with.

        Args:
            truth: The ground truth, `(1, C, H, W)`.
            task: It says how images are compared.
            complete: What is done to a step's image before it is shown, if anything.
            every: Steps between two points of the curve.
            keep: Whether the best step's image is kept as `best`.
        """
        self.truth, self.task, self.complete, self.every, self.keep = truth, task, complete, every, keep
        self.best: torch.Tensor | None = None
        self.psnr, self.step = float("-inf"), 0
        self.curve: list[list[float]] = []

    def __call__(self, step: Step) -> None:
        """Compare a step's image; a tile is none."""
        if step.tile is not None:
            return
        image = step.image.cpu() if self.complete is None else self.complete(step.image.cpu())
        value = metrics.psnr_for_task(image, self.truth, self.task)
        if value > self.psnr:
            self.psnr, self.step = value, step.number
            self.best = image.clone() if self.keep else None
        if step.number % self.every == 0:
            self.curve.append([step.number, round(step.seconds, 2), round(value, 3)])

    def state_dict(self) -> dict[str, Any]:
        """Return what was seen so far."""
        return {"psnr": self.psnr, "step": self.step, "curve": self.curve}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what the oracle of an interrupted run saw."""
        self.psnr, self.step, self.curve = state["psnr"], state["step"], list(state["curve"])
