"""`restore_with_uncertainty()`: an image, and how far off each of its pixels is.

Part of the measurements takes no part in the samples: parted noise where there is noise, held-out ones else. What the
image misses there, less the noise, says by how much the samples' spread is too small or too large. In the end theta
goes on for a few steps with all the measurements.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hybridprior._internal.device import choose_device, choose_precision, with_gradients
from hybridprior._internal.interrupt import interruptible
from hybridprior._internal.random import derive, stream
from hybridprior.config import Component, RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.fidelities import CLEAN, SIGMA_FLOOR, Fidelity, Gaussian, Poisson
from hybridprior.generators import build_generator
from hybridprior.io.image import as_tensor
from hybridprior.operators import Operator, as_operator
from hybridprior.operators.base import Shape, placed
from hybridprior.overrides import Overrides
from hybridprior.presets import preset as find_preset
from hybridprior.problem import Problem
from hybridprior.regularisers import build_regulariser
from hybridprior.resolve import FUSED, configure, without_fusion
from hybridprior.result import Result, Status, Timings
from hybridprior.solvers.gradient import Callback, GradientSolver, as_callbacks
from hybridprior.stopping import build_stopping_rule
from hybridprior.uncertainty.calibration import fit_variance
from hybridprior.uncertainty.config import Moments, Uncertainty, UncertaintyConfig
from hybridprior.uncertainty.langevin import Langevin

__all__ = ["check_sampled", "restore_with_uncertainty"]

FEWEST = 20
"""Steps that the network goes on for with all the measurements, at least."""

RULE = "heldout"
"""What stops every run: there are measurements that it does not see."""

PROBE = 1e-2
"""Standard deviation of the noise by which A is found to pass on the variance of pixels."""


@with_gradients()
def restore_with_uncertainty(
    y: torch.Tensor,
    operator: Operator | Callable[[torch.Tensor], torch.Tensor] | None = None,
    *,
    preset: str = "balanced",
    config: RestoreConfig | None = None,
    options: UncertaintyConfig | None = None,
    sigma: float | None = None,
    fidelity: str | Fidelity | None = None,
    regulariser: str | None = None,
    weight: float | Mapping[str, float] | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    shape: Shape | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Mapping[str, Any] | None = None,
) -> Result:
    """Restore one image, with a standard deviation of each pixel's error.

    Args:
        y: The measurements, as of `restore`, and so are the others.
        operator: A.
        preset: Where the configuration comes from.
        config: The whole configuration, in place of a preset; held-out measurements stop it, whatever its rule.
        options: How samples are drawn and calibrated.
        sigma: Standard deviation of the noise in [0, 1].
        fidelity: E.
        regulariser: R, by name.
        weight: lambda.
        max_steps: The most steps before the samples.
        seed: Seed of everything that is drawn.
        device: "auto", "cpu", "cuda" ...
        shape: `(1, C, H, W)` of the image, for callables.
        callbacks: Called with each `Step` before the samples.
        checkpoint: `Result.checkpoint` of an interrupted run.

    Returns:
        The image with its `uncertainty`; None of it where the run was interrupted or diverged. What is known without
        noise is as it was measured, and its deviation 0.

    Raises:
        ConfigError: A generator without a network, R by splitting, or "auto".
        InputError: An image that cannot be restored.
        ShapeError: Shapes that do not fit together.
    """
    started, callbacks = time.perf_counter(), as_callbacks(callbacks)
    a = as_operator(operator, shape=shape)
    config = config or without_fusion(find_preset(preset, a.task))
    config = configure(config, Overrides(regulariser=regulariser, weight=weight, max_steps=max_steps, seed=seed))
    check_sampled(config)
    config = dataclasses.replace(config, stopping=Component(RULE))
    where = choose_device(device)
    measurement = as_tensor(y, image=a.images and shape is None)
    problem = Problem.make(measurement.to(where), placed(a, where), fidelity, sigma=sigma)
    run = _Sampling(problem, config, options or UncertaintyConfig(), started=started)
    return _reconciled(run.result(callbacks, checkpoint), a, measurement, noisy=not problem.exact)


def _reconciled(result: Result, operator: Operator, y: torch.Tensor, *, noisy: bool) -> Result:
    """Return the result as the measurements allow it; what is known without noise is certain."""
    image, found = operator.enforce_consistency(result.image, y, noisy=noisy), result.uncertainty
    known = None if noisy else operator.known_pixels(y)
    if found is not None and known is not None:
        std, raw = (deviation * (known.to(deviation) == 0) for deviation in (found.std, found.raw))
        found = dataclasses.replace(found, std=std, raw=raw)
    return dataclasses.replace(result, image=image, uncertainty=found)


def _said(uncertainty: Uncertainty) -> str:
    if uncertainty.flat:
        level = f"sigma {255 * uncertainty.floor:.2g} of 255"
        return f"Where samples differ tells nothing of where the image is wrong: {level} everywhere; try more steps."
    return f"Its uncertainty comes from {uncertainty.samples} samples."


def check_sampled(config: RestoreConfig) -> None:
    """Raise `ConfigError` for a configuration of which no samples are drawn.

    Args:
        config: What is to run.
    """
    if config.generator.name == "pixels" or config.method == "splitting" or config.regulariser.name == FUSED:
        raise ConfigError(
            "Uncertainty comes from samples of a network's theta; leave out generator 'pixels', solver 'splitting' "
            "and regulariser 'auto'."
        )


class _Sampling:
    """The samples of one image."""

    def __init__(self, problem: Problem, config: RestoreConfig, options: UncertaintyConfig, *, started: float) -> None:
        self.problem, self.config, self.options, self.started = problem, config, options, started
        self.precision = choose_precision(problem.y.device, config.precision)
        self.noisy = isinstance(problem.fidelity, Gaussian) and problem.fidelity.sigma > CLEAN
        if self.noisy:
            self.train, self.validation = problem.recorrupt(options.share, config.seed)
        else:
            share = build_stopping_rule(RULE).validation_fraction(problem.pixels)
            self.train, self.validation = problem.hold_out(share, config.seed)

    def result(self, callbacks: Sequence[Callback], checkpoint: Mapping[str, Any] | None) -> Result:
        """Return the image with its uncertainty."""
        local = self._solver(self.config.seed)
        if checkpoint is not None:
            local.load_state_dict(checkpoint)
        with interruptible() as interrupted:
            found = dataclasses.replace(local.run(callbacks), config=self.config, sigma=self.problem.fidelity.sigma)
            if found.status in (Status.INTERRUPTED, Status.DIVERGED) or local.best_theta is None:
                return found
            saved, begun = local.state_dict(), time.perf_counter()
            image, uncertainty = self._sampled(local, found.image)
            if interrupted.is_set():
                status = Status.INTERRUPTED
                return dataclasses.replace(found, status=status, message=status.value, checkpoint=saved)
        return dataclasses.replace(
            found,
            image=image.float().cpu(),
            message=f"{found.status.value} {_said(uncertainty)}",
            uncertainty=uncertainty,
            timings=Timings(found.timings.setup, found.timings.steps + time.perf_counter() - begun),
            held_out=0.0 if self.options.method == "langevin" else found.held_out,
        )

    def _solver(self, seed: int) -> GradientSolver:
        config = dataclasses.replace(self.config, seed=seed)
        channels, part = self.problem.shape[1], config.generator
        solver = GradientSolver(
            self.train,
            build_generator(part.name, channels, part.options, seed=seed),
            build_regulariser(config.regulariser.name, config.regulariser.options, config.weights),
            build_stopping_rule(RULE),
            config=config,
            precision=self.precision,
            started=self.started,
            validation=self.validation,
        )
        solver.keep_best = True
        return solver

    def _sampled(self, local: GradientSolver, first: torch.Tensor) -> tuple[torch.Tensor, Uncertainty]:
        """Return the image and its uncertainty; `first` is what the first network made."""
        images, measured = Moments(), Moments()
        if self.options.method == "langevin":
            adam = local.optimiser
            self._wander(local, images, measured)
            local.optimiser, image = adam, first
        else:
            for number in range(self.options.members):
                seed = derive(self.config.seed, f"member {number}")
                member = self._solver(seed).run().image if number else first
                self._see(member.to(self.problem.y), images, measured)
            image = images.mean.float()
        scale, floor, before, after = self._fitted(image, measured)
        if self.options.method == "langevin":
            steps = max(FEWEST, round(self.options.refit * local.chosen))
            prior, weight = local.regulariser, self.config.weight
            image, _ = local.continue_from(
                self.problem, steps, start=local.best_theta, regulariser=prior, weight=weight
            )
        raw = images.variance
        return image, Uncertainty(
            std=(scale**2 * raw + floor**2).sqrt().float(),
            raw=raw.sqrt().float(),
            scale=scale,
            floor=floor,
            before=before,
            after=after,
            method=self.options.method,
            samples=images.count,
        )

    def _wander(self, local: GradientSolver, images: Moments, measured: Moments) -> None:
        """Let theta wander from its best step on, and see where it comes by."""
        seen = 0

        def see(image: torch.Tensor) -> None:
            nonlocal seen
            seen += 1
            if seen > self.options.burn_in:
                self._see(image, images, measured)

        rng = stream(self.config.seed, "langevin", self.train.y.device)
        rate, count = self.options.learning_rate, self.train.count
        walk = Langevin(local.generator.parameters(), learning_rate=rate, count=count, rng=rng)
        assert local.best_theta is not None
        local.generator.load_state_dict(local.best_theta["theta"])
        steps, prior, weight = self.options.burn_in + self.options.samples, local.regulariser, self.config.weight
        local.continue_from(self.train, steps, regulariser=prior, weight=weight, optimiser=walk, seen=see)

    @torch.no_grad()
    def _see(self, image: torch.Tensor, images: Moments, measured: Moments) -> None:
        images.add(image)
        measured.add(self.problem.operator(image))

    @torch.no_grad()
    def _fitted(self, image: torch.Tensor, measured: Moments) -> tuple[float, float, float, float]:
        """Return scale, floor, and the normalised error without and with them, by the measurements not seen."""
        if measured.count < 2:  # Ctrl-C
            return 1.0, 0.0, math.nan, math.nan
        image = image.to(self.problem.y)
        squared, noise, counted = self._errors(self.problem.operator(image).cpu().double())
        variance, floor = measured.variance[counted], self._passed(image)[counted]
        c, f = fit_variance(variance, squared, noise, floor)
        total = float(squared.mean())
        before, after = float(variance.mean()), float((c**2 * variance + f**2 * floor).mean())
        return c, f, total / max(before, 1e-12), total / max(after, 1e-12)

    def _errors(self, predicted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return estimates of the squared errors of A x, their noise as `fit_variance` takes it, and where they are.

        With d = -m / a, what parted noise added to y, |y + d - A x|^2 - d^2 - sigma^2 is without bias and has less
        variance than without the known d^2 (Oliveira, Lei, Tibshirani 2021).
        """
        y, sigma = self.validation.y.cpu().double(), self.problem.fidelity.sigma
        weights = torch.ones_like(y) if self.validation.weights is None else self.validation.weights.cpu()
        counted = weights > 0
        squared = (y - predicted).square()
        if not self.noisy:
            level = self._variance(predicted)[counted]
            return squared[counted] - level, level.clamp_min(SIGMA_FLOOR**2), counted
        known = (y - self.problem.y.cpu()).square()
        noise = sigma**2 * math.sqrt(1 + 2 * (1 - self.options.share) / self.options.share)
        return (squared - known)[counted] - sigma**2, torch.full_like(y, noise)[counted], counted

    def _variance(self, predicted: torch.Tensor) -> torch.Tensor:
        """Return the variance of each measurement's noise; that of photons is their mean."""
        fidelity = self.problem.fidelity
        if isinstance(fidelity, Poisson):
            return fidelity.variance(predicted)
        return torch.full_like(predicted, fidelity.sigma**2)

    def _passed(self, x: torch.Tensor) -> torch.Tensor:
        """Return what a unit variance of every pixel is in the measurements, on average."""
        noise = PROBE * torch.randn(x.shape, generator=stream(self.config.seed, "passed")).to(x)
        off = (self.problem.operator(x + noise) - self.problem.operator(x)).double().cpu() / PROBE
        counted = torch.ones_like(off) if self.problem.weights is None else self.problem.weights.cpu()
        return torch.full_like(off, float((off.square() * counted).sum() / counted.sum()))
