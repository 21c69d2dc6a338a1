"""User-defined components by their import path, "module:function", in the notation of entry points."""

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
    """Return whether a name is an import path: "module:function", with dots in either half.

    Args:
        name: Any text.

    Example:
        >>> from hybridprior._internal.imports import is_import
        >>> is_import("package.module:function"), is_import("hf-hub:org/name")
        (True, False)
    """
    module, _, attribute = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def import_part(kind: str, name: str, convert: Callable[[Any], T]) -> T:
    """Return a component that a module defines. Modules of the working folder can be imported, too.

    Args:
        kind: The kind of component, in words: "operator".
        name: "module:function". A function or a class without arguments is called, and its result is the component.
        convert: Converts the imported object to the component.

    Raises:
        ConfigError: The name is no import path, the module cannot be imported, or the object is of another kind.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError(f"The {kind} '{name}' is not an import path; write module:function.")
    try:
        with _here():
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            if not isinstance(found, nn.Module) and _takes_nothing(found):
                found = found()
        if found is None:
            raise ConfigError("it returns nothing; return the component")
        return convert(found)
    except Exception as error:  # a user's module may raise any error
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f"The {kind} '{name}' cannot be loaded: {reason[0].rstrip('.')}.") from error


def source_of(name: str) -> Path | None:
    """Return the file of the module in an import path "module:function", or None.

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
    """Return whether a function or module can be called with `count` arguments.

    Args:
        function: A callable. One without a signature, as some built-in functions, counts as one that can.
        count: Number of positional arguments.

    Example:
        >>> from hybridprior._internal.imports import takes
        >>> takes(lambda x, sigma: x, 2), takes(lambda x: x, 2)
        (True, False)
    """
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        signature = inspect.signature(called)
    except (TypeError, ValueError):  # no signature
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _takes_nothing(found: Any) -> bool:
    """Return whether it is a class or function that can be called without arguments and has no `*args`."""
    try:
        signature = inspect.signature(found)
        signature.bind()
    except (TypeError, ValueError):
        return False
    anything = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values())
    return inspect.isclass(found) or not anything


@contextmanager
def _here() -> Iterator[None]:
    """Put the working folder on the import path."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.pop(0)
