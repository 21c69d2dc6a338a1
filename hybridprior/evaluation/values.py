"""Values of JSON files that may be missing or of another type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["inner", "number", "word"]


def number(value: object) -> float | None:
    """Return a finite number, and None for everything else.

    Args:
        value: A value of a JSON file.

    Example:
        >>> number(3), number("3"), number(float("nan"))
        (3.0, None, None)
    """
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if plain else None  # type: ignore[arg-type]


def word(value: object) -> str:
    """Return a text or a number as text, and "" for everything else.

    Args:
        value: A value of a JSON file.

    Example:
        >>> word("done"), word(3), word(None)
        ('done', '3', '')
    """
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def inner(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object within a record, and an empty one if there is none.

    Args:
        record: An object of a JSON file.
        name: Name of the inner object.

    Example:
        >>> inner({"config": {"seed": 0}}, "config"), inner({}, "config")
        ({'seed': 0}, {})
    """
    value = record.get(name)
    return value if isinstance(value, dict) else {}
