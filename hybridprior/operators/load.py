"""An operator of somebody's own, by the name of a function: "module:function"."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hybridprior.errors import ConfigError
from hybridprior.operators.base import Operator, as_operator

__all__ = ["load_operator"]


def load_operator(name: str) -> Operator:
    """Return the operator that a module holds.

    Args:
        name: "module:function", the module as Python imports it, from the working folder too. What stands there is an
            operator; a function of a picture `(B, C, H, W)`, differentiable by torch; or a function (or class) of
            nothing, which returns one of these.

    Raises:
        ConfigError: Not such a name, a module that does not import, or nothing of the kind in it.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError(f"An operator of your own is named module:function, not '{name}'.")
    try:
        with _here():
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            if not isinstance(found, torch.nn.Module) and _takes_nothing(found):
                found = found()
        if found is None:
            raise ConfigError("it returns nothing")
        return as_operator(found)
    except Exception as error:  # whatever somebody else's module raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f"The operator '{name}' cannot be loaded: {reason[0].rstrip('.')}.") from error


def _takes_nothing(found: Any) -> bool:
    """Return whether it is a function or a class that can be called without arguments, and is not made for any."""
    try:
        signature = inspect.signature(found)
        signature.bind()
    except (TypeError, ValueError):
        return False
    anything = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values())
    return inspect.isclass(found) or not anything


@contextmanager
def _here() -> Iterator[None]:
    """Let modules of the working folder be imported."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.pop(0)
