"""The regulariser R: the prior on images that does not come from the generator.

R(x) = -log p(x) in nats. The weight lambda therefore has no unit, and lambda = 1 gives the MAP estimate. Regularisers
can be added and scaled: `0.5 * tv + red`.
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

    Subclasses implement `forward`. If only the gradient of R is known, `forward` returns a surrogate with that gradient
    and `has_value` is False.

    Example:
        >>> import torch
        >>> from hybridprior.regularisers import TotalVariation
        >>> x = torch.rand(1, 3, 8, 8)
        >>> tv = TotalVariation()
        >>> bool(torch.isclose((tv + 0.5 * tv)(x), 1.5 * tv(x)))
        True
    """

    Config: type
    """Frozen dataclass of the options."""

    has_value: bool = True
    """Whether `forward` returns R itself, and not only a surrogate with its gradient."""

    splits: bool = False
    """Whether `split` is implemented, so that R can be used with a splitting solver."""

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Prepare for a run. It is called once, before the first step.

        Args:
            problem: The measurements, A and the noise.
            steps: Maximum number of steps.
            seed: The run's seed.
            precision: Precision of the run: "auto", "fp32" or "bf16".
        """

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return R(x) in nats, a scalar.

        Args:
            x: The image, `(B, C, H, W)`, intensity in [0, 1].
            step: The solver's step, for regularisers with a schedule.
        """
        raise NotImplementedError

    def split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> tuple[torch.Tensor, float]:
        """Return the result v of the proximal step of R at x, and the standard deviation of |x - v|.

        Args:
            x: The image, `(B, C, H, W)`.
            step: Iteration of the splitting, counted from 1.
            scale: Factor of the noise level that is removed from x.

        Raises:
            ConfigError: R has no proximal step.
        """
        raise ConfigError(f"{type(self).__name__} has no proximal step; use solver='gradient'.")

    def run_state(self) -> dict[str, Any]:
        """Return the state of the run, tensors and numbers by name, for a checkpoint."""
        return {}

    def load_run_state(self, state: Mapping[str, Any]) -> None:
        """Load a state that `run_state` returned."""

    def __add__(self, other: Regulariser) -> Regulariser:
        """Return the sum of two regularisers, which is the product of two priors."""
        return _Sum((self, 1.0), (other, 1.0))

    def __radd__(self, other: Regulariser | int) -> Regulariser:
        """Return the regulariser itself for 0, the start value of `sum`."""
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
        weighted = [term for term, weight in terms if weight]
        self.splits = len(weighted) == 1 and weighted[0].splits

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        for term in self._terms():
            term.prepare(problem, steps=steps, seed=seed, precision=precision)

    def split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> tuple[torch.Tensor, float]:
        if not self.splits:
            return super().split(x, step, scale)
        ((term, weight),) = ((term, w) for term, w in zip(self._terms(), self.weights, strict=True) if w)
        v, sigma = term.split(x, step, scale * weight**0.5)
        return v, sigma / weight**0.5

    def run_state(self) -> dict[str, Any]:
        return {str(number): term.run_state() for number, term in enumerate(self._terms())}

    def load_run_state(self, state: Mapping[str, Any]) -> None:
        for number, term in enumerate(self._terms()):
            term.load_run_state(state[str(number)])

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
        name: One or more registered names, joined by plus signs.
        options: Fields of its `Config` that differ from the defaults; for a sum, a mapping of them for each name.
        weights: Factors of the terms of a sum, by name.

    Raises:
        ConfigError: An unknown name or option, or a repeated name.

    Example:
        >>> from hybridprior.regularisers import build_regulariser
        >>> build_regulariser("tv", {"scale": 0.05}).config.scale
        0.05
    """
    names, options = name.split("+"), options or {}
    for unknown in set(weights or {}) - set(names):
        raise unknown_name("weighted regulariser", unknown, names)
    if len(set(names)) < len(names):
        raise ConfigError(f"'{name}' contains a regulariser twice; double its weight instead.")
    if len(names) == 1:
        term = _build(name, options)
        return term * weights[name] if weights else term
    for unknown in set(options) - set(names):
        raise unknown_name("regulariser with options", unknown, names)
    terms = [_build(each, options.get(each, {})) * (weights or {}).get(each, 1.0) for each in names]
    return sum(terms[1:], terms[0])


def _build(name: str, options: Mapping[str, Any]) -> Regulariser:
    factory = REGULARISERS.find(name)
    return factory(build_config(factory.Config, options, part=name))  # type: ignore[attr-defined]
