"""Where weights come from: the package itself, a model hub, a folder or a file; nothing is unpickled blindly.

Names: `shipped`, `hf-hub:org/name@revision`, `local-dir:PATH`, `file:PATH`. The hub's own environment variables hold:
`HF_HUB_OFFLINE` forbids the network, and `HF_HOME` or `HF_HUB_CACHE` say where files are kept.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from hybridprior.errors import ConfigError, WeightsError, unknown_name

__all__ = ["SCHEMES", "Entry", "manifest", "resolve", "shipped_file", "verify"]

SCHEMES = ("hf-hub", "local-dir", "file")
"""What stands before the colon in the name of weights that are not shipped."""


@dataclass(frozen=True)
class Entry:
    """One shipped file, as `manifest.toml` describes it."""

    name: str
    """What it is for: "denoiser"."""
    file: str
    """Its name, beside the manifest."""
    sha256: str
    """Its checksum."""
    licence: str
    """The weights' own."""
    source: str
    """How they came about."""
    sigma_range: tuple[float, float]
    """Least and greatest noise level, in units of intensity."""
    parameters: int
    """How many numbers."""


def manifest() -> dict[str, Entry]:
    """Return the shipped weights by name.

    Raises:
        WeightsError: The package's manifest cannot be read.
    """
    place = _folder() / "manifest.toml"
    try:
        rows = _parse(place.read_text(encoding="utf-8"))
        return {name: _entry(name, row) for name, row in rows.items()}
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"The package's '{place}' cannot be read ({error}); install the package again.") from error


def shipped_file(name: str) -> Path:
    """Return the file of shipped weights.

    Args:
        name: Its name in the manifest.

    Raises:
        WeightsError: There are no such weights, or their file is missing.
    """
    entries = manifest()
    if name not in entries:
        raise WeightsError(f"The package ships no weights named '{name}'. It ships: {', '.join(entries) or 'none'}.")
    path = _folder() / entries[name].file
    if not path.is_file():
        raise WeightsError(f"The shipped weights '{path}' are missing; install the package again.")
    return path


def verify(name: str) -> bool:
    """Return whether the file of shipped weights has the manifest's checksum.

    Args:
        name: Its name in the manifest.

    Raises:
        WeightsError: There are no such weights, or their file is missing.
    """
    digest = hashlib.sha256(shipped_file(name).read_bytes()).hexdigest()
    return digest == manifest()[name].sha256


def resolve(name: str) -> Path:
    """Return the file or folder that a name with a scheme stands for, fetched from the hub if need be.

    Args:
        name: `hf-hub:org/name@revision`, `local-dir:PATH` or `file:PATH`.

    Raises:
        ConfigError: Another scheme, or a hub name that is none.
        WeightsError: No such file or folder, or the hub cannot be reached.
    """
    scheme, _, rest = name.partition(":")
    if scheme not in SCHEMES or not rest:
        raise unknown_name("weights", name, ("shipped", *(f"{scheme}:..." for scheme in SCHEMES)))
    if scheme == "hf-hub":
        return _fetch(rest)
    try:
        path = Path(rest).expanduser()
        found = path.is_file() if scheme == "file" else path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"'{rest[:100]}' is no path ({error}).") from error
    if not found:
        raise WeightsError(f"There is no {'file' if scheme == 'file' else 'folder'} '{path}'.")
    return path


def _fetch(name: str) -> Path:
    """Return the folder of a hub's repository, from the cache or by the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = name.partition("@")
    if repository.count("/") != 1:
        raise ConfigError(f"A hub's name is hf-hub:org/name or hf-hub:org/name@revision, not 'hf-hub:{name}'.")
    try:
        folder = snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=["*.json", "*.safetensors", "*.bin", "*.pth", "*.pt", "*.md"],
        )
    except HFValidationError as error:
        raise ConfigError(f"'{repository}' is no name of a hub's repository.") from error
    except Exception as error:  # the hub's client passes on whatever its transport raises
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"'hf-hub:{name}' cannot be fetched ({reason}); use local-dir:PATH for a copy.") from error
    return Path(folder)


def _entry(name: str, row: Mapping[str, Any]) -> Entry:
    known = {field.name for field in fields(Entry)}
    values: dict[str, Any] = {"name": name, **{key: value for key, value in row.items() if key in known}}
    values["sigma_range"] = tuple(values.get("sigma_range", (0.0, 1.0)))
    return Entry(**values)


def _folder() -> Path:
    return Path(str(files("hybridprior.weights")))


def _parse(text: str) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    rows: Mapping[str, Any] = tomllib.loads(text)
    return rows
