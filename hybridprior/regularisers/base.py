"""The regulariser R: the prior on images that does not come from the generator.

R(x) = -log p(x) in nats, so that its weight lambda has no unit and 1 is Bayes' own. Regularisers add and scale:
`0.5 * tv + red`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from hybridprior._internal.registry import Registry, build_config
from hybridprior.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from hybridprior.problem import Problem

__all__ = ["REGULARISERS", "Regulariser", "build_regulariser"]


class Regulariser(nn.Module):
    """A functional of images, in nats.

    Subclasses write `forward`. One whose gradient is known but whose value is not returns a surrogate with that
    gradient and sets `has_value` to False.
    """

    Config: type
    """The part's frozen dataclass of options."""

    has_value: bool = True
    """Whether the number returned is R itself and not only has its gradient."""

    splits: bool = False
    """Whether there is a `split`, so that R can enter by splitting."""

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Get to know what is solved, before the first step; each run calls it once.

        Args:
            problem: The measurements, A and the noise.
            steps: How many steps there will be at most.
            seed: The run's seed.
            precision: The run's arithmetic: "auto", "fp32" or "bf16".
        """

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return R(x) in nats, a scalar.

        Args:
            x: The image, `(B, C, H, W)`, intensity in [0, 1].
            step: The solver's step, for regularisers with a schedule.
        """
        raise NotImplementedError

    def split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> tuple[torch.Tensor, float]:
        """Return v, what R alone makes of x, and the standard deviation of v's coupling to x.

        Args:
            x: The image, `(B, C, H, W)`.
            step: The splitting's iteration, counted from 1.
            scale: Factor of the noise level that is taken off x.

        Raises:
            ConfigError: R has no such step.
        """
        raise ConfigError(f"{type(self).__name__} enters by its gradient only; use solver='gradient'.")

    def run_state(self) -> dict[str, Any]:
        """Return what the steps so far left behind, tensors and numbers, for a run to be resumed."""
        return {}

    def load_run_state(self, memory: Mapping[str, Any]) -> None:
        """Take over what `memory` returned."""

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
        heavy = [term for term, weight in terms if weight]
        self.splits = len(heavy) == 1 and heavy[0].splits

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        for term in self._terms():
            term.prepare(problem, steps=steps, seed=seed, precision=precision)

    def split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> tuple[torch.Tensor, float]:
        if not self.splits:
            return super().split(x, step, scale)
        (alone,) = ((term, w) for term, w in zip(self._terms(), self.weights, strict=True) if w)
        v, sigma_k = alone[0].split(x, step, scale * alone[1] ** 0.5)
        return v, sigma_k / alone[1] ** 0.5

    def run_state(self) -> dict[str, Any]:
        return {str(number): term.run_state() for number, term in enumerate(self._terms())}

    def load_run_state(self, memory: Mapping[str, Any]) -> None:
        for number, term in enumerate(self._terms()):
            term.load_run_state(memory[str(number)])

    def _terms(self) -> list[Regulariser]:
        return list(self.terms)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        values = [weight * term(x, step) for term, weight in zip(self.terms, self.weights, strict=True) if weight]
        return torch.stack(values).sum() if values else x.new_zeros(())


REGULARISERS: Registry[Callable[..., Regulariser]] = Registry("regulariser", beside=("auto",))


def build_regulariser(
    name: str, options: Mapping[str, Any] | None = None, weights: Mapping[str, float] | None = None
) -> Regulariser:
    """Return the regulariser registered as `name`, or the sum of several: "denoiser+tv".

    Args:
        name: One or more registered names, with plus signs.
        options: Fields of its `Config` that depart from the defaults; for a sum, a mapping of them for each name.
        weights: Factors of a sum's terms, by name.

    Raises:
        ConfigError: An unknown name or option, or a name that comes twice.
    """
    names, options = name.split("+"), options or {}
    for unknown in set(weights or {}) - set(names):
        raise unknown_name("regulariser to weigh", unknown, names)
    if len(set(names)) < len(names):
        raise ConfigError(f"'{name}' names a regulariser twice; give it twice the weight.")
    if len(names) == 1:
        alone = _build(name, options)
        return alone * weights[name] if weights else alone
    for unknown in set(options) - set(names):
        raise unknown_name("term to give options to", unknown, names)
    terms = [_build(term, options.get(term, {})) * (weights or {}).get(term, 1.0) for term in names]
    return sum(terms[1:], terms[0])


def _build(name: str, options: Mapping[str, Any]) -> Regulariser:
    factory = REGULARISERS.find(name)
    return factory(build_config(factory.Config, options, part=name))  # type: ignore[attr-defined]
