"""Stopping rules: when the iterate is best, judged without ground truth.

Deep Image Prior's loss keeps falling while the image gets worse, so a rule ranks iterates by a statistic of its own.
It sees each `Step` (which holds no ground truth) and answers whether this one is the best so far and whether to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hybridprior._internal.registry import Registry, build_config
from hybridprior.result import Step

__all__ = ["STOPPING_RULES", "StoppingRule", "Verdict", "build_stopping_rule"]


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a step."""

    best: bool
    """Whether this step's image is the one to return, as far as is known."""
    stop: bool = False
    """Whether the run has gone far enough."""
    score: float | None = None
    """The statistic the rule ranks by, less is better; goes to the trace."""


class StoppingRule:
    """A judge of iterates, used for one run.

    Subclasses write `judge`, `state_dict` and `load_state_dict`; a rule restored from its state goes on to the same
    verdicts.
    """

    Config: type
    """The part's frozen dataclass of options."""

    def update(self, step: Step) -> Verdict:
        """Return what the rule says of a step.

        Args:
            step: The step just taken; steps come in order from 1.
        """
        raise NotImplementedError

    def validation_fraction(self, pixels: int) -> float:
        """Return the share of the measurements that the solver is to keep out of E for this rule.

        Args:
            pixels: How many pixels were measured.
        """
        return 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the rule's memory: tensors, numbers and None by name."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the memory of another run's rule."""


STOPPING_RULES: Registry[Callable[..., StoppingRule]] = Registry("stopping rule", beside=("auto",))


def build_stopping_rule(name: str, options: Mapping[str, Any] | None = None) -> StoppingRule:
    """Return the stopping rule registered as `name`.

    Args:
        name: A registered name: "fixed", "variance", "heldout".
        options: Fields of its `Config` that depart from the defaults.

    Raises:
        ConfigError: An unknown name or option.
    """
    factory = STOPPING_RULES.find(name)
    return factory(build_config(factory.Config, options or {}, part=name))  # type: ignore[attr-defined]
