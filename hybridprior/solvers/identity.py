"""A hash of what a component is: its class, its parameters, its numbers, and the code of the functions that it holds.

Two components with the same hash make the same run. Two functions of the same name with other code, defaults or
enclosed values have different hashes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["identity_of"]

CHANGING = ("training", "precision")
"""Attributes of modules that a run sets, and that are no part of what a module is."""


def identity_of(value: object) -> str:
    """Return a hash of an object, the same in another process of the same version of Python.

    Args:
        value: A module, a function, or an object of plain attributes.
    """
    found = hashlib.blake2b(digest_size=16)
    _feed(found, value, {})
    return found.hexdigest()


def _feed(found: Any, value: Any, seen: dict[int, Any]) -> None:
    """Add a value to a hash."""
    found.update(type(value).__qualname__.encode())
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.dtype | torch.device):
        found.update(repr(value).encode())
    elif isinstance(value, torch.Tensor | np.ndarray):
        _feed_array(found, value)
    elif id(value) not in seen:
        seen[id(value)] = value  # kept, so that no other object gets its id
        for name, part in _parts(value):
            found.update(name.encode())
            _feed(found, part, seen)


def _feed_array(found: Any, value: torch.Tensor | np.ndarray) -> None:
    """Add the shape, the type and the numbers of an array."""
    if isinstance(value, torch.Tensor):
        found.update(f"{tuple(value.shape)} {value.dtype}".encode())
        if value.numel():
            found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    else:
        found.update(f"{value.shape} {value.dtype}".encode())
        found.update(np.ascontiguousarray(value).tobytes())


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Return what an object is made of, by name."""
    if isinstance(value, Mapping):
        return [(str(key), each) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [(str(number), each) for number, each in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [("", sorted(map(repr, value)))]
    if isinstance(value, functools.partial):
        return [("func", value.func), ("args", value.args), ("keywords", value.keywords)]
    if isinstance(value, types.MethodType):
        return [("func", value.__func__), ("self", value.__self__)]
    if isinstance(value, types.FunctionType):
        return _parts_of_function(value)
    if isinstance(value, types.CodeType):
        names = ("co_code", "co_consts", "co_names")
        return [(name, getattr(value, name)) for name in names]
    if isinstance(value, types.ModuleType | type | types.BuiltinFunctionType):
        return [("name", getattr(value, "__qualname__", value.__name__))]
    if dataclasses.is_dataclass(value):
        return [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    return sorted(
        ((name, each) for name, each in getattr(value, "__dict__", {}).items() if name not in CHANGING),
        key=lambda item: item[0],
    )


def _parts_of_function(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Return the code of a function, its defaults, and the values that it encloses or reads from its module."""
    cells = [_content(cell) for cell in function.__closure__ or ()]
    names = [name for name in function.__code__.co_names if name in function.__globals__]
    read = {name: function.__globals__[name] for name in names}
    numbers = {name: each for name, each in read.items() if isinstance(each, int | float | str | tuple)}
    helpers = {
        name: each
        for name, each in read.items()
        if isinstance(each, types.FunctionType) and each.__module__ == function.__module__
    }
    return [
        ("name", function.__qualname__),
        ("code", function.__code__),
        ("defaults", function.__defaults__),
        ("keywords", function.__kwdefaults__),
        ("cells", cells),
        ("globals", numbers),
        ("helpers", helpers),
    ]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None
