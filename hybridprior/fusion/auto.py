"""Both priors at once: candidates compete on measurements that none of them has seen, and the picture is their fusion.

The local prior fits a part of the measurements (the rest is held out) and stops by the rest. From where it was best it
goes on for a while with R, which is the hybrid; the denoiser alone, from a cheap start and from the local picture, is
plug-and-play. `weigh` finds what each is worth, and where. Then every candidate that counts is brought up to all the
measurements, so that none is lost: plug-and-play runs again, and theta goes on for a few steps.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hybridprior.config import Part, RestoreConfig
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.device import Precision
from hybridprior.errors import ConfigError
from hybridprior.fidelity import CLEAN, Gaussian
from hybridprior.fusion.evidence import Evidence, even, weigh
from hybridprior.generators import Generator, Pixels
from hybridprior.noise import noise_correlation
from hybridprior.operators import Identity
from hybridprior.problem import Problem
from hybridprior.proximal import Proximal
from hybridprior.regularisers import Regulariser, build_regulariser
from hybridprior.regularisers.denoiser import DenoiserConfig, DenoiserRegulariser
from hybridprior.result import Result, Status
from hybridprior.solver import Callback, Solver
from hybridprior.splitting import SplittingSolver
from hybridprior.stopping import build_stopping_rule

__all__ = ["FusionConfig", "restore_fused"]

LEAST = 0.01
"""Mean weight below which a candidate is left out of the picture."""

CORRELATED = 0.3
"""Correlation of neighbours' noise above which measurements that judge are no judges."""

HANDED = 0.5
"""Share of the measurements in what the denoiser gets from a local picture, where A = 1."""

PARTED = 0.12
"""Share of the information that judges, where there is noise."""


@dataclass(frozen=True)
class FusionConfig:
    """How the candidates come about."""

    denoiser: str = "shipped"
    """The global prior, as `load_denoiser` takes it."""
    weight: float = 1.0
    """lambda of the hybrid."""
    hybrid: float = 0.3
    """Steps of the hybrid, as a share of the local prior's until its best."""
    refit: float = 0.15
    """Steps on all measurements, likewise."""
    handed: float = 15 / 255
    """Noise level at which plug-and-play takes over the local picture, in units of intensity."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for numbers out of their range."""
        if not (self.weight >= 0 and self.hybrid > 0 and self.refit >= 0 and 0 < self.handed <= 1):
            raise ConfigError("auto: weight and refit are 0 or more, hybrid is positive, handed lies in (0, 1].")


class _Candidates:
    """The ways to restore one picture, each on any of its measurements."""

    def __init__(self, local: Solver, denoiser: Denoiser, config: RestoreConfig, options: FusionConfig) -> None:
        self.local, self.denoiser, self.config, self.options = local, denoiser, config, options
        self.best = local.best_theta
        self.steps = max(20, local.chosen)
        self.precision: Precision = local.precision
        self.rest = 0.0
        """Standard deviation of the local picture's error, as far as it is known."""
        self.hybrid_state: dict[str, Any] | None = None

    def all(self, problem: Problem, local: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every candidate's picture of the measurements, given the local one."""
        pictures = {"local": local}
        if not Proximal(problem).exact:  # a curved E has no plug-and-play
            return {**pictures, "hybrid": self.hybrid(problem)}
        pictures |= {"global": self.alone(problem), "hybrid": self.hybrid(problem)}
        return {**pictures, "handed": self.handed(problem, local)}

    def alone(self, problem: Problem) -> torch.Tensor:
        """Return what the denoiser makes of the measurements without a generator."""
        if isinstance(problem.operator, Identity) and problem.weights is None:
            return self._denoised(problem.y, problem.fidelity.sigma)
        return self._plugged(problem, self._regulariser())

    def handed(self, problem: Problem, local: torch.Tensor) -> torch.Tensor:
        """Return what the denoiser makes of the local picture and the measurements together."""
        if isinstance(problem.operator, Identity) and problem.weights is None:
            sigma = problem.fidelity.sigma
            level = math.hypot(HANDED * sigma, (1 - HANDED) * self.rest)
            return self._denoised(HANDED * problem.y + (1 - HANDED) * local, level)
        return self._plugged(problem, self._regulariser(self.options.handed), start=local)

    def _denoised(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        with torch.no_grad():
            return self.denoiser.denoise(x, sigma)

    def _plugged(self, problem: Problem, prior: Regulariser, start: torch.Tensor | None = None) -> torch.Tensor:
        """Return the picture of plug-and-play."""
        loop = dataclasses.replace(
            self.config.solver, steps=self.config.splitting.iterations, averaging=0.0, jitter=0.0
        )
        config = dataclasses.replace(
            self.config, generator=Part("pixels"), method="splitting", solver=loop, stopping=Part("fixed")
        )
        pixels, rule = Pixels(problem.shape[1]), build_stopping_rule("fixed")
        solver = SplittingSolver(problem, pixels, prior, rule, config=config, precision=self.precision, start=start)
        return solver.run().picture.to(problem.y)

    def hybrid(self, problem: Problem) -> torch.Tensor:
        """Return what both make together, going on from the local prior's best step."""
        steps = max(20, round(self.options.hybrid * self.steps))
        regulariser = self._regulariser(self.options.handed)
        picture, self.hybrid_state = self.local.go_on(
            problem, steps, start=self.best, regulariser=regulariser, weight=self.options.weight
        )
        return picture

    def refitted(self, name: str, problem: Problem, before: torch.Tensor) -> torch.Tensor:
        """Return a candidate's picture on all measurements.

        Args:
            name: The candidate.
            problem: All measurements.
            before: The local picture on all measurements.
        """
        if name == "global":
            return self.alone(problem)
        if name == "handed":
            return self.handed(problem, before)
        steps = max(20, round(self.options.refit * self.steps))
        if name == "local":
            return self.local.go_on(problem, steps, start=self.best)[0]
        regulariser = self._regulariser(self.options.handed)
        return self.local.go_on(
            problem, steps, start=self.hybrid_state, regulariser=regulariser, weight=self.options.weight
        )[0]

    def _regulariser(self, sigma: float | None = None) -> Regulariser:
        config = DenoiserConfig() if sigma is None else DenoiserConfig(sigma_start=sigma)
        return DenoiserRegulariser(config, denoiser=self.denoiser)


def restore_fused(
    problem: Problem,
    generator: Generator,
    config: RestoreConfig,
    options: FusionConfig,
    *,
    precision: Precision,
    denoiser: Denoiser | None = None,
    callbacks: Sequence[Callback] = (),
    state: Mapping[str, Any] | None = None,
    started: float | None = None,
) -> Result:
    """Restore a picture by both priors, weighed by evidence.

    Args:
        problem: What to solve.
        generator: f_theta.
        config: The local prior's configuration.
        options: How the candidates come about.
        precision: The generator's arithmetic.
        denoiser: In place of the one that the options name.
        callbacks: Called with the local prior's steps.
        state: That of an interrupted run.
        started: `time.perf_counter()` when the set-up began.
    """
    noisy = isinstance(problem.fidelity, Gaussian) and problem.fidelity.sigma > CLEAN
    rule = build_stopping_rule("heldout", None if noisy else {"patience": config.solver.steps})
    share = rule.held_share(problem.pixels)
    kept, held = problem.part(PARTED, config.seed) if noisy else problem.hold_out(share, config.seed)
    plain = dataclasses.replace(config, regulariser=Part("none"), weight=1.0)
    local = Solver(
        kept, generator, build_regulariser("none"), rule, config=plain, precision=precision, started=started, judge=held
    )
    local.keep_best = True
    if state is not None:
        local.load_state_dict(state)
    result = local.run(callbacks)
    if result.status is Status.INTERRUPTED or local.best_theta is None:
        return dataclasses.replace(result, config=config)
    chosen = local.chosen
    candidates = _Candidates(local, denoiser or load_denoiser(options.denoiser), plain, options)
    picture = result.picture.to(problem.y)
    with torch.no_grad():
        candidates.rest = math.sqrt(max(0.0, float(held.error(picture)) - held.fidelity.sigma**2)) if noisy else 0.0
    pictures = candidates.all(kept, picture)
    correlation = noise_correlation(problem.y, problem.weights) if noisy else 0.0
    if correlation > CORRELATED:
        evidence = even(list(pictures), problem.shape)
    else:
        evidence = weigh(pictures, held, seed=config.seed)
    believed = [name for name, weight in zip(evidence.names, evidence.weights, strict=True) if weight >= LEAST]
    final: dict[str, torch.Tensor] = {}
    if {"local", "handed"} & set(believed):
        final["local"] = candidates.refitted("local", problem, pictures["local"])
    for name in believed:
        if name not in final:
            final[name] = candidates.refitted(name, problem, final.get("local", pictures["local"]))
    return dataclasses.replace(
        result,
        picture=evidence.combine({name: x.cpu() for name, x in final.items()}),
        config=config,
        chosen_step=chosen,
        message=_message(evidence),
        fusion=evidence,
        held_out=0.0,
    )


def _message(evidence: Evidence) -> str:
    """Return what was believed, in a sentence or two."""
    shares = ", ".join(f"{name} {100 * w:.0f} %" for name, w in zip(evidence.names, evidence.weights, strict=True))
    if evidence.kind == "none":
        return f"The noise of neighbours is correlated, so that nothing can judge: {shares}."
    return f"Believed: {shares} ({evidence.kind}). All measurements are in the picture."
