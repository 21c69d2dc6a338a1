"""Stopping rules: the choice of the best iterate without ground truth.

The loss of Deep Image Prior still falls when the image already gets worse (overfitting). A rule therefore ranks the
iterates by another statistic. It receives each `Step`, which contains no ground truth, and returns whether the step is
the best so far and whether the run should stop.
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
    """The decision of a rule about a step."""

    best: bool
    """Whether this step is the best so far."""
    stop: bool = False
    """Whether the run should stop."""
    score: float | None = None
    """The statistic that the rule minimises; it is written to the trace."""


class StoppingRule:
    """Base class of the rules; an object is used for one run.

    Subclasses implement `update`, `state_dict` and `load_state_dict`. A rule with a loaded state makes the same
    decisions as the rule that saved it.
    """

    Config: type
    """Frozen dataclass of the options."""

    def update(self, step: Step) -> Verdict:
        """Return the decision about a step.

        Args:
            step: The last step; steps are numbered from 1 and come in order.
        """
        raise NotImplementedError

    def validation_fraction(self, pixels: int) -> float:
        """Return the fraction of the measurements that the solver holds out of E for this rule.

        Args:
            pixels: Number of measured pixels.
        """
        return 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the rule: tensors, numbers and None by name."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state that `state_dict` returned."""


STOPPING_RULES: Registry[Callable[..., StoppingRule]] = Registry("stopping rule", beside=("auto",))


def build_stopping_rule(name: str, options: Mapping[str, Any] | None = None) -> StoppingRule:
    """Return the stopping rule registered as `name`.

    Args:
        name: A registered name: "fixed", "variance", "heldout".
        options: Fields of its `Config` that differ from the defaults.

    Raises:
        ConfigError: An unknown name or option.

    Example:
        >>> from hybridprior.stopping import build_stopping_rule
        >>> build_stopping_rule("heldout", {"patience": 50}).config.patience
        50
    """
    factory = STOPPING_RULES.find(name)
    return factory(build_config(factory.Config, options or {}, part=name))  # type: ignore[attr-defined]
