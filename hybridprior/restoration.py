"""`restore()`: a configuration is resolved once, and its solver runs the image or each of its tiles."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hybridprior._internal.device import Precision, choose_device, choose_precision, with_gradients
from hybridprior.config import RestoreConfig
from hybridprior.denoisers import Denoiser
from hybridprior.fidelities import Fidelity
from hybridprior.generators import Generator
from hybridprior.io.image import as_tensor
from hybridprior.operators import Operator, as_operator
from hybridprior.operators.base import Shape, placed
from hybridprior.overrides import Overrides
from hybridprior.presets import preset as find_preset
from hybridprior.problem import Problem
from hybridprior.regularisers import Regulariser
from hybridprior.resolve import AUTO, configure, resolve
from hybridprior.result import Result
from hybridprior.solvers import SOLVERS, Callback, Components, as_callbacks
from hybridprior.solvers.tile_size import settle_tiles
from hybridprior.solvers.tiled import lay_out, restore_tiles
from hybridprior.stopping import StoppingRule

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["AUTO", "restore"]

NOT_STACKED = "The denoiser alone restored the image: there are no independent validation measurements."


def restore(
    y: torch.Tensor | np.ndarray | Image.Image,
    operator: Operator | Callable[[torch.Tensor], torch.Tensor] | None = None,
    *,
    preset: str = "balanced",
    config: RestoreConfig | None = None,
    sigma: float | None = None,
    fidelity: str | Fidelity | None = None,
    generator: str | Generator | None = None,
    regulariser: str | Regulariser | None = None,
    weight: float | Mapping[str, float] | None = None,
    denoiser: str | Denoiser | Callable[..., Any] | None = None,
    denoiser_sigma: tuple[float, float] | None = None,
    solver: str | None = None,
    stopping: str | StoppingRule | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    tile_size: int | None = None,
    shape: Shape | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Mapping[str, Any] | None = None,
) -> Result:
    """Restore one image: min over theta of E(A f_theta(z); y) + lambda R(f_theta(z)).

    On a CPU the same seed with the same number of threads gives the same bits.

    Args:
        y: The measurements. A tensor `(1, C, H, W)`, `(C, H, W)` or `(H, W)` in [0, 1]; an array `(H, W)` or
            `(H, W, C)`, floating in [0, 1] or unsigned integers of its type's range; or a grey or RGB image of
            Pillow.
        operator: A: an operator, a physics of deepinv, a differentiable callable, or None for denoising.
        preset: Where the configuration comes from: "balanced", "fast", "paper" ...
        config: The whole configuration, in place of a preset.
        sigma: Standard deviation of the noise in [0, 1]; the physics' own, or estimated from y, if not given.
        fidelity: E, by the noise it expects: "gaussian" (the default), "poisson", "laplace", "huber" (Gaussian noise
            with outliers), each of level `sigma`; or as an object, such as `Poisson(peak=30)`.
        generator: f_theta, by name ("skip", "decoder", "pixels") or as a module, which is copied and not changed.
        regulariser: R, by name ("none", "tv", "denoiser", "score", "feature", or several: "denoiser+tv") or as an
            object, which is copied: `0.5 * TotalVariation()`. "auto" is the fusion of both priors.
        weight: lambda; or one for each term of R by its name.
        denoiser: The denoiser of R, by name ("shipped", "hf-hub:org/name@revision", "local-dir:PATH",
            "file:PATH", "module:function") or as `load_denoiser` takes it: a function of (x, sigma), or a
            module, which is copied and not changed.
        denoiser_sigma: Its noise level at the start and at the end, in [0, 1].
        solver: The algorithm by name: "gradient", "splitting", "pnp" (without a network) or "fusion".
        stopping: The stopping rule, by name ("fixed", "variance", "heldout", or "auto": heldout if there is noise to
            fit, else fixed) or as an object, which is copied.
        max_steps: The most steps taken.
        seed: Seed of everything that is drawn.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: "auto", "fp32" or "bf16": the arithmetic of the generator.
        tile_size: Longest side of the tiles that a large image is solved in; by the free memory if not given.
        shape: `(1, C, H, W)` of the image, for callables whose measurements have another shape.
        callbacks: Called with each `Step`; their time is not counted.
        checkpoint: `Result.checkpoint` of an interrupted run, to go on with.

    Returns:
        The image with its history. Pixels that a mask or a window measured without noise are as they were.

    Raises:
        ConfigError: An unknown name, or a number out of its range.
        InputError: An image that cannot be restored: NaN, nothing measured.
        WeightsError: Weights that are missing, corrupt, unsafe or of another network.
        ShapeError: Shapes that do not fit together.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> y = 0.5 + 0.1 * torch.randn(1, 3, 32, 32, generator=rng)
        >>> result = restore(y, generator="pixels", regulariser="denoiser")
        >>> float((result.image - 0.5).std()) < 0.03
        True
    """
    overrides = Overrides(
        generator=generator,
        regulariser=regulariser,
        weight=weight,
        denoiser=denoiser,
        denoiser_sigma=denoiser_sigma,
        solver=solver,
        stopping=stopping,
        max_steps=max_steps,
        seed=seed,
        precision=precision,
        tile_size=tile_size,
    )
    return restore_with(
        y,
        operator,
        overrides,
        preset=preset,
        config=config,
        sigma=sigma,
        fidelity=fidelity,
        device=device,
        shape=shape,
        callbacks=callbacks,
        checkpoint=checkpoint,
    )


@with_gradients()
def restore_with(
    y: torch.Tensor | np.ndarray | Image.Image,
    operator: Operator | Callable[[torch.Tensor], torch.Tensor] | None,
    overrides: Overrides,
    *,
    preset: str = "balanced",
    config: RestoreConfig | None = None,
    sigma: float | None = None,
    fidelity: str | Fidelity | None = None,
    device: str = "auto",
    shape: Shape | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Mapping[str, Any] | None = None,
) -> Result:
    """Restore one image as `restore` does, with the choices in one value.

    Args:
        y: The measurements.
        operator: A, or None for denoising.
        overrides: What replaces choices of the preset or configuration.
        preset: Name of the preset.
        config: The configuration, in place of a preset.
        sigma: Standard deviation of the noise in [0, 1].
        fidelity: E, by name or as an object.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        shape: `(1, C, H, W)` of the image, for callables.
        callbacks: Called with each `Step`.
        checkpoint: `Result.checkpoint` of an interrupted run.

    Raises:
        HybridPriorError: As of `restore`.
    """
    torch.optim.Adam([torch.zeros(1)])  # its first use imports many modules, which is not part of the restoration
    started, callbacks = time.perf_counter(), as_callbacks(callbacks)
    a = as_operator(operator, shape=shape)
    measurement = as_tensor(y, image=a.images and shape is None)
    chosen = config or find_preset(preset, a.task)
    where = choose_device(device)
    arithmetic = choose_precision(where, overrides.precision or chosen.precision)
    problem = Problem.make(measurement.to(where), placed(a, where), fidelity, sigma=sigma)
    ran, components = resolve(chosen, overrides, problem)
    ran = settle_tiles(ran, problem, lambda: components.copied().generator, precision=arithmetic, checkpoint=checkpoint)
    boxes = lay_out(problem.shape, ran.tiles, problem.operator.tile_multiple or 1)
    solve = _Solve(ran, components, arithmetic)
    if len(boxes) == 1:
        result = solve(problem, callbacks, checkpoint, started=started)
    else:
        identity = components.identity
        result = restore_tiles(
            problem, ran, boxes, solve, identity=identity, callbacks=callbacks, checkpoint=checkpoint
        )
    unstacked = configure(chosen, overrides).method == "fusion" and ran.method == "pnp"
    message = f"{result.message} {NOT_STACKED}" if unstacked else result.message
    image = a.enforce_consistency(result.image, measurement, noisy=not problem.exact)
    return dataclasses.replace(result, image=image, message=message)


@dataclass(frozen=True, eq=False)
class _Solve:
    """Solves the whole problem, or a tile's, each with copies of the components."""

    config: RestoreConfig
    components: Components
    precision: Precision

    def __call__(
        self,
        problem: Problem,
        callbacks: Sequence[Callback],
        checkpoint: Mapping[str, Any] | None,
        *,
        started: float | None = None,
    ) -> Result:
        build, parts = SOLVERS.find(self.config.method), self.components.copied()
        solver = build(problem, parts, config=self.config, precision=self.precision, started=started)
        if checkpoint is not None:
            solver.load_state_dict(checkpoint)
        return solver.run(callbacks)
