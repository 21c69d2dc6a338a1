"""The pretrained prior without a network: D(y; sigma) where A = 1, plug-and-play elsewhere.

One pass of a denoiser restores an image that has nothing but noise of a known level. Elsewhere half-quadratic
splitting alternates the denoiser with the proximal map of E (Zhang et al., "Plug-and-Play Image Restoration with Deep
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
from hybridprior.solvers import Components, PlugAndPlaySolver
from hybridprior.stopping import build_stopping_rule

__all__ = ["Interrupted", "PretrainedPrior"]


class Interrupted(Exception):  # noqa: N818
    """An interrupt (Ctrl-C) came between two steps."""


class PretrainedPrior:
    """Restoration by a denoiser without a network."""

    def __init__(
        self, config: RestoreConfig, *, precision: Precision, one_pass: bool, interrupted: threading.Event
    ) -> None:
        """Take the configuration of plug-and-play.

        Args:
            config: Its iterations, and the seed.
            precision: The arithmetic.
            one_pass: Whether one pass of the denoiser restores the image; plug-and-play does if not.
            interrupted: Set by an interrupt.
        """
        self.config, self.precision, self.one_pass, self.interrupted = config, precision, one_pass, interrupted

    def restore(self, denoiser: Denoiser, problem: Problem) -> torch.Tensor:
        """Return the image that a denoiser restores from the measurements, `(1, C, H, W)`.

        Args:
            denoiser: The pretrained or the fine-tuned denoiser.
            problem: The measurements.
        """
        if self.one_pass:
            return self.denoise(denoiser, problem.filled(), problem.fidelity.sigma)
        return self.plug_and_play(problem, RED(REDConfig(), denoiser=denoiser))

    def denoise(self, denoiser: Denoiser, x: torch.Tensor, sigma: float) -> torch.Tensor:
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
        iterations_factor: int = 1,
        penalty_end: float | None = None,
        seed: int | None = None,
    ) -> torch.Tensor:
        """Return the image of plug-and-play, `(1, C, H, W)`.

        Args:
            problem: The measurements.
            prior: The denoiser and its noise levels.
            start: The first image; the operator's initial estimate if not given.
            iterations_factor: Factor of the configured number of iterations.
            penalty_end: Penalty at the last iteration; the configured one if not given.
            seed: The configured one if not given.
        """
        steps = iterations_factor * self.config.splitting.iterations
        loop = dataclasses.replace(self.config.solver, max_steps=steps, ema_decay=0.0, input_noise_std=0.0)
        changes: dict[str, Any] = {
            "generator": Component("pixels"),
            "method": "pnp",
            "stopping": Component("fixed"),
        }
        if penalty_end is not None:
            changes["splitting"] = dataclasses.replace(self.config.splitting, penalty_end=penalty_end)
        seed = self.config.seed if seed is None else seed
        config = dataclasses.replace(self.config, solver=loop, weight=1.0, seed=seed, **changes)
        components = Components(Pixels(problem.shape[1]), prior, build_stopping_rule("fixed"))
        solver = PlugAndPlaySolver(problem, components, config=config, precision=self.precision, start=start)
        image = solver.run().image.to(problem.y)
        self.raise_if_interrupted()
        return image

    def raise_if_interrupted(self) -> None:
        """Raise `Interrupted` after an interrupt."""
        if self.interrupted.is_set():
            raise Interrupted
