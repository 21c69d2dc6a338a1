"""Somebody's own part, by the name of what stands in a module: "module:function", as entry points are written."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from hybridprior.errors import ConfigError

__all__ = ["import_part", "is_import", "source_of", "takes"]

T = TypeVar("T")


def is_import(name: str) -> bool:
    """Return whether a name is one of Python's: "module:function", with dots in either half."""
    module, _, attribute = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def import_part(kind: str, name: str, convert: Callable[[Any], T]) -> T:
    """Return the part that a module holds, imported from the working folder, too.

    Args:
        kind: What it is to be, in words: "operator".
        name: "module:function". A function or a class without arguments is called, and what it returns is the part.
        convert: Makes the part of what is found.

    Raises:
        ConfigError: Not such a name, a module that does not import, or nothing of the kind in it.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError(f"A part of your own, such as this {kind}, is named module:function, not '{name}'.")
    try:
        with _here():
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            if not isinstance(found, nn.Module) and _takes_nothing(found):
                found = found()
        if found is None:
            raise ConfigError("it returns nothing")
        return convert(found)
    except Exception as error:  # whatever somebody else's module raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f"The {kind} '{name}' cannot be loaded: {reason[0].rstrip('.')}.") from error


def source_of(name: str) -> Path | None:
    """Return the file of the module in a name such as "module:function"; None where there is none.

    Args:
        name: Any text.
    """
    if not is_import(name):
        return None
    try:
        with _here():
            found = importlib.util.find_spec(name.partition(":")[0])
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found is not None and found.origin and found.has_location else None


def takes(function: Callable[..., Any], count: int) -> bool:
    """Return whether a function or module can be called with so many arguments; if it does not say, it is believed."""
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        signature = inspect.signature(called)
    except (TypeError, ValueError):  # it has none, as some that are built in
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


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
