"""A registry: a plain dict from name to factory that refuses duplicates and reads entry points.

Each kind of component (operator, generator, regulariser, stopping rule) has one. Other packages add components with
`register`, or with an entry point in the group `hybridprior.<kind>s`, which needs no import.
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
    """Components of one kind by name.

    A failed registration leaves the registry unchanged. Looking up a name that is not registered reads the entry
    points of the kind once, and then raises `ConfigError` with the nearest known name.

    Example:
        >>> from hybridprior._internal.registry import Registry
        >>> shapes = Registry("shape")
        >>> @shapes.register("square")
        ... class Square: ...
        >>> shapes.find("square")
        <class 'hybridprior._internal.registry.Square'>
    """

    def __init__(self, kind: str, *, beside: Sequence[str] = ()) -> None:
        """Make an empty registry.

        Args:
            kind: The kind of component, in the singular. Its entry points are in the group `hybridprior.<kind>s`, with
                underscores for spaces.
            beside: Names that are accepted in place of a component, such as "auto"; for messages.
        """
        super().__init__()
        self.beside = beside
        self.kind = kind
        self.group = f"hybridprior.{kind.replace(' ', '_')}s"
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a component under `name`.

        Raises:
            ConfigError: The name is taken.
        """

        def add(part: T) -> T:
            self[name] = part
            return part

        return add

    def __setitem__(self, name: str, part: T) -> None:
        """Register a component; raise `ConfigError` if the name is taken."""
        if name in self and self[name] is not part:
            raise ConfigError(f"A {self.kind} named '{name}' is registered already; choose another name.")
        super().__setitem__(name, part)

    def find(self, name: str) -> T:
        """Return the component called `name`.

        Raises:
            ConfigError: No registered component and no entry point has this name.
        """
        if name not in self:
            self._load()
        if name not in self:
            raise unknown_name(self.kind, name, [*self, *(other for other in self.beside if other != name)])
        return self[name]

    def names(self) -> list[str]:
        """Return the sorted names of all components, including entry points."""
        self._load()
        return sorted(self)

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            for point in entry_points(group=self.group):
                if point.name not in self:
                    self[point.name] = point.load()


def build_config(config_type: type[T], options: Mapping[str, Any], *, part: str) -> T:
    """Return a component's frozen configuration from a mapping of options.

    Lists, as read from JSON and TOML, become tuples. Fields that are not given have their defaults.

    Args:
        config_type: A dataclass.
        options: Field names and values.
        part: Name of the component, for the message.

    Raises:
        ConfigError: An unknown option, or a value of the wrong type.

    Example:
        >>> from hybridprior._internal.registry import build_config
        >>> from hybridprior.regularisers.tv import TotalVariationConfig
        >>> build_config(TotalVariationConfig, {"scale": 0.05}, part="tv")
        TotalVariationConfig(scale=0.05, smoothing=0.001)
    """
    known = [field.name for field in dataclasses.fields(config_type)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise unknown_name(f"option of '{part}'", name, known)
    try:
        return config_type(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"An option of '{part}' has a value of the wrong type: {error}.") from error
