"""Both priors at once: candidates compete on measurements that none was fitted to, and the picture is their fusion.

Where there is noise, y is parted in two whose noise is independent; where there is none, some measurements are held
out. The local prior fits the one part and stops by the other, which then weighs all candidates. In the end each that
counts is brought up to all the measurements, so that none is lost: the denoiser runs again, and theta goes on for a
few steps.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hybridprior.config import Part, RestoreConfig
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.device import Precision
from hybridprior.fidelity import CLEAN, Gaussian
from hybridprior.fusion.candidates import Candidates, FusionConfig, PressedError
from hybridprior.fusion.evidence import Evidence, even, weigh
from hybridprior.generators import Generator
from hybridprior.interruption import interruptible
from hybridprior.noise import noise_correlation
from hybridprior.problem import Problem
from hybridprior.regularisers import build_regulariser
from hybridprior.result import Result, Status, Timings
from hybridprior.solver import Callback, Solver
from hybridprior.stopping import build_stopping_rule

__all__ = ["restore_fused"]

LEAST = 0.01
"""Weight that a candidate has somewhere, at least, to be part of the picture."""

PARTED = 0.12
"""Share of the information that judges, where there is noise."""

CORRELATED = 0.3
"""Correlation of neighbours' noise above which measurements that judge are no judges."""


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
        config: The local prior's configuration; lambda is the hybrid's.
        options: How the candidates come about.
        precision: The generator's arithmetic.
        denoiser: In place of the one that the options name.
        callbacks: Called with the local prior's steps.
        state: That of an interrupted run.
        started: `time.perf_counter()` when the set-up began.
    """
    noisy = isinstance(problem.fidelity, Gaussian) and problem.fidelity.sigma > CLEAN
    local, held = _local(problem, generator, config, precision=precision, noisy=noisy, started=started)
    if state is not None:
        local.load_state_dict(state)
    with interruptible() as pressed:
        result = dataclasses.replace(local.run(callbacks), config=config, sigma=problem.fidelity.sigma)
        if result.status in (Status.INTERRUPTED, Status.DIVERGED) or local.best_theta is None:
            return dataclasses.replace(result, message=result.status.value)
        saved, begun = local.state_dict(), time.perf_counter()
        candidates = Candidates(
            local, denoiser or load_denoiser(options.denoiser), config, options, noisy=noisy, pressed=pressed
        )
        try:
            picture, evidence = _fused(problem, held, local.problem, result.picture, candidates)
        except PressedError:
            status = Status.INTERRUPTED
            return dataclasses.replace(result, status=status, message=status.value, state=saved)
    spent = result.timings.steps + time.perf_counter() - begun
    return dataclasses.replace(
        result,
        picture=picture,
        message=_message(evidence),
        fusion=evidence,
        timings=Timings(result.timings.setup, spent),
        held_out=0.0,
    )


def _local(
    problem: Problem,
    generator: Generator,
    config: RestoreConfig,
    *,
    precision: Precision,
    noisy: bool,
    started: float | None,
) -> tuple[Solver, Problem]:
    """Return the local prior's solver on a part of the measurements, and the problem with the others."""
    patience = None if noisy else {"patience": config.solver.steps}
    rule = build_stopping_rule("heldout", patience)
    if noisy:
        kept, held = problem.part(PARTED, config.seed)
    else:
        kept, held = problem.hold_out(rule.held_share(problem.pixels), config.seed)
    plain = dataclasses.replace(config, regulariser=Part("none"))
    none = build_regulariser("none")
    local = Solver(kept, generator, none, rule, config=plain, precision=precision, started=started, judge=held)
    local.keep_best = True
    return local, held


def _fused(
    problem: Problem, held: Problem, kept: Problem, local: torch.Tensor, candidates: Candidates
) -> tuple[torch.Tensor, Evidence]:
    """Return the fused picture of all the measurements, and the evidence."""
    local = local.to(problem.y)
    if candidates.noisy:
        with torch.no_grad():
            candidates.rest = math.sqrt(max(0.0, float(held.error(local)) - held.fidelity.sigma**2))
    pictures = candidates.all(kept, local)
    sigma = problem.fidelity.sigma
    if candidates.noisy and noise_correlation(problem.y, sigma, problem.weights) > CORRELATED:
        evidence = even(list(pictures), problem.shape)
    else:
        evidence = weigh(pictures, held, seed=candidates.config.seed)
    believed = [name for name, plane in zip(evidence.names, evidence.map, strict=True) if float(plane.max()) >= LEAST]
    final: dict[str, torch.Tensor] = {}
    if {"local", "handed"} & set(believed):
        final["local"] = candidates.refitted("local", problem, local)
    for name in believed:
        if name not in final:
            final[name] = candidates.refitted(name, problem, final.get("local", local))
    whole = {name: x.cpu() if bool(torch.isfinite(x).all()) else pictures[name].cpu() for name, x in final.items()}
    return evidence.combine(whole), evidence


def _message(evidence: Evidence) -> str:
    """Return what was believed, in a sentence or two."""
    shares = ", ".join(f"{name} {100 * w:.0f} %" for name, w in zip(evidence.names, evidence.weights, strict=True))
    if evidence.kind == "none":
        return f"The noise of neighbours is correlated, so that nothing can judge: {shares}."
    return f"Believed: {shares} ({evidence.kind}). All measurements are in the picture."
