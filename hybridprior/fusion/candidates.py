"""The candidates: ways to restore one image that share their work, each on any of its measurements.

`local` is f_theta alone. `hybrid` goes on from where that was best, with R. `global` is the denoiser alone:
D(y; sigma), or plug-and-play where A is not 1. `warm_started` is the denoiser on what the local prior found: on its
mean with y, whose noise is less than y's, or by plug-and-play that starts there; where A makes the image smaller, by
the mean of some such runs, each with noise of its own on what the denoiser sees, and of the local image if it is far
smaller. `finetuned` is `global` after the denoiser's weights went on on this image. `blind` is the denoiser at the
noise level that the image shows, where another was told.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch

from hybridprior._internal.random import derive
from hybridprior.errors import ConfigError
from hybridprior.fidelities import Gaussian
from hybridprior.fidelities.proximal import Proximal
from hybridprior.fusion.finetuning import DenoiserFinetuner
from hybridprior.fusion.plug_and_play import PretrainedPrior
from hybridprior.problem import Problem
from hybridprior.regularisers import Regulariser
from hybridprior.regularisers.red import RED, REDConfig
from hybridprior.solvers.gradient import GradientSolver

__all__ = ["Candidates", "FusionConfig"]

FEWEST = 20
"""Steps that a network goes on for, at least."""

FAR = 6
"""How many times smaller A makes an image from which the network's own image counts as a run of `warm_started`."""


@dataclass(frozen=True)
class FusionConfig:
    """How the candidates come about."""

    denoiser: str = "shipped"
    """The global prior by its name, as `load_denoiser` takes it. In a run it may be an object."""
    stacking: bool = True
    """Whether evidence weighs the candidates. Where the errors are known to be no noise that could, the denoiser is
    believed alone, and nothing else is computed."""
    hybrid: float = 0.15
    """Steps of the hybrid, as a share of the local prior's until its best."""
    refit: float = 0.15
    """Steps on all measurements, likewise."""
    warm_start_sigma: float = 15 / 255
    """Noise level at which plug-and-play takes over the local image, in units of intensity."""
    runs: int = 3
    """How often plug-and-play takes over the local image where A makes the image smaller; their mean counts."""
    penalty_end: float = 0.05
    """How firmly these runs hold to what the denoiser makes at their last step (`SplittingConfig`)."""
    mixed: float = 0.5
    """Share of y in what the denoiser gets where A = 1; the rest is the local image."""
    finetune_steps: int = 100
    """The most steps of the denoiser's own weights in each lesson, where A = 1 or makes the image smaller."""
    finetune_lr: float = 1e-4
    """Their size."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not (self.hybrid > 0 and self.refit >= 0 and 0 < self.warm_start_sigma <= 1 and 0 <= self.mixed <= 1):
            raise ConfigError(
                "auto: hybrid is positive, refit 0 or more; warm_start_sigma lies in (0, 1], mixed in [0, 1]."
            )
        if self.runs < 1 or self.finetune_steps < 0 or not (self.finetune_lr > 0 and self.penalty_end > 0):
            raise ConfigError(
                "auto: runs is 1 or more, finetune_steps 0 or more; finetune_lr, penalty_end are positive."
            )


class Candidates:
    """The candidates of one image, after the local prior's run."""

    def __init__(
        self,
        local: GradientSolver,
        prior: PretrainedPrior,
        finetuner: DenoiserFinetuner,
        options: FusionConfig,
        *,
        weight: float,
        shown: float | None = None,
    ) -> None:
        """Take over from the local prior.

        Args:
            local: Its solver, after its run, with its best state kept.
            prior: How a denoiser restores by itself.
            finetuner: The denoiser, on the measurements' device, and its lessons.
            options: How the others come about.
            weight: lambda of the hybrid.
            shown: The noise level that the image shows, where it is not the one that was told.
        """
        self.local, self.prior, self.finetuner, self.options = local, prior, finetuner, options
        self.denoiser, self.weight, self.best = finetuner.denoiser, weight, local.best_theta
        self.steps, self.shown = local.chosen, shown
        self.rest = 0.0
        """Standard deviation of the local image's error, as far as it is known."""
        self.hybrid_state: dict[str, Any] | None = None

    def all(self, problem: Problem, validation: Problem, local: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every candidate's image of the measurements, given the local one; none that is no image.

        Args:
            problem: The measurements.
            validation: Those that no candidate is fitted to.
            local: `(1, C, H, W)`.
        """
        images = {"local": local}
        if not self.prior.direct(problem):  # where one pass is the answer, it has a few per cent of the weight
            images["hybrid"] = self.hybrid(problem)
        if Proximal(problem).exact:  # a curved E has no plug-and-play
            images |= {"global": self.pretrained(problem), "warm_started": self.warm_started(problem, local)}
        if self.shown is not None:
            images["blind"] = self.pretrained(self._as_shown(problem))
        elif self.finetuner.is_applicable(problem):
            finetuned = self.finetuner.best_image(problem, validation)
            images |= {} if finetuned is None else {"finetuned": finetuned}
        return {name: x for name, x in images.items() if name == "local" or bool(torch.isfinite(x).all())}

    def refitted(self, name: str, problem: Problem, local: torch.Tensor) -> torch.Tensor:
        """Return a candidate's image on all measurements.

        Args:
            name: The candidate.
            problem: All measurements.
            local: The local prior's image of them, or the best there is.
        """
        if name == "global":
            return self.pretrained(problem)
        if name == "warm_started":
            return self.warm_started(problem, local)
        if name == "finetuned":
            return self.finetuner.refit(problem)
        if name == "blind":
            return self.pretrained(self._as_shown(problem))
        steps = self._share(self.options.refit)
        if name == "local":
            return self._continued(problem, steps, self.best)[0]
        return self._continued(problem, steps, self.hybrid_state, self._regulariser(self.options.warm_start_sigma))[0]

    def hybrid(self, problem: Problem) -> torch.Tensor:
        """Return what both make together, going on from the local prior's best step."""
        prior = self._regulariser(self.options.warm_start_sigma)
        image, self.hybrid_state = self._continued(problem, self._share(self.options.hybrid), self.best, prior)
        return image

    def pretrained(self, problem: Problem) -> torch.Tensor:
        """Return what the denoiser makes of the measurements without a generator."""
        return self.prior.restored(self.denoiser, problem)

    def warm_started(self, problem: Problem, local: torch.Tensor) -> torch.Tensor:
        """Return what the denoiser makes of the local image and the measurements together."""
        if self.prior.direct(problem):
            share = self.options.mixed
            level = math.hypot(share * problem.fidelity.sigma, (1 - share) * self.rest)
            return self.prior.denoised(self.denoiser, share * problem.filled() + (1 - share) * local, level)
        if self._reduced(problem):
            return self._repeated(problem, local)
        return self.prior.plug_and_play(problem, self._regulariser(self.options.warm_start_sigma), start=local)

    def few(self, problem: Problem) -> tuple[str, ...]:
        """Return the candidates that are believed as long as evidence is not sure of others; none where all compete.

        Where A makes the image smaller without noise, what is held out is a hole in the small image, which a
        network may fill better than it draws what lies between the small pixels.
        """
        return ("global", "warm_started") if self._reduced(problem) else ()

    def _repeated(self, problem: Problem, local: torch.Tensor) -> torch.Tensor:
        """Return the mean of some runs of plug-and-play from the local image, each with noise for the denoiser.

        Far down, where the denoiser knows little of what lies between the small pixels, the local image is one more.
        """
        prior = RED(REDConfig(noise=1.0), denoiser=self.denoiser)
        seeds = [derive(self.local.config.seed, f"run {k}") for k in range(self.options.runs)]
        how: dict[str, Any] = {"start": local, "longer": 2, "penalty_end": self.options.penalty_end}
        images = [self.prior.plug_and_play(problem, prior, **how, seed=seed) for seed in seeds]
        far = (problem.operator.downscale or 1) >= FAR
        return torch.stack([*images, local] if far else images).mean(0)

    def _as_shown(self, problem: Problem) -> Problem:
        """Return the problem with the noise level that the image shows."""
        return dataclasses.replace(problem, fidelity=Gaussian(self.shown or problem.fidelity.sigma))

    def _reduced(self, problem: Problem) -> bool:
        """Return whether y is the image made smaller, without noise."""
        return not self.prior.noisy and problem.operator.downscale is not None

    def _share(self, share: float) -> int:
        return max(FEWEST, round(share * self.steps))

    def _regulariser(self, sigma: float) -> Regulariser:
        return RED(REDConfig(sigma_start=sigma), denoiser=self.denoiser)

    def _continued(
        self, problem: Problem, steps: int, start: dict[str, Any] | None, prior: Regulariser | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        weight = self.weight if prior is not None else 0.0
        found = self.local.continue_from(problem, steps, start=start, regulariser=prior, weight=weight)
        self.prior.raise_if_interrupted()
        return found
