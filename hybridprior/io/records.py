"""Records: figures as JSON, which has no word for NaN and infinity; and TOML, which people write."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridprior.errors import InputError
from hybridprior.io.files import write_atomically

__all__ = ["finite", "read_toml", "write_json"]


def finite(value: Any) -> Any:
    """Return the value with NaN and infinity as None, at any depth of dictionaries, lists and tuples."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Write a record, whole or not at all.

    Args:
        path: Where to; its folder must exist.
        value: Dictionaries, lists and plain values.

    Raises:
        OutputError: The place cannot be written.
    """
    write_atomically(path, (json.dumps(finite(value), indent=1) + "\n").encode())


def read_toml(path: Path) -> Mapping[str, Any]:
    """Return what a TOML file says.

    Args:
        path: The file.

    Raises:
        InputError: It is not there, or no TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        said: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as TOML: {' '.join(str(error).split())}.") from error
    return said
