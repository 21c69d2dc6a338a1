"""A denoiser as regulariser: regularisation by denoising, and the denoising step of plug-and-play splittings.

By Tweedie's formula the score of the prior smoothed by sigma is (D(x; sigma) - x) / sigma^2, so that

    R(x) = |x - D|^2 / (2 sigma^2)  with D = D(x; sigma) held fixed

has the gradient of -log p_sigma (Romano, Elad, Milanfar, "The Little Engine that Could", SIAM J. Imaging Sci. 2017;
Reehorst and Schniter, IEEE TCI 2019). In nats, so that lambda = 1 is Bayes' own. Departs from both in that D is looked
up anew only every few steps, and in where it looks. At the iterates, D takes structure for noise, since the generator
has taken the noise off already: a large lambda smooths everything away. So D looks at the measurements instead, as far
as there are any,

    D = D(u; sigma),    u = argmin E(A u; y) + c |u - x|^2 / (2 sigma^2)

with x the average of the iterates, which is the point where plug-and-play looks (Zhang et al., TPAMI 2022, eq. 6a): a
large lambda leads to what the denoiser makes of y without a generator, a small one to what the generator makes alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from hybridprior._internal.random import stream
from hybridprior.errors import ConfigError, unknown_name
from hybridprior.fidelities.proximal import Proximal
from hybridprior.regularisers.base import REGULARISERS
from hybridprior.regularisers.denoising import DenoisingConfig, DenoisingRegulariser

if TYPE_CHECKING:
    from hybridprior.denoisers import Denoiser
    from hybridprior.problem import Problem

__all__ = ["REDConfig", "RED"]


log = logging.getLogger(__name__)

LOOKS = ("iterate", "average", "measured")


@dataclass(frozen=True)
class REDConfig(DenoisingConfig):
    """Which denoiser, and how it is asked."""

    look: str = "measured"
    """Where it looks: at the "iterate", at the "average" of the iterates, or near that at what was "measured"."""
    penalty: float = 0.23
    """c: how firmly u holds to x, in units of sigma^-2; as for plug-and-play."""
    refresh: int = 5
    """Steps between two looks of the denoiser."""
    ema_decay: float = 0.9
    """Decay of the average of the iterates."""
    noise: float = 0.0
    """Fresh noise on x before each step of a splitting but the last, in units of sigma: 1 is what D was trained to take
    off (Renaud et al., "Plug-and-Play Image Restoration with Stochastic Denoising Regularization", ICML 2024)."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        super().__post_init__()
        if self.refresh < 1 or not 0 <= self.ema_decay < 1 or not self.penalty > 0:
            raise ConfigError("denoiser: refresh >= 1, ema_decay in [0, 1), penalty positive.")
        if not 0 <= self.noise < math.inf:
            raise ConfigError(f"denoiser: noise is a number, 0 or more, not {self.noise}.")
        if self.look not in LOOKS:
            raise unknown_name("point for the denoiser to look at", self.look, LOOKS)


@REGULARISERS.register("denoiser")
class RED(DenoisingRegulariser[REDConfig]):
    """R(x) = |x - D(x; sigma)|^2 / (2 sigma^2), D held fixed."""

    Config = REDConfig
    splits = True

    def __init__(
        self,
        config: REDConfig | None = None,
        *,
        denoiser: Denoiser | Callable[[torch.Tensor, torch.Tensor], Any] | None = None,
    ) -> None:
        """Load the denoiser; see `DenoisingRegulariser`."""
        super().__init__(config, denoiser=denoiser)
        self.average: torch.Tensor | None = None
        self.clean: torch.Tensor | None = None
        self.proximal: Proximal | None = None
        self.sigma, self.steps, self.seed = self.schedule.end, 1, 0

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Lay out the schedule for the measurements' noise and forget any run before."""
        super().prepare(problem, steps=steps, seed=seed, precision=precision)
        self.steps = steps
        self.average, self.clean, self.proximal = None, None, None
        self.seed = seed
        if self.config.look == "measured":
            self.proximal = Proximal(problem)
            if not self.proximal.exact:
                log.info("The measurements are no linear map with Gaussian noise; the denoiser looks at the average.")
                self.proximal = None

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return |x - D|^2 / (2 sigma^2) in nats, a scalar whose gradient is the score's, negated."""
        average = self._averaged(x.detach())
        if self.clean is None or step % self.config.refresh == 0:
            self.sigma = self.schedule(max(step, 1))
            mu = self.config.penalty / self.sigma**2
            point = average if self.proximal is None else self.proximal(average, mu)
            with torch.no_grad():
                self.clean = self.denoiser.denoise(point, self.sigma, look=step // self.config.refresh)
        return (x - self.clean).square().sum() / (2 * self.sigma**2)

    def split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> tuple[torch.Tensor, float]:
        """Return D(x; scale sigma) and sigma."""
        sigma, last = self.schedule(step), step >= self.steps
        x = x.detach()
        if self.config.noise and not last:
            drawn = torch.randn(x.shape, generator=stream(self.seed, f"look {step}"))
            x = x + self.config.noise * sigma * drawn.to(x)
        with torch.no_grad():
            return self.denoiser.denoise(x, scale * sigma, look=None if last else step), sigma

    def _averaged(self, x: torch.Tensor) -> torch.Tensor:
        if self.average is None or self.average.shape != x.shape:
            self.average, self.clean = x.clone(), None
        else:
            self.average.lerp_(x, 1 if self.config.look == "iterate" else 1 - self.config.ema_decay)
        return self.average

    def run_state(self) -> dict[str, Any]:
        """Return the average, what the denoiser made of it, and at which noise level."""
        copies = {name: getattr(self, name) for name in ("average", "clean")}
        return {**{name: None if t is None else t.clone() for name, t in copies.items()}, "sigma": self.sigma}

    def load_run_state(self, memory: Mapping[str, Any]) -> None:
        """Take over what `memory` returned."""
        self.average, self.clean, self.sigma = memory["average"], memory["clean"], memory["sigma"]
