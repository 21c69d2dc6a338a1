"""Divergence of a run: which steps diverged, and the factor of the learning rate after them.

The optimisation of an untrained network diverges in single steps; the paper's code restores an earlier state then. E
that is not finite, or that is several times its running average, is a divergence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hybridprior.config import SolverConfig

__all__ = ["DivergenceMonitor"]

WARMUP_STEPS = 20
"""Steps before a sudden increase of E counts as divergence."""

LR_FACTOR = 0.9
"""Factor of the learning rate after each divergence."""


class DivergenceMonitor:
    """The running average of E, and the divergences so far."""

    def __init__(self, config: SolverConfig) -> None:
        """Start with an empty average.

        Args:
            config: The factor of E that is a divergence, the steps between two saved states, and the divergences in
                a row that end the run.
        """
        self.config = config
        self.divergences, self.consecutive = 0, 0
        """All of them, and those since a state was last kept."""
        self.energy_average = math.inf
        """Running average of E, in nats per measurement."""

    @property
    def given_up(self) -> bool:
        """Whether there were too many divergences in a row."""
        return self.consecutive > self.config.rollbacks

    @property
    def lr_factor(self) -> float:
        """Factor of the learning rate of the saved state, after the divergences since."""
        return LR_FACTOR**self.consecutive

    def is_divergence(self, step: int, energy: float) -> bool:
        """Return whether a step diverged, by its E.

        Args:
            step: Counted from 1.
            energy: E in nats per measurement.
        """
        leaps = step > WARMUP_STEPS and energy > self.config.collapse * self.energy_average
        return leaps or not math.isfinite(energy)

    def count(self) -> None:
        """Count a divergence."""
        self.divergences, self.consecutive = self.divergences + 1, self.consecutive + 1

    def accept(self, step: int, energy: float) -> bool:
        """Update the average with a good step; return whether its state is to be saved.

        Args:
            step: Counted from 1.
            energy: E in nats per measurement.
        """
        self.energy_average = energy if self.energy_average == math.inf else 0.95 * self.energy_average + 0.05 * energy
        keep = step % self.config.keep_every == 0 and energy <= 2 * self.energy_average
        if keep:
            self.mark_good()
        return keep

    def mark_good(self) -> None:
        """Count a saved state."""
        self.consecutive = 0

    def reset(self) -> None:
        """Reset the average, before other measurements are used."""
        self.energy_average, self.consecutive = math.inf, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the counts."""
        return {"divergences": self.divergences, "consecutive": self.consecutive, "energy_average": self.energy_average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state that `state_dict` returned."""
        self.divergences, self.consecutive, self.energy_average = (
            state["divergences"],
            state["consecutive"],
            state["energy_average"],
        )
