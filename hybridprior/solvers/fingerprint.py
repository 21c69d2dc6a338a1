"""The fingerprint of a checkpoint, which must agree with that of the run that loads it, and copies of states."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from hybridprior._internal.random import stream
from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.problem import Problem

__all__ = ["agree", "copied", "fingerprint", "snapshot"]


def fingerprint(problem: Problem, config: RestoreConfig, parts: Mapping[str, object]) -> dict[str, Any]:
    """Return the fingerprint: the configuration, the noise, the weights, and A of a random image.

    Args:
        problem: What the run solves.
        config: How it runs.
        parts: What else takes part, by name; its class has to be the same.
    """
    fidelity = problem.fidelity
    probe = torch.rand(problem.shape, generator=stream(0, "probe"))
    with torch.no_grad():
        measured = problem.operator(probe.to(problem.y.device))
    return {
        "configuration": config.to_json(),
        **{name: type(part).__qualname__ for name, part in parts.items()},
        "sigma": fidelity.sigma,
        "noise": repr(fidelity) if dataclasses.is_dataclass(fidelity) else type(fidelity).__qualname__,
        "operator": measured.cpu(),
        "image": problem.y.cpu(),
        "choice of measurements": torch.ones(()) if problem.weights is None else problem.weights.cpu(),
    }


def agree(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where two fingerprints differ.

    Args:
        theirs: The saved state's.
        ours: The run's.

    Raises:
        ConfigError: It is the state of another image or configuration.
    """
    for name, value in ours.items():
        other = theirs.get(name)
        same = torch.equal(other.cpu(), value) if isinstance(other, torch.Tensor) else other == value
        if not same:
            raise ConfigError(f"The saved state belongs to a run with another {name}; start a new one.")


def copied(value: Any, device: torch.device) -> Any:
    """Return nested values with every tensor copied to a device.

    Args:
        value: A tensor, or mappings and lists of them.
        device: Where to.
    """
    if isinstance(value, torch.Tensor):
        return value.to(device, copy=True)
    if isinstance(value, Mapping):
        return {name: copied(item, device) for name, item in value.items()}
    return [copied(item, device) for item in value] if isinstance(value, list) else value


def snapshot(values: dict[str, Any]) -> dict[str, Any]:
    """Return nested values with every tensor copied on its device, by few kernels.

    Args:
        values: Tensors, mappings, lists, and what does not change.
    """
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    made: dict[str, Any] = _emptied(values, pairs)
    kinds: dict[Any, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for new, old in pairs:
        kinds.setdefault((old.device, old.dtype), []).append((new, old))
    for alike in kinds.values():
        torch._foreach_copy_([new for new, _ in alike], [old for _, old in alike])
    return made


def _emptied(value: Any, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> Any:
    """Return the values with empty tensors in place of the tensors, and the pairs of both."""
    if isinstance(value, torch.Tensor):
        pairs.append((torch.empty_like(value, requires_grad=False), value.detach()))
        return pairs[-1][0]
    if isinstance(value, Mapping):
        return {name: _emptied(item, pairs) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_emptied(item, pairs) for item in value)
    return copy.deepcopy(value)
