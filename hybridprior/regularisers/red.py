"""Regularisation by denoising (RED), and the denoising step of plug-and-play splittings.

By Tweedie's formula the score of the prior smoothed by sigma is (D(x; sigma) - x) / sigma^2. Therefore

    R(x) = |x - D|^2 / (2 sigma^2)  with D = D(x; sigma) as a constant

has the gradient of -log p_sigma (Romano, Elad, Milanfar, "The Little Engine that Could", SIAM J. Imaging Sci. 2017;
Reehorst and Schniter, IEEE TCI 2019). R is in nats, so lambda = 1 gives the MAP estimate.

There are two differences from these papers. D is computed only every few steps. And by default D is not evaluated at
the iterate x: the generator has already removed the noise there, so that the denoiser removes structure, and a large
lambda smooths the image. Where the measurements allow, D is evaluated at the point of plug-and-play (Zhang et al.,
TPAMI 2022, eq. 6a), with x the EMA of the iterates:

    D = D(u; sigma),    u = argmin E(A u; y) + c |u - x|^2 / (2 sigma^2)

A large lambda then leads to the result of the denoiser without a generator, a small lambda to that of the generator
without a denoiser.
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
from hybridprior.noise_model import NoiseModel
from hybridprior.regularisers.base import REGULARISERS
from hybridprior.regularisers.denoising import DenoisingConfig, DenoisingRegulariser

if TYPE_CHECKING:
    from hybridprior.denoisers import Denoiser
    from hybridprior.problem import Problem

__all__ = ["REDConfig", "RED"]


log = logging.getLogger(__name__)

POINTS = ("iterate", "ema", "measurements")


@dataclass(frozen=True)
class REDConfig(DenoisingConfig):
    """The denoiser, and where and how often it is evaluated."""

    evaluate_at: str = "measurements"
    """Where D is evaluated: at the "iterate", at the "ema" of the iterates, or at u, which uses the "measurements"."""
    penalty: float = 0.23
    """c: weight of |u - x|^2 in units of sigma^-2, as for plug-and-play."""
    refresh: int = 5
    """Steps between two evaluations of the denoiser."""
    ema_decay: float = 0.9
    """Decay of the EMA of the iterates."""
    noise: float = 0.0
    """Noise added to x before each step of a splitting but the last, in units of sigma. The denoiser is trained to
    remove noise of 1 (Renaud et al., "Plug-and-Play Image Restoration with Stochastic Denoising Regularization", ICML
    2024)."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        super().__post_init__()
        if self.refresh < 1 or not 0 <= self.ema_decay < 1 or not self.penalty > 0:
            raise ConfigError("denoiser: refresh must be at least 1, ema_decay in [0, 1) and penalty positive.")
        if not 0 <= self.noise < math.inf:
            raise ConfigError(f"denoiser: noise must be a number of at least 0, not {self.noise}.")
        if self.evaluate_at not in POINTS:
            raise unknown_name("point of evaluation", self.evaluate_at, POINTS)


@REGULARISERS.register("denoiser")
class RED(DenoisingRegulariser[REDConfig]):
    """R(x) = |x - D(x; sigma)|^2 / (2 sigma^2) with D as a constant.

    Example:
        >>> import torch
        >>> from hybridprior.regularisers.red import RED, REDConfig
        >>> red = RED(REDConfig(evaluate_at="iterate", sigma_end=0.1), denoiser=lambda x, sigma: 0 * x)
        >>> value = red(torch.full((1, 1, 4, 4), 0.1), step=1)  # 16 pixels of 0.1^2 / (2 sigma^2)
    """

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
        self.ema: torch.Tensor | None = None
        self.clean: torch.Tensor | None = None
        self.proximal: Proximal | None = None
        self.sigma, self.steps, self.seed = self.schedule.end, 1, 0
        self.noise: NoiseModel | None = None

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Set the schedule for the noise of the measurements and reset the state."""
        super().prepare(problem, steps=steps, seed=seed, precision=precision)
        self.steps = steps
        self.ema, self.clean, self.proximal = None, None, None
        self.seed = seed
        denoising = problem.operator.is_identity and self.config.sigma_end is None
        self.noise = problem.noise if denoising and not problem.noise.is_uniform_white else None
        if self.config.evaluate_at == "measurements":
            self.proximal = Proximal(problem)
            if not self.proximal.exact:
                log.info("The operator is not linear or the noise not Gaussian; RED evaluates the denoiser at the EMA.")
                self.proximal = None

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return |x - D|^2 / (2 sigma^2) in nats, a scalar whose gradient is the negative score."""
        ema = self._updated_ema(x.detach())
        if self.clean is None or step % self.config.refresh == 0:
            self.sigma = self.schedule(max(step, 1))
            mu = self.config.penalty / self.sigma**2
            point = ema if self.proximal is None else self.proximal(ema, mu)
            with torch.no_grad():
                self.clean = self.denoiser.denoise(point, self.sigma, view=step // self.config.refresh)
        return (x - self.clean).square().sum() / (2 * self.sigma**2)

    def split(self, x: torch.Tensor, step: int, scale: float = 1.0) -> tuple[torch.Tensor, float]:
        """Return D(x; scale sigma) and sigma; in the last step of denoising D is given the noise model."""
        sigma, last = self.schedule(step), step >= self.steps
        x = x.detach()
        if self.config.noise and not last:
            drawn = torch.randn(x.shape, generator=stream(self.seed, f"look {step}"))
            x = x + self.config.noise * sigma * drawn.to(x)
        level = self.noise.scaled(scale) if self.noise is not None and last else scale * sigma
        with torch.no_grad():
            return self.denoiser.denoise(x, level, view=None if last else step), sigma

    def _updated_ema(self, x: torch.Tensor) -> torch.Tensor:
        if self.ema is None or self.ema.shape != x.shape:
            self.ema, self.clean = x.clone(), None
        else:
            self.ema.lerp_(x, 1 if self.config.evaluate_at == "iterate" else 1 - self.config.ema_decay)
        return self.ema

    def run_state(self) -> dict[str, Any]:
        """Return the EMA of the iterates, the denoised image and its noise level."""
        copies = {name: getattr(self, name) for name in ("ema", "clean")}
        return {**{name: None if t is None else t.clone() for name, t in copies.items()}, "sigma": self.sigma}

    def load_run_state(self, state: Mapping[str, Any]) -> None:
        """Load a state that `run_state` returned."""
        self.ema, self.clean, self.sigma = state["ema"], state["clean"], state["sigma"]
