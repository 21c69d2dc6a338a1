"""Stop by measurements that were held out: a few per cent of them take no part in E and judge the iterates instead.

Their mean squared error, which is that against the clean image plus the noise's variance, has its least where the
image is best. It works for every operator whose measurements can be left out one by one. A small image needs a
larger share (up to a tenth) for the same certainty. The price is that the held-out measurements do not help the
image; `Result.message` says how many they were.
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
    """How much is held out, and the patience."""

    fraction: float = 0.03
    """Share of the measured pixels that is held out, at least."""
    least: int = 2500
    """Pixels that are held out, at least, as long as they are not more than the share `most`."""
    most: float = 0.1
    """Share of the measured pixels that is held out, at most."""
    patience: int = 100
    """Steps without a new least error after which the run stops, at least."""
    longer: float = 0.125
    """The same as a share of the steps up to the least error, where that is more."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not 0 < self.fraction < 1 or not 0 < self.most < 1 or self.least < 1 or self.patience < 1:
            raise ConfigError("heldout: fraction and most lie in (0, 1); least and patience are 1 or more.")
        if not self.longer >= 0:
            raise ConfigError("heldout: longer is 0 or more.")


@STOPPING_RULES.register("heldout")
class Heldout(StoppingRule):
    """The step with the least error on held-out measurements is the best."""

    Config = HeldoutConfig

    def __init__(self, config: HeldoutConfig | None = None) -> None:
        """Set fraction and patience.

        Args:
            config: `HeldoutConfig()` if not given.
        """
        self.config = config or HeldoutConfig()
        self.least = float("inf")
        self.least_at = 0

    def validation_fraction(self, pixels: int) -> float:
        """Return `fraction`, or as much more as a small image needs for a judgement."""
        return max(self.config.fraction, min(self.config.least / max(pixels, 1), self.config.most))

    def update(self, step: Step) -> Verdict:
        """Rank by the step's error on the held-out measurements.

        Raises:
            ConfigError: The step has none, because nothing was held out.
        """
        if step.validation_error is None:
            raise ConfigError("heldout: nothing was held out; let the solver split the problem.")
        best = step.validation_error < self.least
        if best:
            self.least, self.least_at = step.validation_error, step.number
        patience = max(self.config.patience, self.config.longer * self.least_at)
        return Verdict(best, step.number - self.least_at >= patience, step.validation_error)

    def state_dict(self) -> dict[str, Any]:
        """Return the least error so far and its step."""
        return {"least": self.least, "least_at": self.least_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over another rule's memory."""
        self.least, self.least_at = state["least"], state["least_at"]
