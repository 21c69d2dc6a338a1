"""Solvers: the algorithms that minimise the objective, by name in `SOLVERS`.

A solver is built from a problem, its `Components` and a configuration. `run` returns a `Result`; the checkpoint of an
interrupted run is `Result.checkpoint`, which `load_state_dict` of another solver of the same problem takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from hybridprior._internal.registry import Registry
from hybridprior.errors import ConfigError
from hybridprior.result import Result, Step

__all__ = ["SOLVERS", "Callback", "Solver", "as_callbacks"]

Callback = Callable[[Step], None]


class Solver(Protocol):
    """One run."""

    def run(self, callbacks: Sequence[Callback] = ()) -> Result:
        """Take steps until the stopping rule, the number of steps, an interrupt or divergence ends the run.

        Args:
            callbacks: Called with each `Step`; their time is not counted.
        """

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint of the same problem and configuration.

        Args:
            state: `Result.checkpoint` of an interrupted run.

        Raises:
            ConfigError: The checkpoint belongs to another run.
        """


SOLVERS: Registry[Callable[..., Solver]] = Registry("solver")
"""Classes with a frozen dataclass of options, `Config`; called with `(problem, components, *, config, precision,
started=None)`, where the components belong to the run, and `started` is `time.perf_counter()` when the set-up began."""


def as_callbacks(given: Iterable[Callback]) -> tuple[Callback, ...]:
    """Return the callbacks of a run.

    Args:
        given: Functions of a `Step`.

    Raises:
        ConfigError: One function in place of several, or something else.
    """
    functions = tuple(given) if isinstance(given, Iterable) else ()
    if not isinstance(given, Iterable) or not all(callable(function) for function in functions):
        raise ConfigError("`callbacks` is a list of functions of a Step: callbacks=[function].")
    return functions
