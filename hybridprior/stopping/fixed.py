"""Stop at a fixed step: the published practice, and no judgement at all."""

from __future__ import annotations

from dataclasses import dataclass

from hybridprior.result import Step
from hybridprior.stopping.base import STOPPING_RULES, StoppingRule, Verdict

__all__ = ["Fixed", "FixedConfig"]


@dataclass(frozen=True)
class FixedConfig:
    """There is nothing to choose: the number of steps is the solver's."""


@STOPPING_RULES.register("fixed")
class Fixed(StoppingRule):
    """The last step is the best."""

    Config = FixedConfig

    def __init__(self, config: FixedConfig | None = None) -> None:
        """Take the empty configuration that every part takes."""

    def update(self, step: Step) -> Verdict:
        """Return that this step is the best so far."""
        return Verdict(best=True)
