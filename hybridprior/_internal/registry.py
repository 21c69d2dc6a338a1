"""A registry: a plain dict from name to factory that refuses duplicates and reads entry points.

Each kind of part (operator, generator, regulariser, stopping rule) has one. A package of your own adds to it either by
calling `register` or, without being imported first, by an entry point in the group `hybridprior.<kind>s`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, TypeVar

from hybridprior.errors import ConfigError, unknown_name

__all__ = ["Registry", "build_config"]

T = TypeVar("T")


class Registry(dict[str, T]):
    """Parts of one kind by name.

    A failed registration leaves the registry as it was. Looking up a name that is not registered reads the entry
    points of the kind once, and then raises `ConfigError` with the nearest known name.
    """

    def __init__(self, kind: str, *, beside: Sequence[str] = ()) -> None:
        """Make an empty registry.

        Args:
            kind: The kind of part, in the singular; its entry points are in the group `hybridprior.<kind>s`, with
                underscores for spaces.
            beside: Names that may stand where a part is asked for and are none, such as "auto"; for messages.
        """
        super().__init__()
        self.beside = beside
        self.kind = kind
        self.group = f"hybridprior.{kind.replace(' ', '_')}s"
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a part under `name`.

        Raises:
            ConfigError: The name is taken.
        """

        def add(part: T) -> T:
            self[name] = part
            return part

        return add

    def __setitem__(self, name: str, part: T) -> None:
        """Register a part; raise `ConfigError` if another one has the name."""
        if name in self and self[name] is not part:
            raise ConfigError(f"A {self.kind} named '{name}' is registered already; choose another name.")
        super().__setitem__(name, part)

    def find(self, name: str) -> T:
        """Return the part called `name`.

        Raises:
            ConfigError: No such part is registered, nor among the entry points.
        """
        if name not in self:
            self._load()
        if name not in self:
            raise unknown_name(self.kind, name, [*self, *(other for other in self.beside if other != name)])
        return self[name]

    def names(self) -> list[str]:
        """Return the names of all parts, those of entry points included, sorted."""
        self._load()
        return sorted(self)

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            for point in entry_points(group=self.group):
                if point.name not in self:
                    self[point.name] = point.load()


def build_config(config_type: type[T], options: Mapping[str, Any], *, part: str) -> T:
    """Return a part's frozen configuration made from a mapping of options.

    Lists (as JSON and TOML have them) become tuples. A field that was not named keeps its default.

    Args:
        config_type: A dataclass.
        options: Field names and values.
        part: The part's name, for the message.

    Raises:
        ConfigError: An option that the part does not have.
    """
    known = [field.name for field in dataclasses.fields(config_type)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise unknown_name(f"option of '{part}'", name, known)
    try:
        return config_type(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"An option of '{part}' has a value of the wrong kind: {error}.") from error
