"""Sources of weights: the package, a model hub, a folder or a file. Pickles are never loaded without a check.

Names: `shipped`, `hf-hub:org/name@revision`, `local-dir:PATH`, `file:PATH`. The environment variables of the hub apply:
`HF_HUB_OFFLINE` forbids downloads, and `HF_HOME` or `HF_HUB_CACHE` set the folder of the cache.
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
"""The schemes before the colon in names of weights that are not shipped."""


@dataclass(frozen=True)
class Entry:
    """One shipped file, as `manifest.toml` describes it."""

    name: str
    """Name of the weights: "denoiser"."""
    file: str
    """File name, in the folder of the manifest."""
    sha256: str
    """Checksum of the file."""
    licence: str
    """Licence of the weights."""
    source: str
    """Origin of the weights."""
    sigma_range: tuple[float, float]
    """Smallest and largest noise level, in units of intensity."""
    parameters: int
    """Number of parameters."""


def manifest() -> dict[str, Entry]:
    """Return the shipped weights by name.

    Raises:
        WeightsError: The manifest of the package cannot be read.

    Example:
        >>> from hybridprior.denoisers.weights import manifest
        >>> manifest()["denoiser"].licence
        'Apache-2.0'
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
    """Return whether the checksum of the file of shipped weights is that of the manifest.

    Args:
        name: Its name in the manifest.

    Raises:
        WeightsError: There are no such weights, or their file is missing.

    Example:
        >>> from hybridprior.denoisers.weights import verify
        >>> verify("denoiser")
        True
    """
    digest = hashlib.sha256(shipped_file(name).read_bytes()).hexdigest()
    return digest == manifest()[name].sha256


def resolve(name: str) -> Path:
    """Return the file or folder for a name with a scheme; a name of the hub is downloaded if needed.

    Args:
        name: `hf-hub:org/name@revision`, `local-dir:PATH` or `file:PATH`.

    Raises:
        ConfigError: An unknown scheme, or an invalid name of a repository.
        WeightsError: The file or folder does not exist, or the hub cannot be reached.
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
        raise WeightsError(f"'{rest[:100]}' is not a valid path ({error}).") from error
    if not found:
        raise WeightsError(f"There is no {'file' if scheme == 'file' else 'folder'} '{path}'.")
    return path


def _fetch(name: str) -> Path:
    """Return the folder of a repository of the hub, from the cache or downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = name.partition("@")
    if repository.count("/") != 1:
        raise ConfigError(f"Write hf-hub:org/name or hf-hub:org/name@revision, not 'hf-hub:{name}'.")
    try:
        folder = snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=["*.json", "*.safetensors", "*.bin", "*.pth", "*.pt", "*.md"],
        )
    except HFValidationError as error:
        raise ConfigError(f"'{repository}' is no valid name of a repository; write org/name.") from error
    except Exception as error:  # the client of the hub raises the errors of its transport
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"'hf-hub:{name}' cannot be downloaded ({reason}); use local-dir:PATH.") from error
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
