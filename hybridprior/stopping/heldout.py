"""Stop by the error on held-out measurements: a few per cent of the measurements are not part of E.

If the noise is independent between measurements, the expected squared error on the held-out ones is the error against
the clean measurements plus the variance of the noise, so it is smallest at the best iterate. The rule works with
every operator whose measurements can be left out one by one. A small image needs a larger fraction (up to a tenth) for
the same accuracy of the estimate. The held-out measurements are lost for the restoration; `Result.message` reports
their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridprior.errors import ConfigError
from hybridprior.result import Step
from hybridprior.stopping.base import STOPPING_RULES, StoppingRule, Verdict

__all__ = ["Heldout", "HeldoutConfig"]


@dataclass(frozen=True)
class HeldoutConfig:
    """The held-out fraction and the patience."""

    fraction: float = 0.03
    """Smallest fraction of the measured pixels that is held out."""
    min_pixels: int = 2500
    """Smallest number of held-out pixels, where it does not exceed `max_fraction`."""
    max_fraction: float = 0.1
    """Largest fraction of the measured pixels that is held out."""
    patience: int = 100
    """Steps without a new smallest error after which the run stops."""
    relative_patience: float = 0.125
    """The patience as a fraction of the steps up to the smallest error; the larger of both counts."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not (0 < self.fraction < 1 and 0 < self.max_fraction < 1):
            raise ConfigError("heldout: fraction and max_fraction must lie in (0, 1).")
        if self.min_pixels < 1 or self.patience < 1 or not self.relative_patience >= 0:
            raise ConfigError("heldout: min_pixels and patience must be at least 1, relative_patience at least 0.")


@STOPPING_RULES.register("heldout")
class Heldout(StoppingRule):
    """The step with the smallest error on the held-out measurements is the best one."""

    Config = HeldoutConfig

    def __init__(self, config: HeldoutConfig | None = None) -> None:
        """Make the rule.

        Args:
            config: `HeldoutConfig()` if not given.
        """
        self.config = config or HeldoutConfig()
        self.least = float("inf")
        self.least_at = 0

    def validation_fraction(self, pixels: int) -> float:
        """Return `fraction`, or a larger one for a small image."""
        return max(self.config.fraction, min(self.config.min_pixels / max(pixels, 1), self.config.max_fraction))

    def update(self, step: Step) -> Verdict:
        """Rank the step by its error on the held-out measurements.

        Raises:
            ConfigError: The step has no such error, because nothing is held out.
        """
        if step.validation_error is None:
            raise ConfigError(
                "heldout: no measurements are held out; use this rule through a solver, which holds them out."
            )
        best = step.validation_error < self.least
        if best:
            self.least, self.least_at = step.validation_error, step.number
        patience = max(self.config.patience, self.config.relative_patience * self.least_at)
        return Verdict(best, step.number - self.least_at >= patience, step.validation_error)

    def state_dict(self) -> dict[str, Any]:
        """Return the smallest error so far and its step."""
        return {"least": self.least, "least_at": self.least_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state that `state_dict` returned."""
        self.least, self.least_at = state["least"], state["least_at"]
