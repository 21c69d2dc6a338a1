"""Registries refuse duplicates and read entry points."""

import pytest

from hybridprior import ConfigError
from hybridprior._internal.registry import Registry


def test_a_registry_refuses_duplicates_and_stays_as_it_was() -> None:
    registry: Registry[type] = Registry("thing")
    registry.register("a")(int)
    with pytest.raises(ConfigError, match="registered already"):
        registry.register("a")(float)
    assert registry == {"a": int}
    with pytest.raises(ConfigError, match="no thing named 'b'"):
        registry.find("b")


def test_entry_points_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "own"

        @staticmethod
        def load() -> type:
            return complex

    monkeypatch.setattr(
        "hybridprior._internal.registry.entry_points", lambda group: [Point] if group == "hybridprior.things" else []
    )
    registry: Registry[type] = Registry("thing")
    assert registry.find("own") is complex
