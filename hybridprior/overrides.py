"""What a caller gives in place of a configuration's own choices; None keeps the configuration's.

One type is used by `restore()`, the command line, the reconstructor for deepinv, uncertainty, benchmarks and
ablations. `hybridprior.resolve` combines it with a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hybridprior.denoisers import Denoiser
from hybridprior.errors import ConfigError
from hybridprior.generators import Generator
from hybridprior.regularisers import Regulariser
from hybridprior.stopping import StoppingRule

__all__ = ["Overrides"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Overrides:
    """Choices that replace those of a configuration."""

    generator: str | Generator | None = None
    """f_theta, by its registered name or as an object."""
    regulariser: str | Regulariser | None = None
    """R, by its registered name or as an object; "auto" is an alias of `solver="fusion"`."""
    weight: float | Mapping[str, float] | None = None
    """lambda, or one for each term of the regulariser by its name."""
    denoiser: str | Denoiser | Callable[..., Any] | None = None
    """The regulariser's denoiser, as `load_denoiser` takes it."""
    denoiser_sigma: tuple[float, float] | None = None
    """The denoiser's noise level at the start and at the end, in [0, 1]."""
    solver: str | None = None
    """The registered name of the algorithm."""
    stopping: str | StoppingRule | None = None
    """The stopping rule, by its registered name or as an object; "auto" depends on the noise."""
    max_steps: int | None = None
    """The largest number of steps."""
    seed: int | None = None
    """Seed of all random numbers."""
    precision: str | None = None
    """Arithmetic of the generator."""
    tile_size: int | None = None
    """Longest side of a tile in pixels."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for choices of a wrong type, or that contradict each other."""
        if self.regulariser is not None and not isinstance(self.regulariser, str | Regulariser):
            raise ConfigError(f"A regulariser is a name or a Regulariser, not {_described(self.regulariser)}.")
        if self.stopping is not None and not isinstance(self.stopping, str | StoppingRule):
            raise ConfigError(f"A stopping rule is a name or a StoppingRule, not {_described(self.stopping)}.")
        if isinstance(self.regulariser, Regulariser) and (
            self.denoiser is not None or self.denoiser_sigma is not None or isinstance(self.weight, Mapping)
        ):
            raise ConfigError(
                "A regulariser given as an object has its own denoiser, sigma and weights; set them there."
            )


def _described(value: object) -> str:
    """Return the type of a value in words."""
    return f"the class {value.__name__}; pass an instance" if isinstance(value, type) else f"a {type(value).__name__}"
