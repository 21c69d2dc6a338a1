"""What the fusion does, by the operator and the noise: one table, `FusionStrategy.for_problem`.

| situation | A | noise | split | candidates beside the network's image |
|---|---|---|---|---|
| clean | identity | none | | the measurements are the image |
| denoise | identity | white, Gaussian | recorruption | one pass of the denoiser, fine-tuned first; futility stopping |
| wrong_level | identity | another level than the nominal one | pixels held out | the denoiser at both levels |
| correlated | identity | Gaussian, correlated | | the denoiser's image, conditioned on the noise model |
| reduction | reduction | none | pixels held out | plug-and-play, averaged, fine-tuned on y; hybrid |
| noisy | any other | white, Gaussian | recorruption | plug-and-play, hybrid |
| noisy_correlated | any other | Gaussian, correlated | recorruption, equal weights | plug-and-play, hybrid |
| noiseless | any other | none | pixels held out | plug-and-play, hybrid |
| other_noise | any | not Gaussian | pixels held out | hybrid |
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from hybridprior.analysis.noise import estimate_sigma, noise_correlation
from hybridprior.fidelities import CLEAN, Gaussian
from hybridprior.fidelities.proximal import Proximal
from hybridprior.fusion.config import NoiseCheckConfig
from hybridprior.noise_model import NoiseModel
from hybridprior.problem import Problem

__all__ = ["SITUATIONS", "FusionStrategy", "NoiseCheck"]


@dataclass(frozen=True)
class NoiseCheck:
    """What the measurements show of their noise, compared with the nominal level."""

    present: bool
    """Whether there is noise, and it is Gaussian."""
    estimated_sigma: float | None
    """The level estimated from y in units of intensity, where it differs from the nominal one; None where it agrees."""
    correlated: bool
    """Whether the noise is not white, so that recorruption leaves no independent measurements."""
    model: NoiseModel = dataclasses.field(default=NoiseModel(), repr=False)
    """The noise of y."""

    @classmethod
    def of(cls, problem: Problem, config: NoiseCheckConfig | None = None) -> NoiseCheck:
        """Return what the measurements of a problem show.

        Args:
            problem: The measurements, with the nominal noise level.
            config: The thresholds; the defaults if not given.

        Example:
            >>> import torch
            >>> from hybridprior.operators import Identity
            >>> NoiseCheck.of(Problem.make(torch.full((1, 1, 64, 64), 0.5), Identity(), sigma=0.0))
            NoiseCheck(present=False, estimated_sigma=None, correlated=False)
        """
        config, sigma = config or NoiseCheckConfig(), problem.fidelity.sigma
        present = isinstance(problem.fidelity, Gaussian) and sigma > CLEAN
        model = problem.noise
        correlated = present and not model.is_white
        if present and not correlated and noise_correlation(problem.y, sigma, problem.weights) > config.max_correlation:
            correlated, model = True, _at_level(problem)
        estimated = _estimated_sigma(problem, config) if present and not correlated else None
        return cls(present, estimated, correlated, model)


def _at_level(problem: Problem) -> NoiseModel:
    """Return the noise as the image shows it, at the nominal level."""
    sigma = problem.fidelity.sigma
    found = problem.operator.noise_model(problem.y)
    return found.scaled(sigma / found.sigma) if found is not None and found.sigma > 0 else NoiseModel.white(sigma)


def _estimated_sigma(problem: Problem, config: NoiseCheckConfig) -> float | None:
    """Return the noise level of y where it differs from the nominal one, else None."""
    if not problem.operator.is_identity or min(problem.shape[-2:]) < config.min_side:
        return None
    estimated = estimate_sigma(problem.y, problem.weights)
    ratio = estimated / problem.fidelity.sigma
    agrees = 1 / config.nominal_ratio < ratio < config.nominal_ratio
    return None if agrees or ratio > config.texture_ratio else estimated


@dataclass(frozen=True)
class FusionStrategy:
    """The choices of the fusion for one problem."""

    situation: str
    """The row of the table."""
    candidates: tuple[str, ...]
    """Names of the candidates, `local` first; none where the measurements are the image."""
    preferred: tuple[str, ...] = ()
    """Candidates that share the weight unless others are significantly better; none where all are equal."""
    recorrupt: bool = False
    """Whether y is split by recorruption; pixels are held out if not."""
    stacking: bool = True
    """Whether stacking weights are fitted; all candidates have equal weights if not."""
    one_pass: bool = False
    """Whether one pass of the denoiser restores the image; plug-and-play does if not."""
    average_runs: bool = False
    """Whether warm-started plug-and-play is the mean of several runs."""
    finetuning: str | None = None
    """Objectives of fine-tuning: "denoising", "cross_scale", or None for no fine-tuning."""
    futility: bool = False
    """Whether the network is stopped when it cannot improve the fused image."""
    prefer_last: bool = False
    """Whether the network's last step is taken unless an earlier one is significantly better."""

    @classmethod
    def for_problem(cls, problem: Problem, noise: NoiseCheck) -> FusionStrategy:
        """Return the row of the table for a problem; without plug-and-play where E is not quadratic.

        Args:
            problem: All measurements.
            noise: What they show of their noise.

        Example:
            >>> import torch
            >>> from hybridprior.operators import Downsample
            >>> problem = Problem.make(torch.rand(1, 3, 8, 8), Downsample(4), sigma=0.0)
            >>> FusionStrategy.for_problem(problem, NoiseCheck.of(problem)).finetuning
            'cross_scale'
        """
        found = SITUATIONS[_situation(problem, noise)]
        if found.one_pass or not found.candidates or Proximal(problem).exact:
            return found
        left = tuple(name for name in found.candidates if name not in ("global", "warm_started"))
        return dataclasses.replace(found, candidates=left)


def _situation(problem: Problem, noise: NoiseCheck) -> str:
    if not isinstance(problem.fidelity, Gaussian):
        return "other_noise"
    if problem.operator.is_identity:
        if not noise.present:
            return "clean"
        return "correlated" if noise.correlated else "denoise" if noise.estimated_sigma is None else "wrong_level"
    if noise.present:
        return "noisy_correlated" if noise.correlated else "noisy"
    return "noiseless" if problem.operator.downscale is None else "reduction"


_DENOISED = ("local", "global", "warm_started")
_RESTORED = ("local", "hybrid", "global", "warm_started")

SITUATIONS = {
    strategy.situation: strategy
    for strategy in (
        FusionStrategy("clean", ()),
        FusionStrategy(
            "denoise",
            (*_DENOISED, "finetuned"),
            recorrupt=True,
            one_pass=True,
            finetuning="denoising",
            futility=True,
        ),
        FusionStrategy("wrong_level", (*_DENOISED, "blind"), one_pass=True),
        FusionStrategy("correlated", ("global",), stacking=False, one_pass=True),
        FusionStrategy(
            "reduction",
            (*_RESTORED, "finetuned"),
            preferred=("global", "warm_started"),
            average_runs=True,
            finetuning="cross_scale",
            prefer_last=True,
        ),
        FusionStrategy("noisy", _RESTORED, recorrupt=True),
        FusionStrategy("noisy_correlated", _RESTORED, recorrupt=True, stacking=False),
        FusionStrategy("noiseless", _RESTORED, prefer_last=True),
        FusionStrategy("other_noise", _RESTORED),
    )
}
"""The table, by situation."""
