"""A diffusion prior as regulariser: the denoiser looks at the picture through fresh noise at each step.

    x_sigma = x + sigma n,  n ~ N(0, 1);    gradient of R:  w(sigma) (x - D(x_sigma; sigma)) / sigma^2

Mardani, Song, Kautz, Vahdat, "A Variational Perspective on Solving Inverse Problems with Diffusion Models", ICLR 2024
(RED-diff), weigh the noise that the network names by sigma, which makes w(sigma) = sigma^2 up to a constant. The
constant here is such that w = 1 in the middle of the schedule, where R is in nats by Tweedie's formula.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.errors import ConfigError, unknown_name
from hybridprior.proximal import FINEST
from hybridprior.regularisers.base import REGULARISERS, Regulariser
from hybridprior.regularisers.schedule import Schedule
from hybridprior.seeds import stream

if TYPE_CHECKING:
    from hybridprior.problem import Problem

__all__ = ["ScoreConfig", "ScoreRegulariser"]

WEIGHTINGS = ("red-diff", "tweedie")


@dataclass(frozen=True)
class ScoreConfig:
    """Which denoiser, and the noise it looks through."""

    denoiser: str = "shipped"
    """Its name, as `load_denoiser` takes it; a diffusion network is one."""
    sigma_start: float = 100 / 255
    """Noise level of the first step, in units of intensity."""
    sigma_end: float | None = None
    """At the end; the noise of the measurements if not given, and 2/255 at least."""
    anneal: float = 1.0
    """Share of the steps that the schedule takes."""
    weighting: str = "red-diff"
    """"red-diff", or "tweedie" for w = 1 at each noise level."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range and for an unknown weighting."""
        if not self.sigma_start > 0 or not (self.sigma_end is None or self.sigma_end > 0):
            raise ConfigError("score: sigma_start and sigma_end are positive, in units of intensity.")
        if not 0 <= self.anneal <= 1:
            raise ConfigError("score: anneal lies in [0, 1].")
        if self.weighting not in WEIGHTINGS:
            raise unknown_name("weighting", self.weighting, WEIGHTINGS)


@REGULARISERS.register("score")
class ScoreRegulariser(Regulariser):
    """R with the gradient w(sigma) (x - D(x + sigma n; sigma)) / sigma^2."""

    Config = ScoreConfig
    has_value = False

    def __init__(self, config: ScoreConfig | None = None, *, denoiser: Denoiser | None = None) -> None:
        """Load the denoiser.

        Args:
            config: `ScoreConfig()` if not given.
            denoiser: In place of the one that the configuration names.

        Raises:
            ConfigError: An unknown name.
            WeightsError: Weights that cannot be used.
        """
        super().__init__()
        self.config = config or ScoreConfig()
        if denoiser is not None:
            self.config = dataclasses.replace(self.config, denoiser=type(denoiser).__name__)
        self.denoiser = denoiser or load_denoiser(self.config.denoiser)
        self.schedule = Schedule(self.config.sigma_start, self.config.sigma_end or FINEST, 1)
        self.seed = 0

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Lay out the schedule for the measurements' noise."""
        most = self.denoiser.sigma_range[1]
        end = min(self.config.sigma_end or max(problem.fidelity.sigma, FINEST), most)
        start = min(max(self.config.sigma_start, end), most)
        self.schedule = Schedule(start, end, max(1, round(self.config.anneal * steps)))
        if self.denoiser.precision == "auto":
            self.denoiser.precision = precision
        self.seed = seed

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return a scalar that has R's gradient."""
        sigma = self.schedule(max(step, 1))
        noise = torch.randn(x.shape, generator=stream(self.seed, f"score {step}")).to(x)
        with torch.no_grad():
            clean = self.denoiser.denoise(x.detach() + sigma * noise, sigma, look=step)
        middle = self.schedule.start * self.schedule.end
        variance = middle if self.config.weighting == "red-diff" else sigma**2
        return (x - clean).square().sum() / (2 * variance)
