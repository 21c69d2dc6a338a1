"""The fusion: candidates by different priors, combined by stacking weights that validation measurements determine.

The measurements are split: by recorruption where there is Gaussian noise of the nominal level, else by holding out
pixels. A network without R is fitted to the training part and stopped by the validation part, which then determines
the stacking weights of all candidates. In the end each candidate with a weight is computed again from all
measurements. `FusionStrategy` says what is done for which operator and noise.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hybridprior._internal.device import Precision
from hybridprior._internal.interrupt import interruptible
from hybridprior.config import RestoreConfig
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.fusion.baseline import better_of, denoiser_baseline
from hybridprior.fusion.candidates import Candidates
from hybridprior.fusion.config import FusionConfig
from hybridprior.fusion.direct import denoised, unchanged
from hybridprior.fusion.finetuning import DenoiserFinetuner
from hybridprior.fusion.futility import FutilityStopping
from hybridprior.fusion.messages import describe
from hybridprior.fusion.plug_and_play import Interrupted, PretrainedPrior
from hybridprior.fusion.stacking import fit_stacking_weights
from hybridprior.fusion.strategy import FusionStrategy, NoiseCheck
from hybridprior.fusion.validated_run import ValidatedRun, split_measurements
from hybridprior.fusion_weights import FusionWeights, uniform_weights
from hybridprior.generators import Generator
from hybridprior.problem import Problem
from hybridprior.regularisers import build_regulariser
from hybridprior.result import Result, Status, Timings
from hybridprior.solvers import Callback, Components
from hybridprior.stopping import build_stopping_rule

__all__ = ["restore_fused"]


def restore_fused(
    problem: Problem,
    generator: Generator,
    config: RestoreConfig,
    options: FusionConfig,
    *,
    precision: Precision,
    denoiser: Denoiser | None = None,
    identity: Mapping[str, str] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Mapping[str, Any] | None = None,
    started: float | None = None,
) -> Result:
    """Restore an image by a network and a denoiser, combined by stacking weights.

    Args:
        problem: What to solve.
        generator: f_theta.
        config: The network's configuration; lambda is the hybrid's.
        options: How the candidates are made and combined.
        precision: The generator's arithmetic.
        denoiser: The pretrained denoiser; the shipped one if not given.
        identity: Hashes of the components, which a checkpoint has to agree with.
        callbacks: Called with the network's steps.
        checkpoint: That of an interrupted run.
        started: `time.perf_counter()` when the set-up began, of which fine-tuning is a part; now if not given.

    Returns:
        The fused image. Its `config` has all options of the fusion.

    Example:
        >>> from hybridprior import SolverConfig
        >>> from hybridprior._internal.device import choose_precision
        >>> from hybridprior.generators import build_generator
        >>> from hybridprior.operators import Identity
        >>> result = restore_fused(
        ...     Problem.make(torch.rand(1, 3, 16, 16), Identity(), sigma=0.1),
        ...     build_generator("skip", 3, {"down": (8,), "up": (8,), "skip": (0,)}),
        ...     RestoreConfig(solver=SolverConfig(max_steps=2)),
        ...     FusionConfig(finetuning={"steps": 0}),
        ...     precision=choose_precision(torch.device("cpu"), "fp32"),
        ... )
        >>> result.fusion.names
        ('local', 'global', 'warm_started')
    """
    started = time.perf_counter() if started is None else started
    noise = NoiseCheck.of(problem, options.noise)
    strategy = FusionStrategy.for_problem(problem, noise)
    if strategy.candidates == ("global",):
        denoiser = _copied(denoiser or load_denoiser("shipped"), problem, config)
        result = denoised(problem, config, noise.model, denoiser, precision=precision, started=started)
    elif strategy.candidates:
        denoiser = _copied(denoiser or load_denoiser("shipped"), problem, config)
        with interruptible() as interrupted:
            fusion = _Fusion(
                problem, config, options, noise, strategy, denoiser, precision=precision, interrupted=interrupted
            )
            result = fusion.solve(generator, identity or {}, callbacks, checkpoint, started)
    else:
        result = unchanged(problem, config, precision)
    return dataclasses.replace(result, config=dataclasses.replace(config, fusion=options.options()))


def _copied(denoiser: Denoiser, problem: Problem, config: RestoreConfig) -> Denoiser:
    """Return a copy of the denoiser on the device of the measurements, in the arithmetic of the configuration."""
    denoiser = copy.deepcopy(denoiser).to(problem.y.device)
    if denoiser.precision == "auto":
        denoiser.precision = config.precision
    return denoiser


class _Fusion:
    """The fusion of one image."""

    def __init__(
        self,
        problem: Problem,
        config: RestoreConfig,
        options: FusionConfig,
        noise: NoiseCheck,
        strategy: FusionStrategy,
        denoiser: Denoiser,
        *,
        precision: Precision,
        interrupted: threading.Event,
    ) -> None:
        self.problem, self.config, self.options, self.noise, self.strategy = problem, config, options, noise, strategy
        self.precision = precision
        # Without noise a network does not overfit, and the validation error of a few pixels stops no run early.
        self.rule = build_stopping_rule(
            "heldout", {"patience": config.solver.max_steps} if strategy.prefer_last else None
        )
        recorruption = options.validation_fraction if strategy.recorrupt else None
        self.split = split_measurements(problem, self.rule, recorruption=recorruption, seed=config.seed)
        self.prior = PretrainedPrior(config, precision=precision, one_pass=strategy.one_pass, interrupted=interrupted)
        self.finetuner = DenoiserFinetuner(
            denoiser,
            strategy.finetuning,
            config=options.finetuning,
            seed=config.seed,
            restore=self.prior.restore,
            raise_if_interrupted=self.prior.raise_if_interrupted,
        )
        self.baseline = denoiser_baseline(self.finetuner, self.split) if strategy.futility else None

    def solve(
        self,
        generator: Generator,
        identity: Mapping[str, str],
        callbacks: Sequence[Callback],
        checkpoint: Mapping[str, Any] | None,
        started: float,
    ) -> Result:
        """Return the fused result; after an interrupt or divergence the better one of network and denoiser."""
        rule, sigma = self.rule, self.problem.fidelity.sigma
        if self.baseline is not None:
            rule = FutilityStopping(self.baseline, self.split.validation, sigma=sigma, config=self.options.futility)
        run = ValidatedRun(
            self.split,
            Components(generator, build_regulariser("none"), rule, identity=identity),
            config=self.config,
            precision=self.precision,
            started=started,
        )
        result = dataclasses.replace(run.fit(callbacks, checkpoint), sigma=sigma)
        if run.is_complete(result):
            if self.strategy.prefer_last:
                image, step = run.last_unless_worse(result)
                result = dataclasses.replace(result, image=image, step=step)
            result = self._concluded(result, run)
        return result if result.fusion else better_of(result, self.baseline, self.problem, self.split, self.finetuner)

    def _concluded(self, result: Result, run: ValidatedRun) -> Result:
        """Return the fused result, or the network's after an interrupt."""
        saved, begun = run.solver.state_dict(), time.perf_counter()
        try:
            image, fusion_weights = self._fused(result.image.to(self.problem.y), run)
        except Interrupted:
            status = Status.INTERRUPTED
            return dataclasses.replace(result, status=status, message=status.value, checkpoint=saved)
        return dataclasses.replace(
            result,
            image=image,
            message=describe(
                fusion_weights,
                self.strategy,
                self.noise,
                self.options.weights,
                nominal_sigma=self.problem.fidelity.sigma,
            ),
            fusion=fusion_weights,
            timings=Timings(result.timings.setup, result.timings.steps + time.perf_counter() - begun),
            held_out=0.0,
        )

    def _fused(self, local: torch.Tensor, run: ValidatedRun) -> tuple[torch.Tensor, FusionWeights]:
        """Return the fused image of all measurements, and the weights."""
        candidates = Candidates(
            run,
            self.prior,
            self.finetuner,
            self.strategy,
            self.options,
            weight=self.config.weight,
            seed=self.config.seed,
            estimated_sigma=self.noise.estimated_sigma,
            network_error=self._network_error(local),
        )
        images = candidates.all(self.split, local)
        if self.strategy.stacking:
            fusion_weights = fit_stacking_weights(
                images,
                self.split.validation,
                seed=self.config.seed,
                preferred=self.strategy.preferred,
                config=self.options.weights,
            )
        else:
            fusion_weights = uniform_weights(list(images), self.problem.shape)
        final = self._refitted(candidates, fusion_weights, local)
        finite = {name: x.cpu() if bool(torch.isfinite(x).all()) else images[name].cpu() for name, x in final.items()}
        return fusion_weights.combine(finite), fusion_weights

    def _network_error(self, local: torch.Tensor) -> float:
        """Return the standard deviation of the network's error on the validation measurements, without their noise."""
        if not self.noise.present:
            return 0.0
        validation = self.split.validation
        level = self.noise.estimated_sigma or validation.fidelity.sigma
        with torch.no_grad():
            return math.sqrt(max(0.0, float(validation.error(local)) - level**2))

    def _refitted(
        self, candidates: Candidates, fusion_weights: FusionWeights, local: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the images of all measurements of the candidates that have a weight."""
        limits = self.options.weights
        selected = [name for name in fusion_weights.names if fusion_weights.max_weight(name) >= limits.min_weight]
        final: dict[str, torch.Tensor] = {}
        if {"local", "warm_started"} & set(selected):
            refit = fusion_weights.max_weight("local", "warm_started") >= limits.min_refit_weight
            final["local"] = candidates.refitted("local", self.problem, local) if refit else local
        for name in selected:
            if name not in final:
                final[name] = candidates.refitted(name, self.problem, final.get("local", local))
        return final
