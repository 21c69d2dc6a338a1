"""An operator of the user, by the name of a function: "module:function"."""

from __future__ import annotations

from hybridprior._internal.imports import import_part
from hybridprior.operators.base import Operator
from hybridprior.operators.convert import as_operator

__all__ = ["load_operator"]


def load_operator(name: str) -> Operator:
    """Return the operator in a module.

    Args:
        name: "module:function", the module as Python imports it, also from the working folder. It names an operator; a
            function of an image `(B, C, H, W)`, differentiable by torch; or a function (or class) without arguments
            that returns one of these.

    Raises:
        ConfigError: Another form of name, a module that cannot be imported, or no operator of that name in it.

    Example:
        >>> load_operator("hybridprior.operators:Identity")
        Identity()
    """
    return import_part("operator", name, as_operator)
