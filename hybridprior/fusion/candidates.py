"""The candidates: images of the same measurements by different priors, which share their computations.

| name | image |
|---|---|
| `local` | f_theta without R |
| `hybrid` | f_theta with R, continued from the best step of `local` |
| `global` | the pretrained denoiser: one pass where A = 1, plug-and-play elsewhere |
| `warm_started` | where A = 1 one pass on the mean of y and `local`; elsewhere plug-and-play that starts at `local` |
| `finetuned` | `global` with the denoiser fine-tuned on this image |
| `blind` | `global` at the estimated noise level, where it differs from the nominal one |

Where A is a reduction, `warm_started` is the mean of several runs, each with other noise on the denoiser's input, and
of `local` if the factor is large. `FusionStrategy` says which candidates a problem has.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch

from hybridprior._internal.random import derive
from hybridprior.denoisers import Denoiser
from hybridprior.fidelities import Gaussian
from hybridprior.fusion.config import FusionConfig
from hybridprior.fusion.finetuning import DenoiserFinetuner
from hybridprior.fusion.plug_and_play import PretrainedPrior
from hybridprior.fusion.strategy import FusionStrategy
from hybridprior.fusion.validated_run import ValidatedRun
from hybridprior.problem import Problem, Split
from hybridprior.regularisers import Regulariser
from hybridprior.regularisers.red import RED, REDConfig

__all__ = ["Candidates"]


class Candidates:
    """The candidates of one image, after the network's run."""

    def __init__(
        self,
        run: ValidatedRun,
        prior: PretrainedPrior,
        finetuner: DenoiserFinetuner,
        strategy: FusionStrategy,
        config: FusionConfig,
        *,
        weight: float,
        seed: int,
        estimated_sigma: float | None = None,
        network_error: float = 0.0,
    ) -> None:
        """Take the network's run and the denoiser.

        Args:
            run: The network's run, complete.
            prior: Restoration by a denoiser without a network.
            finetuner: The denoiser, on the device of the measurements.
            strategy: Which candidates there are.
            config: How they are made.
            weight: lambda of the hybrid.
            seed: Seed of the averaged runs.
            estimated_sigma: Noise level of `blind`, in units of intensity.
            network_error: Standard deviation of the error of `local`, in units of intensity; 0 if unknown.
        """
        self.run, self.prior, self.finetuner, self.strategy, self.config = run, prior, finetuner, strategy, config
        self.weight, self.seed = weight, seed
        self.estimated_sigma, self.network_error = estimated_sigma, network_error
        self.hybrid_state: dict[str, Any] | None = None

    @property
    def denoiser(self) -> Denoiser:
        """The pretrained denoiser."""
        return self.finetuner.denoiser

    def all(self, split: Split, local: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the images `(1, C, H, W)` of all candidates by name; without those that are not finite.

        Args:
            split: The measurements; the images are made from the training part.
            local: The network's image, `(1, C, H, W)`.
        """
        problem = split.train
        makers: dict[str, Callable[[], torch.Tensor | None]] = {
            "hybrid": lambda: self.hybrid(problem),
            "global": lambda: self.pretrained(problem),
            "warm_started": lambda: self.warm_started(problem, local),
            "finetuned": lambda: self.finetuner.best_image(split) if self.finetuner.is_applicable else None,
            "blind": lambda: self.blind(problem),
        }
        images = {"local": local}
        for name in self.strategy.candidates[1:]:
            image = makers[name]()
            if image is not None and bool(torch.isfinite(image).all()):
                images[name] = image
        return images

    def refitted(self, name: str, problem: Problem, local: torch.Tensor) -> torch.Tensor:
        """Return a candidate's image of all measurements, `(1, C, H, W)`.

        Args:
            name: The candidate.
            problem: All measurements.
            local: The network's image of them, or the best one so far.
        """
        makers: dict[str, Callable[[], torch.Tensor]] = {
            "local": lambda: self._continued(problem, self.config.refit, self.run.solver.best_theta)[0],
            "hybrid": lambda: self._continued(problem, self.config.refit, self.hybrid_state, self._warm_prior())[0],
            "global": lambda: self.pretrained(problem),
            "warm_started": lambda: self.warm_started(problem, local),
            "finetuned": lambda: self.finetuner.refit(problem),
            "blind": lambda: self.blind(problem),
        }
        return makers[name]()

    def hybrid(self, problem: Problem) -> torch.Tensor:
        """Return the network's image with R, continued from its best step, `(1, C, H, W)`.

        Args:
            problem: The measurements.
        """
        start = self.run.solver.best_theta
        image, self.hybrid_state = self._continued(problem, self.config.hybrid, start, self._warm_prior())
        return image

    def pretrained(self, problem: Problem) -> torch.Tensor:
        """Return the denoiser's image without a network, `(1, C, H, W)`.

        Args:
            problem: The measurements.
        """
        return self.prior.restore(self.denoiser, problem)

    def blind(self, problem: Problem) -> torch.Tensor:
        """Return the denoiser's image at the estimated noise level, `(1, C, H, W)`.

        Args:
            problem: The measurements, with the nominal noise level.
        """
        fidelity = Gaussian(self.estimated_sigma or problem.fidelity.sigma)
        return self.pretrained(dataclasses.replace(problem, fidelity=fidelity))

    def warm_started(self, problem: Problem, local: torch.Tensor) -> torch.Tensor:
        """Return the denoiser's image from the network's image and the measurements, `(1, C, H, W)`.

        Args:
            problem: The measurements.
            local: The network's image, `(1, C, H, W)`.
        """
        if self.strategy.one_pass:
            share = self.config.mixed
            level = math.hypot(share * problem.fidelity.sigma, (1 - share) * self.network_error)
            return self.prior.denoise(self.denoiser, share * problem.filled() + (1 - share) * local, level)
        if self.strategy.average_runs:
            return self._averaged(problem, local)
        return self.prior.plug_and_play(problem, self._warm_prior(), start=local)

    def _averaged(self, problem: Problem, local: torch.Tensor) -> torch.Tensor:
        """Return the mean of several warm-started runs, each with other noise on the denoiser's input.

        At a large factor, where the denoiser restores little between the measured pixels, `local` is averaged with
        them.
        """
        prior = RED(REDConfig(noise=1.0), denoiser=self.denoiser)
        seeds = [derive(self.seed, f"run {k}") for k in range(self.config.runs)]
        how: dict[str, Any] = {"start": local, "iterations_factor": 2, "penalty_end": self.config.penalty_end}
        images = [self.prior.plug_and_play(problem, prior, **how, seed=seed) for seed in seeds]
        large = (problem.operator.downscale or 1) >= self.config.average_network_from
        return torch.stack([*images, local] if large else images).mean(0)

    def _warm_prior(self) -> Regulariser:
        return RED(REDConfig(sigma_start=self.config.warm_start_sigma), denoiser=self.denoiser)

    def _continued(
        self, problem: Problem, share: float, start: dict[str, Any] | None, prior: Regulariser | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the image and the state of the network after more steps."""
        found = self.run.refit(
            problem,
            share,
            start=start,
            regulariser=prior,
            weight=self.weight if prior is not None else 0.0,
            min_steps=self.config.min_refit_steps,
        )
        self.prior.raise_if_interrupted()
        return found
