"""ES-EMV: the best iterate is the first minimum of the moving variance of the iterates.

Wang, Li, Zhuang, Chen, Liang, Sun, "Early Stopping for Deep Image Prior", TMLR 2023, algorithm 2 (exponential moving
variance). The iterates first change because the network fits the image, then because it fits the noise; between both
the variance has a minimum. The state is one image, for any window:

    v_t = (1 - alpha) (v_{t-1} + alpha |x_t - m_{t-1}|^2),    m_t = (1 - alpha) m_{t-1} + alpha x_t

Differences from the paper, for runs of 1,000 to 2,000 steps: the window is longer (theirs is alpha = 0.1), the patience
is shorter (theirs is 1,000 of 10,000 steps), and the first steps are not ranked, since v starts from 0.
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
    """Steps that are not ranked, since the variance starts from 0."""
    patience: int = 500
    """Steps without a new smallest variance after which the run stops."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not 0 < self.alpha < 1 or self.warm_up < 1 or self.patience < 1:
            raise ConfigError("variance: alpha must lie in (0, 1), warm_up and patience must be at least 1.")


@STOPPING_RULES.register("variance")
class Variance(StoppingRule):
    """The step with the smallest exponential moving variance of the iterates is the best one."""

    Config = VarianceConfig

    def __init__(self, config: VarianceConfig | None = None) -> None:
        """Make the rule.

        Args:
            config: `VarianceConfig()` if not given.
        """
        self.config = config or VarianceConfig()
        self.mean: torch.Tensor | None = None
        self.variance = 0.0
        self.least = float("inf")
        self.least_at = 0

    def update(self, step: Step) -> Verdict:
        """Update the moving variance with the raw iterate of the step and rank the step by it."""
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
        """Return the moving mean, the moving variance and its smallest value so far."""
        return {"mean": self.mean, "variance": self.variance, "least": self.least, "least_at": self.least_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state that `state_dict` returned."""
        self.mean, self.variance = state["mean"], state["variance"]
        self.least, self.least_at = state["least"], state["least_at"]
