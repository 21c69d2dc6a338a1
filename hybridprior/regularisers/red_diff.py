"""RED-diff: a diffusion prior as regulariser, with the denoiser evaluated at the image plus new noise in each step.

    x_sigma = x + sigma n,  n ~ N(0, 1);    gradient of R:  w(sigma) (x - D(x_sigma; sigma)) / sigma^2

Mardani, Song, Kautz, Vahdat, "A Variational Perspective on Solving Inverse Problems with Diffusion Models", ICLR 2024
multiply the noise that the network predicts by sigma, which means w(sigma) = sigma^2 up to a constant. The constant
here is such that w = 1 in the middle of the schedule, where R is in nats by Tweedie's formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hybridprior._internal.random import stream
from hybridprior.errors import unknown_name
from hybridprior.regularisers.base import REGULARISERS
from hybridprior.regularisers.denoising import DenoisingConfig, DenoisingRegulariser

if TYPE_CHECKING:
    from hybridprior.denoisers import Denoiser
    from hybridprior.problem import Problem

__all__ = ["REDDiffConfig", "REDDiff"]

WEIGHTINGS = ("red-diff", "tweedie")


@dataclass(frozen=True)
class REDDiffConfig(DenoisingConfig):
    """The denoiser, the schedule of the noise, and the weighting."""

    sigma_start: float = 100 / 255
    """Noise level of the first step, in units of intensity."""
    weighting: str = "red-diff"
    """"red-diff", or "tweedie" for w = 1 at each noise level."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range and for an unknown weighting."""
        super().__post_init__()
        if self.weighting not in WEIGHTINGS:
            raise unknown_name("weighting", self.weighting, WEIGHTINGS)


@REGULARISERS.register("score")
class REDDiff(DenoisingRegulariser[REDDiffConfig]):
    """R with the gradient w(sigma) (x - D(x + sigma n; sigma)) / sigma^2."""

    Config = REDDiffConfig

    def __init__(self, config: REDDiffConfig | None = None, *, denoiser: Denoiser | None = None) -> None:
        """Load the denoiser; see `DenoisingRegulariser`."""
        super().__init__(config, denoiser=denoiser)
        self.seed = 0

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Set the schedule for the noise of the measurements."""
        super().prepare(problem, steps=steps, seed=seed, precision=precision)
        self.seed = seed

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return a scalar with the gradient of R."""
        sigma = self.schedule(max(step, 1))
        noise = torch.randn(x.shape, generator=stream(self.seed, f"score {step}")).to(x)
        with torch.no_grad():
            clean = self.denoiser.denoise(x.detach() + sigma * noise, sigma, view=step)
        middle = self.schedule.start * self.schedule.end
        variance = middle if self.config.weighting == "red-diff" else sigma**2
        return (x - clean).square().sum() / (2 * variance)
