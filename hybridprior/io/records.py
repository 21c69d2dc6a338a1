"""Records: figures as JSON, which has no NaN and no infinity, and settings as TOML."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridprior.errors import InputError
from hybridprior.io.files import write_atomically

__all__ = ["finite", "read_json", "read_toml", "write_json"]


def finite(value: Any) -> Any:
    """Return a value with NaN and infinity replaced by None, at any depth of dictionaries, lists and tuples.

    Args:
        value: Dictionaries, lists, tuples and plain values.

    Example:
        >>> finite({"psnr": float("inf"), "steps": (1, 2)})
        {'psnr': None, 'steps': [1, 2]}
    """
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON; the file is written completely or not at all.

    Args:
        path: The file; its folder must exist.
        value: Dictionaries, lists and plain values.

    Raises:
        OutputError: The file cannot be written.

    Example:
        >>> write_json(Path("record.json"), {"psnr": 30.5})
        >>> read_json(Path("record.json"))
        {'psnr': 30.5}
    """
    write_atomically(path, (json.dumps(finite(value), indent=1) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if there is none that can be read.

    Args:
        path: The file.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_toml(path: Path) -> Mapping[str, Any]:
    """Return the content of a TOML file.

    Args:
        path: The file.

    Raises:
        InputError: The file does not exist, or is not valid TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as TOML: {' '.join(str(error).split())}.") from error
    return values
