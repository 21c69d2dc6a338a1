"""An operator of somebody's own, by the name of a function: "module:function"."""

from __future__ import annotations

from hybridprior._internal.imports import import_part
from hybridprior.operators.base import Operator, as_operator

__all__ = ["load_operator"]


def load_operator(name: str) -> Operator:
    """Return the operator that a module holds.

    Args:
        name: "module:function", the module as Python imports it, from the working folder too. What stands there is an
            operator; a function of an image `(B, C, H, W)`, differentiable by torch; or a function (or class) of
            nothing, which returns one of these.

    Raises:
        ConfigError: Not such a name, a module that does not import, or nothing of the kind in it.
    """
    return import_part("operator", name, as_operator)
