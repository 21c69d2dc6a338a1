"""The guard of a run: which steps are accidents, and how much shorter the steps get after one.

An untrained network now and then loses in one step what it had learned in hundreds ("blow up", the paper's code calls
it, and goes back). E that is not finite, or that leaps up to several times its running average, is such an accident.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hybridprior.config import SolverConfig

__all__ = ["Guard"]

SETTLING = 20
"""Steps before a leap of E counts as an accident."""

SHORTER = 0.9
"""What each accident multiplies the learning rate by, so that it is not repeated."""


class Guard:
    """What is usual of a run, and the accidents it has had."""

    def __init__(self, config: SolverConfig) -> None:
        """Start with no step seen.

        Args:
            config: What counts as a leap, how often a state is kept, how many accidents in a row end the run.
        """
        self.config = config
        self.accidents, self.row = 0, 0
        """All of them, and those since a state was last kept."""
        self.usual = math.inf
        """Running average of E, in nats a measurement."""

    @property
    def given_up(self) -> bool:
        """Whether there were too many accidents in a row."""
        return self.row > self.config.rollbacks

    @property
    def shorter(self) -> float:
        """What the step size of the kept state is to be multiplied by, after the accidents since."""
        return SHORTER**self.row

    def accident(self, step: int, energy: float) -> bool:
        """Return whether a step is one, by its E.

        Args:
            step: Counted from 1.
            energy: E in nats a measurement.
        """
        leaps = step > SETTLING and energy > self.config.collapse * self.usual
        return leaps or not math.isfinite(energy)

    def count(self) -> None:
        """Note an accident."""
        self.accidents, self.row = self.accidents + 1, self.row + 1

    def passed(self, step: int, energy: float) -> bool:
        """Note a good step; return whether its state is one to go back to.

        Args:
            step: Counted from 1.
            energy: E in nats a measurement.
        """
        self.usual = energy if self.usual == math.inf else 0.95 * self.usual + 0.05 * energy
        keep = step % self.config.keep_every == 0 and energy <= 2 * self.usual
        if keep:
            self.kept()
        return keep

    def kept(self) -> None:
        """Note that a state is kept to go back to."""
        self.row = 0

    def afresh(self) -> None:
        """Forget what was usual: other measurements come."""
        self.usual, self.row = math.inf, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what was seen."""
        return {"accidents": self.accidents, "row": self.row, "usual": self.usual}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what another guard has seen."""
        self.accidents, self.row, self.usual = state["accidents"], state["row"], state["usual"]
