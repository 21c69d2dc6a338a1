"""A denoiser as regulariser: regularisation by denoising, and the denoising step of plug-and-play splittings.

By Tweedie's formula the score of the prior smoothed by sigma is (D(x; sigma) - x) / sigma^2, so that

    R(x) = |x - D|^2 / (2 sigma^2)  with D = D(x; sigma) held fixed

has the gradient of -log p_sigma (Romano, Elad, Milanfar, "The Little Engine that Could", SIAM J. Imaging Sci. 2017;
Reehorst and Schniter, IEEE TCI 2019). In nats, so that lambda = 1 is Bayes' own. Departs from both in that D is looked
up anew only every few steps, and may be taken at the average of the iterates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.errors import ConfigError
from hybridprior.regularisers.base import REGULARISERS, Regulariser
from hybridprior.regularisers.schedule import FINEST, Schedule

if TYPE_CHECKING:
    from hybridprior.problem import Problem

__all__ = ["DenoiserConfig", "DenoiserRegulariser"]


@dataclass(frozen=True)
class DenoiserConfig:
    """Which denoiser, and how it is asked."""

    denoiser: str = "shipped"
    """Its name, as `load_denoiser` takes it."""
    sigma_start: float = 50 / 255
    """Noise level taken off at the first step, in units of intensity."""
    sigma_end: float | None = None
    """At the end of the schedule; the noise of the measurements if not given, and 2/255 at least."""
    anneal: float = 0.5
    """Share of the steps that the schedule takes."""
    refresh: int = 5
    """Steps between two looks of the denoiser."""
    averaging: float = 0.9
    """Decay of the average of the iterates that the denoiser looks at; 0 looks at the last one."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not self.sigma_start > 0 or not (self.sigma_end is None or self.sigma_end > 0):
            raise ConfigError("denoiser: sigma_start and sigma_end are positive, in units of intensity.")
        if self.refresh < 1 or not 0 <= self.averaging < 1 or not 0 <= self.anneal <= 1:
            raise ConfigError("denoiser: refresh is 1 or more; averaging lies in [0, 1), anneal in [0, 1].")


@REGULARISERS.register("denoiser")
class DenoiserRegulariser(Regulariser):
    """R(x) = |x - D(x; sigma)|^2 / (2 sigma^2), D held fixed."""

    Config = DenoiserConfig
    has_value = False
    splits = True

    def __init__(self, config: DenoiserConfig | None = None, *, denoiser: Denoiser | None = None) -> None:
        """Load the denoiser.

        Args:
            config: `DenoiserConfig()` if not given.
            denoiser: In place of the one that the configuration names.

        Raises:
            ConfigError: An unknown name.
            WeightsError: Weights that cannot be used.
        """
        super().__init__()
        self.config = config or DenoiserConfig()
        if denoiser is not None:
            self.config = dataclasses.replace(self.config, denoiser=type(denoiser).__name__)
        self.denoiser = denoiser or load_denoiser(self.config.denoiser)
        self.schedule = Schedule(self.config.sigma_start, self.config.sigma_end or FINEST, 1)
        self.average: torch.Tensor | None = None
        self.clean: torch.Tensor | None = None
        self.sigma = self.schedule.end

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Lay out the schedule for the measurements' noise and forget any run before."""
        most = self.denoiser.sigma_range[1]
        end = min(self.config.sigma_end or max(problem.fidelity.sigma, FINEST), most)
        start = min(max(self.config.sigma_start, end), most)
        self.schedule = Schedule(start, end, max(1, round(self.config.anneal * steps)))
        if self.denoiser.precision == "auto":
            self.denoiser.precision = precision
        self.average, self.clean = None, None

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return |x - D|^2 / (2 sigma^2) in nats, a scalar whose gradient is the score's, negated."""
        average = self._averaged(x.detach())
        if self.clean is None or step % self.config.refresh == 0:
            self.sigma = self.schedule(max(step, 1))
            with torch.no_grad():
                self.clean = self.denoiser.denoise(average, self.sigma)
        return (x - self.clean).square().sum() / (2 * self.sigma**2)

    def split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> tuple[torch.Tensor, float]:
        """Return D(x; scale sigma) and sigma."""
        sigma = self.schedule(step)
        with torch.no_grad():
            return self.denoiser.denoise(x.detach(), scale * sigma), sigma

    def _averaged(self, x: torch.Tensor) -> torch.Tensor:
        decay = self.config.averaging
        if self.average is None or self.average.shape != x.shape or not decay:
            self.average, self.clean = x.clone(), self.clean if not decay else None
        else:
            self.average.lerp_(x, 1 - decay)
        return self.average

    def memory(self) -> dict[str, Any]:
        """Return the average, what the denoiser made of it, and at which noise level."""
        copies = {name: getattr(self, name) for name in ("average", "clean")}
        return {**{name: None if t is None else t.clone() for name, t in copies.items()}, "sigma": self.sigma}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take over what `memory` returned."""
        self.average, self.clean, self.sigma = memory["average"], memory["clean"], memory["sigma"]
