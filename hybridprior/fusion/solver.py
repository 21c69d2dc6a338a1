"""Both priors at once: candidates compete on measurements that none was fitted to, and the image is their fusion.

Where there is noise, y is parted in two whose noise is independent; where there is none, or where the noise that the
image shows is not what was told, some measurements are held out. The local prior fits the one part and stops by the
other, which then weighs all candidates. In the end each that counts is brought up to all the measurements, so that none
is lost: the denoiser runs again, and theta goes on for a few steps.

Where one pass of the denoiser is an answer, that comes first, tuned to the image: the local prior has to come near.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior._internal.interrupt import interruptible
from hybridprior.analysis.noise import estimate_sigma, noise_correlation
from hybridprior.config import RestoreConfig
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.fidelities import CLEAN, Gaussian
from hybridprior.fusion.candidates import Candidates, FusionConfig
from hybridprior.fusion.finetuning import DenoiserFinetuner
from hybridprior.fusion.futility import FutilityStopping
from hybridprior.fusion.plug_and_play import Interrupted, PretrainedPrior
from hybridprior.fusion.stacking import FusionWeights, fit_stacking_weights, significantly_worse, uniform_weights
from hybridprior.generators import Generator
from hybridprior.problem import Problem
from hybridprior.regularisers import build_regulariser
from hybridprior.result import Result, Status, Timings
from hybridprior.solvers.gradient import Callback, GradientSolver
from hybridprior.stopping import StoppingRule, build_stopping_rule

__all__ = ["restore_fused"]

LEAST = 0.01
"""Weight that a candidate has somewhere, at least, to be part of the image."""

COUNTS = 0.2
"""Weight of the local image and what was made of it, together, below which its theta does not go on: seconds for some
thousandths of a decibel."""

PARTED = 0.12
"""Share of the information that judges, where there is noise."""

CORRELATED = 0.3
"""Correlation of neighbours' noise above which measurements that judge are no judges."""

DOUBTED = 1.5
"""Ratio of the noise that was told and that which the image shows, from which sigma is no ground for parting."""

TEXTURE = 2.5
"""Ratio from which what the image shows beyond the noise that was told is a texture like noise, and sigma stands."""

LEAST_SIDE = 48
"""Side of an image below which the noise that it shows is not known well enough to doubt what was told."""


def restore_fused(
    problem: Problem,
    generator: Generator,
    config: RestoreConfig,
    options: FusionConfig,
    *,
    precision: Precision,
    denoiser: Denoiser | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Mapping[str, Any] | None = None,
    started: float | None = None,
) -> Result:
    """Restore an image by both priors, weighed by evidence.

    Args:
        problem: What to solve.
        generator: f_theta.
        config: The local prior's configuration; lambda is the hybrid's.
        options: How the candidates come about.
        precision: The generator's arithmetic.
        denoiser: In place of the one that the options name.
        callbacks: Called with the local prior's steps.
        checkpoint: That of an interrupted run.
        started: `time.perf_counter()` when the set-up began, of which tuning the denoiser is a part; now if not given.
    """
    started = time.perf_counter() if started is None else started
    noise = _Noise.of(problem)
    if not noise.there and problem.operator.is_identity and isinstance(problem.fidelity, Gaussian):
        return _unchanged(problem, config, precision)
    denoiser = _ready(denoiser or load_denoiser(options.denoiser), problem, config)
    train, validation, rule = _split(problem, config, noise)
    with interruptible() as interrupted:
        prior = PretrainedPrior(config, precision=precision, noisy=noise.there, interrupted=interrupted)
        finetuner = _finetuner(denoiser, prior, config, options, noise)
        baseline = _baseline(finetuner, prior, train, validation, noise)
        rule = rule if baseline is None else FutilityStopping(baseline, validation, sigma=problem.fidelity.sigma)
        none = build_regulariser("none")
        local = GradientSolver(
            train, generator, none, rule, config=config, precision=precision, started=started, validation=validation
        )
        local.keep_best = True
        if checkpoint is not None:
            local.load_state_dict(checkpoint)
        result = dataclasses.replace(local.run(callbacks), sigma=problem.fidelity.sigma)
        if result.status not in (Status.INTERRUPTED, Status.DIVERGED) and local.best_theta is not None:
            result = _latest(result, local, validation)
            candidates = Candidates(local, prior, finetuner, options, weight=config.weight, shown=noise.shown)
            result = _concluded(result, problem, validation, local, candidates, noise)
        return result if result.fusion else _best(result, baseline, problem, validation, finetuner.network)


@dataclass(frozen=True)
class _Noise:
    """What is known of the noise."""

    there: bool
    """Whether there is any, Gaussian."""
    shown: float | None
    """The level that the measurements show, where it is far from the one that was told."""
    correlated: bool
    """Whether neighbours share it, so that measurements that judge are no judges."""

    @classmethod
    def of(cls, problem: Problem) -> _Noise:
        """Return what the measurements say."""
        sigma = problem.fidelity.sigma
        there = isinstance(problem.fidelity, Gaussian) and sigma > CLEAN
        correlated = there and noise_correlation(problem.y, sigma, problem.weights) > CORRELATED
        return cls(there, _shown(problem) if there and not correlated else None, correlated)


def _shown(problem: Problem) -> float | None:
    """Return the noise level that the measurements show, where it is far from the one that was told."""
    if not problem.operator.is_identity or min(problem.shape[-2:]) < LEAST_SIDE:
        return None
    shown, nominal_sigma = estimate_sigma(problem.y, problem.weights), problem.fidelity.sigma
    ratio = shown / nominal_sigma
    return None if 1 / DOUBTED < ratio < DOUBTED or ratio > TEXTURE else shown


def _unchanged(problem: Problem, config: RestoreConfig, precision: Precision) -> Result:
    """Return what was measured: with A = 1 and no noise it is the image."""
    return Result(
        image=problem.y.detach().float().cpu().clone(),
        step=0,
        status=Status.FINISHED,
        message="There is no noise to speak of, so that the image is left as it is.",
        trace=(),
        config=config,
        sigma=problem.fidelity.sigma,
        timings=Timings(0.0, 0.0),
        precision=str(precision),
    )


def _ready(denoiser: Denoiser, problem: Problem, config: RestoreConfig) -> Denoiser:
    """Return a copy of the denoiser where the measurements are, in the arithmetic of the configuration."""
    denoiser = copy.deepcopy(denoiser).to(problem.y.device)
    if denoiser.precision == "auto":
        denoiser.precision = config.precision
    return denoiser


def _split(problem: Problem, config: RestoreConfig, noise: _Noise) -> tuple[Problem, Problem, StoppingRule]:
    """Return the part of the measurements that candidates see, the one that judges them, and the local prior's rule."""
    rule = build_stopping_rule("heldout", None if problem.noisy else {"patience": config.solver.max_steps})
    if noise.there and noise.shown is None:
        return *problem.recorrupt(PARTED, config.seed), rule
    return *problem.hold_out(rule.validation_fraction(problem.pixels), config.seed), rule


def _finetuner(
    denoiser: Denoiser, prior: PretrainedPrior, config: RestoreConfig, options: FusionConfig, noise: _Noise
) -> DenoiserFinetuner:
    """Return the denoiser with its lessons ahead: none where nothing can judge them."""
    steps, rate = 0 if noise.correlated else options.finetune_steps, options.finetune_lr
    return DenoiserFinetuner(
        denoiser,
        steps=steps,
        rate=rate,
        seed=config.seed,
        restored=prior.restored,
        raise_if_interrupted=prior.raise_if_interrupted,
    )


def _baseline(
    finetuner: DenoiserFinetuner, prior: PretrainedPrior, train: Problem, validation: Problem, noise: _Noise
) -> torch.Tensor | None:
    """Return the global prior's best image where it takes no time to speak of beside the local one; None elsewhere.

    Ctrl-C leaves the denoiser as it is, and the local prior takes no step.
    """
    if not prior.direct(train) or noise.shown is not None or noise.correlated:
        return None
    try:
        best = finetuner.best_image(train, validation) if finetuner.is_applicable(train) else None
    except Interrupted:
        best = None
    if best is None:
        with torch.no_grad():
            return finetuner.denoiser.denoise(train.filled(), train.fidelity.sigma)
    return best


def _best(
    result: Result, baseline: torch.Tensor | None, problem: Problem, validation: Problem, network: Denoiser
) -> Result:
    """Return the result of a run that was cut short, with the denoiser's image if evidence likes its rival better."""
    if baseline is None or not float(validation.error(baseline)) < float(
        validation.error(result.image.to(validation.y))
    ):
        return result
    with torch.no_grad():
        image = network.denoise(problem.filled(), problem.fidelity.sigma)
    message = f"{result.status.value} Until then the denoiser alone was the better one."
    return dataclasses.replace(result, image=image.float().cpu(), message=message, held_out=0.0)


def _latest(result: Result, local: GradientSolver, validation: Problem) -> Result:
    """Return the local prior's result, of its last step unless evidence is sure that an earlier one was better.

    Without noise nothing but chance makes a few measurements like an early step; with noise, theta learns that too.
    """
    if validation.noisy or local.average is None or significantly_worse(local.average, result.image, validation):
        return result
    image = local.take_last().detach().float().cpu().clone()
    return dataclasses.replace(result, image=image, step=local.step)


def _concluded(
    result: Result, problem: Problem, validation: Problem, local: GradientSolver, candidates: Candidates, noise: _Noise
) -> Result:
    """Return the fusion's result, or the local prior's if Ctrl-C came."""
    saved, begun = local.state_dict(), time.perf_counter()
    try:
        image, fusion_weights = _fused(problem, validation, local.problem, result.image, candidates, noise)
    except Interrupted:
        status = Status.INTERRUPTED
        return dataclasses.replace(result, status=status, message=status.value, checkpoint=saved)
    return dataclasses.replace(
        result,
        image=image,
        message=_message(fusion_weights, problem.fidelity.sigma, noise.shown),
        fusion=fusion_weights,
        timings=Timings(result.timings.setup, result.timings.steps + time.perf_counter() - begun),
        held_out=0.0,
    )


def _fused(
    problem: Problem, validation: Problem, train: Problem, local: torch.Tensor, candidates: Candidates, noise: _Noise
) -> tuple[torch.Tensor, FusionWeights]:
    """Return the fused image of all the measurements, and the evidence."""
    local = local.to(problem.y)
    if noise.there:
        with torch.no_grad():
            level = noise.shown or validation.fidelity.sigma
            candidates.rest = math.sqrt(max(0.0, float(validation.error(local)) - level**2))
    images = candidates.all(train, validation, local)
    if noise.correlated:
        fusion_weights = uniform_weights(list(images), problem.shape)
    else:
        fusion_weights = fit_stacking_weights(
            images, validation, seed=candidates.finetuner.seed, few=candidates.few(problem)
        )
    selected = [
        name
        for name, plane in zip(fusion_weights.names, fusion_weights.map, strict=True)
        if float(plane.max()) >= LEAST
    ]
    final: dict[str, torch.Tensor] = {}
    if {"local", "warm_started"} & set(selected):
        counts = fusion_weights.most("local", "warm_started") >= COUNTS
        final["local"] = candidates.refitted("local", problem, local) if counts else local
    for name in selected:
        if name not in final:
            final[name] = candidates.refitted(name, problem, final.get("local", local))
    whole = {name: x.cpu() if bool(torch.isfinite(x).all()) else images[name].cpu() for name, x in final.items()}
    return fusion_weights.combine(whole), fusion_weights


def _message(fusion_weights: FusionWeights, nominal_sigma: float, shown: float | None) -> str:
    """Return what was believed, in a sentence or two."""
    doubt = "" if shown is None else f" The image shows noise of {255 * shown:.3g}, not {255 * nominal_sigma:.3g}."
    if fusion_weights.kind == "none":
        return f"The noise of neighbours is correlated, so that nothing can judge: {fusion_weights.shares}.{doubt}"
    kind = "global and warm_started, asked first" if fusion_weights.kind == "few" else fusion_weights.kind
    behind = fusion_weights.most("local") >= LEAST and fusion_weights.most("local", "warm_started") < COUNTS
    but = ", but in the network's part only those that did not judge" if behind else ""
    return f"Believed: {fusion_weights.shares} ({kind}). All measurements are in the image{but}.{doubt}"
