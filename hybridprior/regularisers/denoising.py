"""Base class of the regularisers that use a denoiser: loading, and the schedule of the noise level."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.errors import ConfigError
from hybridprior.fidelities.proximal import FINEST
from hybridprior.regularisers.base import Regulariser
from hybridprior.regularisers.schedule import Schedule

if TYPE_CHECKING:
    from hybridprior.problem import Problem

__all__ = ["DenoisingConfig", "DenoisingRegulariser"]


@dataclass(frozen=True)
class DenoisingConfig:
    """The denoiser and the schedule of its noise level."""

    denoiser: str = "shipped"
    """Name of the denoiser or of a diffusion network, as `load_denoiser` takes it. In a run it may be an object."""
    sigma_start: float = 50 / 255
    """Noise level of the first step, in units of intensity."""
    sigma_end: float | None = None
    """Noise level at the end of the schedule. If not given, that of the measurements, but at least 2/255."""
    anneal: float = 1.0
    """Length of the schedule as a fraction of the steps."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not self.sigma_start > 0 or not (self.sigma_end is None or self.sigma_end > 0):
            raise ConfigError("sigma_start and sigma_end must be positive, in units of intensity.")
        if not 0 <= self.anneal <= 1:
            raise ConfigError("anneal must lie in [0, 1].")


C = TypeVar("C", bound=DenoisingConfig)


class DenoisingRegulariser(Regulariser, Generic[C]):
    """An R with a denoiser whose noise level decreases over the run."""

    Config: type[DenoisingConfig]
    config: C
    has_value = False

    def __init__(
        self, config: C | None = None, *, denoiser: Denoiser | Callable[[torch.Tensor, torch.Tensor], Any] | None = None
    ) -> None:
        """Load the denoiser.

        Args:
            config: `Config()` if not given.
            denoiser: A denoiser or a function of (x, sigma), in place of the one that the configuration names.

        Raises:
            ConfigError: An unknown name.
            WeightsError: Weights that cannot be used.
        """
        super().__init__()
        chosen = config or self.Config()
        if denoiser is not None:
            chosen = dataclasses.replace(chosen, denoiser=type(denoiser).__name__)
        self.config = chosen  # type: ignore[assignment]
        self.denoiser = load_denoiser(chosen.denoiser if denoiser is None else denoiser)
        self.schedule = Schedule(chosen.sigma_start, chosen.sigma_end or FINEST, 1)

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Set the schedule for the noise of the measurements, within the range of the denoiser."""
        config, largest = self.config, self.denoiser.sigma_range[1]
        end = min(config.sigma_end or max(problem.fidelity.sigma, FINEST), largest)
        start = min(max(config.sigma_start, end), largest)
        self.schedule = Schedule(start, end, max(1, round(config.anneal * steps)))
        if self.denoiser.precision == "auto":
            self.denoiser.precision = precision
