"""The global prior alone, without a generator: D(y; sigma) where A = 1, plug-and-play elsewhere.

One pass of a denoiser is the answer where all that happened to the image is noise of a level that it knows. Elsewhere
half-quadratic splitting alternates it with the measurements (Zhang et al., "Plug-and-Play Image Restoration with Deep
Denoiser Prior", TPAMI 2022, eq. 6).
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior.config import Component, RestoreConfig
from hybridprior.denoisers import Denoiser
from hybridprior.generators import Pixels
from hybridprior.problem import Problem
from hybridprior.regularisers import Regulariser
from hybridprior.regularisers.red import RED, REDConfig
from hybridprior.solvers.splitting import SplittingSolver
from hybridprior.stopping import build_stopping_rule

__all__ = ["PretrainedPrior", "Interrupted"]


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C came between two steps."""


class PretrainedPrior:
    """What denoisers make of measurements by themselves."""

    def __init__(
        self, config: RestoreConfig, *, precision: Precision, noisy: bool, interrupted: threading.Event
    ) -> None:
        """Take how plug-and-play goes.

        Args:
            config: Its steps, and the seed.
            precision: The arithmetic.
            noisy: Whether there is noise that a single pass of the denoiser can take off.
            interrupted: Set by Ctrl-C.
        """
        self.config, self.precision, self.noisy, self.interrupted = config, precision, noisy, interrupted

    def direct(self, problem: Problem) -> bool:
        """Return whether one pass of the denoiser is the answer: A = 1, and noise."""
        return self.noisy and problem.operator.is_identity

    def restored(self, denoiser: Denoiser, problem: Problem) -> torch.Tensor:
        """Return what a denoiser makes of the measurements, `(1, C, H, W)`.

        Args:
            denoiser: It may be one that was tuned.
            problem: The measurements.
        """
        if self.direct(problem):
            return self.denoised(denoiser, problem.filled(), problem.fidelity.sigma)
        return self.plug_and_play(problem, RED(REDConfig(), denoiser=denoiser))

    def denoised(self, denoiser: Denoiser, x: torch.Tensor, sigma: float) -> torch.Tensor:
        """Return D(x; sigma), without a gradient.

        Args:
            denoiser: D.
            x: `(1, C, H, W)`.
            sigma: In units of intensity.
        """
        self.raise_if_interrupted()
        with torch.no_grad():
            return denoiser.denoise(x, sigma)

    def plug_and_play(
        self,
        problem: Problem,
        prior: Regulariser,
        *,
        start: torch.Tensor | None = None,
        longer: int = 1,
        penalty_end: float | None = None,
        seed: int | None = None,
    ) -> torch.Tensor:
        """Return the image of plug-and-play, `(1, C, H, W)`.

        Args:
            problem: The measurements.
            prior: The denoiser, and its levels.
            start: Where it begins.
            longer: How many times as many steps it takes as the configuration says.
            penalty_end: How firmly the image holds to the denoiser's at the last step; as configured if not given.
            seed: The configuration's if not given.
        """
        steps = longer * self.config.splitting.iterations
        loop = dataclasses.replace(self.config.solver, max_steps=steps, ema_decay=0.0, input_noise_std=0.0)
        changes: dict[str, Any] = {
            "generator": Component("pixels"),
            "method": "splitting",
            "stopping": Component("fixed"),
        }
        if penalty_end is not None:
            changes["splitting"] = dataclasses.replace(self.config.splitting, penalty_end=penalty_end)
        seed = self.config.seed if seed is None else seed
        config = dataclasses.replace(self.config, solver=loop, weight=1.0, seed=seed, **changes)
        pixels, rule = Pixels(problem.shape[1]), build_stopping_rule("fixed")
        solver = SplittingSolver(problem, pixels, prior, rule, config=config, precision=self.precision, start=start)
        image = solver.run().image.to(problem.y)
        self.raise_if_interrupted()
        return image

    def raise_if_interrupted(self) -> None:
        """Raise `Interrupted` after Ctrl-C."""
        if self.interrupted.is_set():
            raise Interrupted
