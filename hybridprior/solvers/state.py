"""The state of a solver as a value: step, theta, optimiser, EMA, the best step so far and the random numbers.

`state_dict` is part of a checkpoint, which `torch.load(weights_only=True)` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from hybridprior.generators.base import Generator
from hybridprior.result import TracePoint

__all__ = ["SolverState"]

BEST_EVERY = 10
"""Steps between the states of theta that are kept as the best."""

NUMBERS = ("step", "chosen", "average", "best", "last_good_state", "seconds", "best_theta", "best_at", "ended")
"""Fields that a checkpoint has by their names."""


@dataclass(eq=False)
class SolverState:
    """The values that steps change."""

    generator: Generator
    """Has theta."""
    optimiser: torch.optim.Optimizer
    """How theta moves, with its moments."""
    rng: torch.Generator
    """The random numbers of the noise on z."""
    step: int = 0
    """Steps so far."""
    average: torch.Tensor | None = None
    """EMA of the iterates, `(1, C, H, W)`."""
    best: torch.Tensor | None = None
    """The EMA at the best step so far."""
    chosen: int = 0
    """The best step so far, by the stopping rule."""
    best_theta: dict[str, Any] | None = None
    """The state near the best step, where it is kept to continue from."""
    best_at: int = 0
    """The step of `best_theta`."""
    last_good_state: dict[str, Any] = field(default_factory=dict)
    """The state that a divergence goes back to."""
    seconds: float = 0.0
    """Time of the steps, callbacks excluded."""
    ended: bool = False
    """Whether the stopping rule ended the run."""
    trace: list[TracePoint] = field(default_factory=list)
    """Figures of each step."""

    def add(self, iterate: torch.Tensor, decay: float) -> None:
        """Add an iterate to the EMA.

        Args:
            iterate: `(1, C, H, W)`.
            decay: Decay of the EMA.
        """
        self.average = iterate.clone() if self.average is None else self.average.lerp_(iterate, 1 - decay)

    def choose(self) -> None:
        """Choose the EMA of this step as the best image."""
        assert self.average is not None
        self.chosen = self.step
        self.best = self.average.clone() if self.best is None else self.best.copy_(self.average)

    def keep(self, theta: dict[str, Any]) -> None:
        """Save a state to continue from.

        Args:
            theta: The state of this step.
        """
        self.best_theta, self.best_at = theta, self.step

    @property
    def is_keeping_due(self) -> bool:
        """Whether the last kept state is old enough for another."""
        return self.best_theta is None or self.step >= self.best_at + BEST_EVERY

    def state_dict(self) -> dict[str, Any]:
        """Return the fields besides theta and the optimiser, by name."""
        return {
            **{name: getattr(self, name) for name in NUMBERS},
            "rng": self.rng.get_state(),
            "trace": [[p.step, p.energy, p.prior, p.score] for p in self.trace],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the fields of another state, with theta and the optimiser.

        Args:
            state: A checkpoint, whose tensors are on the device and belong to this state.
        """
        self.generator.load_state_dict(state["theta"])
        self.optimiser.load_state_dict(state["adam"])
        self.trace = [TracePoint(*row) for row in state["trace"]]
        for name in NUMBERS:
            setattr(self, name, state[name])
        self.rng.set_state(state["rng"].cpu())
