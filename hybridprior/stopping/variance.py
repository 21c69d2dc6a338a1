"""ES-EMV: the iterate is best where the variance of the iterates has its first valley.

Wang, Li, Zhuang, Chen, Liang, Sun, "Early Stopping for Deep Image Prior", TMLR 2023: before the peak the iterates
change because they learn the image, after it because they learn the noise. This is their algorithm 2, the
exponential moving variance, whose memory is one image whatever the window:

The window here is longer than theirs (alpha = 0.1) and the patience shorter (1,000 of 10,000 steps), for runs of a
thousand or two; and the first steps are not judged, since v starts from 0.

    v_t = (1 - alpha) (v_{t-1} + alpha |x_t - m_{t-1}|^2),    m_t = (1 - alpha) m_{t-1} + alpha x_t
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hybridprior.errors import ConfigError
from hybridprior.result import Step
from hybridprior.stopping.base import STOPPING_RULES, StoppingRule, Verdict

__all__ = ["Variance", "VarianceConfig"]


@dataclass(frozen=True)
class VarianceConfig:
    """The window and the patience."""

    alpha: float = 0.02
    """Weight of the newest iterate; 1 / alpha is the window in steps."""
    warm_up: int = 100
    """Steps that are not judged: the variance starts from 0."""
    patience: int = 500
    """Steps without a new least variance after which the run stops."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not 0 < self.alpha < 1 or self.warm_up < 1 or self.patience < 1:
            raise ConfigError("variance: alpha lies in (0, 1); warm_up and patience are 1 or more.")


@STOPPING_RULES.register("variance")
class Variance(StoppingRule):
    """The step with the least exponential moving variance of the iterates is the best."""

    Config = VarianceConfig

    def __init__(self, config: VarianceConfig | None = None) -> None:
        """Set window and patience.

        Args:
            config: `VarianceConfig()` if not given.
        """
        self.config = config or VarianceConfig()
        self.mean: torch.Tensor | None = None
        self.variance = 0.0
        self.least = float("inf")
        self.least_at = 0

    def update(self, step: Step) -> Verdict:
        """Update the moving variance with the step's raw iterate and rank by it."""
        alpha, x = self.config.alpha, step.iterate
        if self.mean is None:
            self.mean = x.clone()
            return Verdict(best=True)
        difference = x - self.mean
        self.variance = (1 - alpha) * (self.variance + alpha * float(difference.square().mean()))
        self.mean.add_(difference, alpha=alpha)
        if step.number <= self.config.warm_up:
            return Verdict(best=True, score=self.variance)
        best = self.variance < self.least
        if best:
            self.least, self.least_at = self.variance, step.number
        return Verdict(best, step.number - self.least_at >= self.config.patience, self.variance)

    def state_dict(self) -> dict[str, Any]:
        """Return the moving mean and variance and the least of it so far."""
        return {"mean": self.mean, "variance": self.variance, "least": self.least, "least_at": self.least_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over another rule's memory."""
        self.mean, self.variance = state["mean"], state["variance"]
        self.least, self.least_at = state["least"], state["least_at"]
