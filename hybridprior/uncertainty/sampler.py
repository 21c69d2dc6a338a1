"""`restore_with_uncertainty()`: an image with the standard deviation of each pixel's error.

The measurements are split: by recorruption where there is Gaussian noise, else by holding out pixels. Samples of the
network's theta are drawn on the training part. Their standard deviations are scaled to the errors on the validation
part. In the end theta is refitted to all measurements for a few steps.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hybridprior._internal.device import choose_device, choose_precision, with_gradients
from hybridprior._internal.interrupt import interruptible
from hybridprior._internal.random import derive, stream
from hybridprior.config import Component, RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.fidelities import CLEAN, Fidelity, Gaussian
from hybridprior.fusion.validated_run import ValidatedRun, split_measurements
from hybridprior.generators import GENERATORS
from hybridprior.io.image import as_tensor
from hybridprior.operators import Operator, as_operator
from hybridprior.operators.base import Shape, placed
from hybridprior.overrides import Overrides
from hybridprior.presets import preset as find_preset
from hybridprior.problem import Problem
from hybridprior.resolve import configure, without_fusion
from hybridprior.result import Result, Status, Timings
from hybridprior.solvers import Callback, as_callbacks
from hybridprior.solvers.components import build_components
from hybridprior.stopping import build_stopping_rule
from hybridprior.uncertainty.config import Moments, Uncertainty, UncertaintyConfig
from hybridprior.uncertainty.langevin import Langevin
from hybridprior.uncertainty.variance_fit import fit_to_validation

__all__ = ["check_sampled", "restore_with_uncertainty"]

RULE = "heldout"
"""The stopping rule of every run, since there are validation measurements."""


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
        y: The measurements; all arguments but `options` are those of `restore`.
        operator: A.
        preset: Name of a configuration.
        config: The whole configuration, in place of a preset; its stopping rule is replaced by `heldout`.
        options: How samples are drawn and calibrated.
        sigma: Standard deviation of the noise in [0, 1].
        fidelity: E.
        regulariser: R, by name.
        weight: lambda.
        max_steps: Largest number of steps before the samples.
        seed: Seed of all random numbers.
        device: "auto", "cpu", "cuda" ...
        shape: `(1, C, H, W)` of the image, for callables.
        callbacks: Called with each `Step` before the samples.
        checkpoint: `Result.checkpoint` of an interrupted run.

    Returns:
        The image with its `uncertainty`, which is None where the run was interrupted or diverged. Pixels that were
        measured without noise have their measured value and the standard deviation 0.

    Raises:
        ConfigError: A generator without a network, R by splitting, or "auto".
        InputError: An image that cannot be restored.
        ShapeError: Shapes that do not fit together.

    Example:
        >>> result = restore_with_uncertainty(
        ...     torch.rand(1, 3, 16, 16),
        ...     sigma=0.1,
        ...     preset="fast",
        ...     max_steps=2,
        ...     options=UncertaintyConfig(samples=2, burn_in=0),
        ... )
        >>> result.uncertainty.std.shape
        torch.Size([1, 3, 16, 16])
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
    return _consistent(run.result(callbacks, checkpoint), a, measurement, noisy=not problem.exact)


def _consistent(result: Result, operator: Operator, y: torch.Tensor, *, noisy: bool) -> Result:
    """Return the result with its image consistent with y; known pixels without noise have no uncertainty."""
    image, found = operator.enforce_consistency(result.image, y, noisy=noisy), result.uncertainty
    known = None if noisy else operator.known_pixels(y)
    if found is not None and known is not None:
        std, raw = (deviation * (known.to(deviation) == 0) for deviation in (found.std, found.raw))
        found = dataclasses.replace(found, std=std, raw=raw)
    return dataclasses.replace(result, image=image, uncertainty=found)


def _message(uncertainty: Uncertainty) -> str:
    if uncertainty.flat:
        level = f"{255 * uncertainty.floor:.2g}/255"
        return (
            "The samples' standard deviation does not predict the error: the uncertainty is "
            f"{level} at every pixel. Try more steps."
        )
    return f"The uncertainty was estimated from {uncertainty.samples} samples."


def check_sampled(config: RestoreConfig) -> None:
    """Raise `ConfigError` for a configuration without a network whose theta can be sampled.

    Args:
        config: The configuration of the run.

    Example:
        >>> check_sampled(RestoreConfig())
        >>> check_sampled(RestoreConfig(generator=Component("pixels")))
        Traceback (most recent call last):
        ...
        hybridprior.errors.ConfigError: Uncertainty is estimated from samples of a network's theta...
    """
    if config.method != "gradient" or not getattr(GENERATORS.find(config.generator.name), "is_network", True):
        raise ConfigError(
            "Uncertainty is estimated from samples of a network's theta. Leave out generator 'pixels', solver "
            "'splitting' and regulariser 'auto'."
        )


class _Sampling:
    """The samples of one image."""

    def __init__(self, problem: Problem, config: RestoreConfig, options: UncertaintyConfig, *, started: float) -> None:
        self.problem, self.config, self.options, self.started = problem, config, options, started
        self.precision = choose_precision(problem.y.device, config.precision)
        noisy = isinstance(problem.fidelity, Gaussian) and problem.fidelity.sigma > CLEAN
        recorruption = options.share if noisy else None
        rule = build_stopping_rule(RULE)
        self.split = split_measurements(problem, rule, recorruption=recorruption, seed=config.seed)

    def result(self, callbacks: Sequence[Callback], checkpoint: Mapping[str, Any] | None) -> Result:
        """Return the image with its uncertainty."""
        run = self._run(self.config.seed)
        with interruptible() as interrupted:
            found = dataclasses.replace(
                run.fit(callbacks, checkpoint), config=self.config, sigma=self.problem.fidelity.sigma
            )
            if not run.is_complete(found):
                return found
            saved, begun = run.solver.state_dict(), time.perf_counter()
            image, uncertainty = self._sampled(run, found.image)
            if interrupted.is_set():
                status = Status.INTERRUPTED
                return dataclasses.replace(found, status=status, message=status.value, checkpoint=saved)
        return dataclasses.replace(
            found,
            image=image.float().cpu(),
            message=f"{found.status.value} {_message(uncertainty)}",
            uncertainty=uncertainty,
            timings=Timings(found.timings.setup, found.timings.steps + time.perf_counter() - begun),
            held_out=0.0 if self.options.method == "langevin" else found.held_out,
        )

    def _run(self, seed: int) -> ValidatedRun:
        config = dataclasses.replace(self.config, seed=seed)
        return ValidatedRun(
            self.split,
            build_components(config, self.problem.shape[1]),
            config=config,
            precision=self.precision,
            started=self.started,
        )

    def _sampled(self, run: ValidatedRun, first: torch.Tensor) -> tuple[torch.Tensor, Uncertainty]:
        """Return the image and its uncertainty; `first` is the image of the first network."""
        images, measured = Moments(), Moments()
        langevin = self.options.method == "langevin"
        if langevin:
            self._langevin(run, images, measured)
            image = first
        else:
            for number in range(self.options.members):
                seed = derive(self.config.seed, f"member {number}")
                member = self._run(seed).fit().image if number else first
                self._add(member.to(self.problem.y), images, measured)
            image = images.mean.float()
        scale, floor, before, after = fit_to_validation(self.problem, self.split, image, measured, self.config.seed)
        if langevin:
            start, weight = run.solver.best_theta, self.config.weight
            image, _ = run.refit(
                self.problem, self.options.refit, start=start, regulariser=run.solver.regulariser, weight=weight
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

    def _langevin(self, run: ValidatedRun, images: Moments, measured: Moments) -> None:
        """Draw samples by Langevin dynamics from the best step on."""
        drawn = 0

        def add(image: torch.Tensor) -> None:
            nonlocal drawn
            drawn += 1
            if drawn > self.options.burn_in:
                self._add(image, images, measured)

        langevin = Langevin(
            run.solver.generator.parameters(),
            learning_rate=self.options.learning_rate,
            count=self.split.train.count,
            rng=stream(self.config.seed, "langevin", self.problem.y.device),
        )
        steps = self.options.burn_in + self.options.samples
        run.sample(langevin, steps, weight=self.config.weight, seen=add)

    @torch.no_grad()
    def _add(self, image: torch.Tensor, images: Moments, measured: Moments) -> None:
        images.add(image)
        measured.add(self.problem.operator(image))
