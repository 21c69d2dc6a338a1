"""The errors of the library: one family, and every message says what to do.

`HybridPriorError` is the base class; catch it to catch them all. The command line turns any of them into one sentence
on stderr and exit code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ConfigError", "HybridPriorError", "InputError", "OutputError", "ShapeError", "WeightsError", "unknown_name"]


class HybridPriorError(Exception):
    """Base class of everything that the library raises on purpose."""


class ConfigError(HybridPriorError, ValueError):
    """A name, an option or a number in the configuration that cannot be used."""


class InputError(HybridPriorError, ValueError):
    """An image, a mask or a file that cannot be read or restored."""


class OutputError(HybridPriorError, OSError):
    """A place that cannot be written."""


class ShapeError(HybridPriorError, ValueError):
    """Shapes that do not fit together."""


class WeightsError(HybridPriorError, ValueError):
    """Weights that are missing, corrupt, unsafe to read or of another network."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ConfigError:
    """Return the error for an unknown name, with the nearest known one.

    Args:
        kind: What was looked up, in words: "generator", "preset".
        name: The name that is not known.
        known: The names that are.
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return ConfigError(f"There is no {kind} named '{name}'.{hint} Known: {', '.join(names)}.")
