"""The errors of the library. Every message says what to do.

`HybridPriorError` is the base class of all of them. The command line prints the message on stderr and exits with
code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ConfigError", "HybridPriorError", "InputError", "OutputError", "ShapeError", "WeightsError", "unknown_name"]


class HybridPriorError(Exception):
    """Base class of the errors that the library raises."""


class ConfigError(HybridPriorError, ValueError):
    """A name, an option or a number in the configuration that cannot be used."""


class InputError(HybridPriorError, ValueError):
    """An image, a mask or a file that cannot be read or restored."""


class OutputError(HybridPriorError, OSError):
    """A file or folder that cannot be written."""


class ShapeError(HybridPriorError, ValueError):
    """Shapes that do not fit together."""


class WeightsError(HybridPriorError, ValueError):
    """Weights that are missing, corrupt, unsafe to read or made for another network."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ConfigError:
    """Return the error for an unknown name, with the nearest known one.

    Args:
        kind: The kind of object, in words: "generator", "preset".
        name: The unknown name.
        known: The known names.

    Example:
        >>> from hybridprior.errors import unknown_name
        >>> print(unknown_name("generator", "skipp", ["skip", "decoder"]))
        There is no generator named 'skipp'. Did you mean 'skip'? Known: decoder, skip.
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return ConfigError(f"There is no {kind} named '{name}'.{hint} Known: {', '.join(names)}.")
