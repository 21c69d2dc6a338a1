"""The regulariser R: the prior on pictures that does not come from the generator.

R(x) = -log p(x) in nats, so that its weight lambda has no unit and 1 is Bayes' own. Regularisers add and scale:
`0.5 * tv + red`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from hybridprior.registry import Registry, build_config

__all__ = ["REGULARISERS", "Regulariser", "build_regulariser"]


class Regulariser(nn.Module):
    """A functional of pictures, in nats.

    Subclasses write `forward`. One whose gradient is known but whose value is not returns a surrogate with that
    gradient and sets `has_value` to False.
    """

    Config: type
    """The part's frozen dataclass of options."""

    has_value: bool = True
    """Whether the number returned is R itself and not only has its gradient."""

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return R(x) in nats, a scalar.

        Args:
            x: The picture, `(B, C, H, W)`, intensity in [0, 1].
            step: The solver's step, for regularisers with a schedule.
        """
        raise NotImplementedError

    def __add__(self, other: Regulariser) -> Regulariser:
        """Return the sum of two regularisers: the product of two priors."""
        return _Sum((self, 1.0), (other, 1.0))

    def __radd__(self, other: Regulariser | int) -> Regulariser:
        """Return the regulariser itself for 0, from where `sum` starts."""
        return self if other == 0 else NotImplemented

    def __mul__(self, weight: float) -> Regulariser:
        """Return the regulariser times a weight."""
        return _Sum((self, float(weight)))

    __rmul__ = __mul__


class _Sum(Regulariser):
    def __init__(self, *terms: tuple[Regulariser, float]) -> None:
        super().__init__()
        self.terms = nn.ModuleList(term for term, _ in terms)
        self.weights = [weight for _, weight in terms]
        self.has_value = all(term.has_value for term, weight in terms if weight)

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        values = [weight * term(x, step) for term, weight in zip(self.terms, self.weights, strict=True) if weight]
        return torch.stack(values).sum() if values else x.new_zeros(())


REGULARISERS: Registry[Callable[..., Regulariser]] = Registry("regulariser")


def build_regulariser(name: str, options: Mapping[str, Any] | None = None) -> Regulariser:
    """Return the regulariser registered as `name`.

    Args:
        name: A registered name: "none", "tv".
        options: Fields of its `Config` that depart from the defaults.

    Raises:
        ConfigError: An unknown name or option.
    """
    factory = REGULARISERS.find(name)
    return factory(build_config(factory.Config, options or {}, part=name))  # type: ignore[attr-defined]
