"""Noise impedance: how much faster a network fits an image than it fits noise.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", IJCV 2020, figure 2: a network is fitted to an image, to the image
with noise, to its shuffled pixels, and to white noise. Let r_t(k) be the fraction of the variance of target t that is
not fitted after k steps, clipped at 1. The impedance is the area between the curves of the shuffled and of the ordered
pixels over the logarithm of the steps,

    I = 1 / log K  *  integral from 1 to K of (r_shuffled(k) - r_image(k)) d log k.

It lies in [-1, 1], needs no ground truth, and is 0 for pixels as parameters, because the two targets differ in the
order of the pixels only.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, pstdev
from typing import Any

import torch

from hybridprior._internal.random import stream
from hybridprior.config import RestoreConfig
from hybridprior.errors import InputError
from hybridprior.evaluation.ablation.plots import png
from hybridprior.evaluation.tables import Cell, Column, Estimate, Table
from hybridprior.overrides import Overrides
from hybridprior.presets import preset as find_preset
from hybridprior.resolve import configure
from hybridprior.restoration import restore
from hybridprior.result import Status

__all__ = ["TARGETS", "Impedance", "area", "draw_impedance", "impedance", "impedance_table", "targets"]

TARGETS = ("image", "image + noise", "shuffled", "noise")

FLAT = 1e-8
"""Variance below which an image is constant."""

POINTS = 120
"""Approximate number of points of a stored curve, evenly spaced on the logarithm of the steps."""

COLOURS = ("#3a8f4d", "#c99b2e", "#c43c39", "#777777")


@dataclass(frozen=True)
class Impedance:
    """The noise impedance of a generator, and its curves for the four targets."""

    generator: str
    """Name of f_theta."""
    value: float
    """Impedance I, the mean over seeds."""
    std: float | None
    """Standard deviation over seeds; None for a single seed."""
    steps: tuple[int, ...]
    """Steps of the curves."""
    curves: Mapping[str, tuple[float, ...]]
    """Fraction of the variance that is not fitted, by target, the mean over seeds."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return dataclasses.asdict(self)


def impedance(
    image: torch.Tensor,
    generators: Sequence[str] = ("skip", "decoder", "pixels"),
    *,
    preset: str = "balanced",
    max_steps: int | None = None,
    seeds: Sequence[int] = (0,),
    sigma: float = 25 / 255,
    device: str = "auto",
    callback: Callable[[int, int], None] | None = None,
) -> list[Impedance]:
    """Return the noise impedance of generators, the largest first.

    Args:
        image: `(1, C, H, W)`, intensity in [0, 1]; it need not be clean.
        generators: Names of f_theta.
        preset: Preset for the options of the networks and the optimiser; EMA and input noise are turned off.
        max_steps: Maximum number of steps K; the preset's if not given.
        seeds: Seeds of the network, the noise and the order of the pixels.
        sigma: Standard deviation of the noise of the noisy image, in [0, 1].
        device: The device.
        callback: Called with the number of finished fits and the number of all fits.

    Raises:
        ConfigError: A name is unknown.
        InputError: The image is constant, or too large to be solved without tiles.
        KeyboardInterrupt: The run was interrupted.

    Example:
        >>> (one,) = impedance(torch.rand(1, 1, 16, 16), ["pixels"], preset="fast", max_steps=2)
        >>> one.generator, len(one.steps)
        ('pixels', 2)
    """
    if _variance(image) < FLAT:
        raise InputError("The image is constant, so no structure can be fitted. Use another image.")
    found, done, of = [], 0, len(generators) * len(seeds) * len(TARGETS)
    for name in generators:
        values: list[float] = []
        curves: dict[str, list[list[float]]] = {target: [] for target in TARGETS}
        for seed in seeds:
            config = _plain(
                configure(find_preset(preset, "denoise"), Overrides(generator=name, max_steps=max_steps, seed=seed))
            )
            for target, x in targets(image, sigma, seed).items():
                curves[target].append(_fitted(x, config, device))
                done += 1
                if callback is not None:
                    callback(done, of)
            values.append(area(curves["shuffled"][-1], curves["image"][-1]))
        stored = _stored_steps(min(len(curve) for runs in curves.values() for curve in runs))
        means = {t: tuple(mean(run[k - 1] for run in runs) for k in stored) for t, runs in curves.items()}
        std = pstdev(values) if len(values) > 1 else None
        found.append(Impedance(name, mean(values), std, stored, means))
    return sorted(found, key=lambda one: -one.value)


def targets(image: torch.Tensor, sigma: float, seed: int) -> dict[str, torch.Tensor]:
    """Return the targets by name: the image, the image with noise, its shuffled pixels, and white noise in [0, 1].

    Args:
        image: `(1, C, H, W)`.
        sigma: Standard deviation of the noise, in [0, 1].
        seed: Seed of the noise and of the order.

    Example:
        >>> list(targets(torch.rand(1, 1, 4, 4), 0.1, 0))
        ['image', 'image + noise', 'shuffled', 'noise']
    """
    noisy = image + sigma * torch.randn(image.shape, generator=stream(seed, "noise on the picture"))
    order = torch.randperm(image[0, 0].numel(), generator=stream(seed, "order of the pixels"))
    shuffled = image.flatten(2)[..., order].reshape(image.shape)
    white = torch.rand(image.shape, generator=stream(seed, "white noise"))
    return dict(zip(TARGETS, (image, noisy, shuffled, white), strict=True))


def area(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Return the area between two curves over the logarithm of the steps, divided by the width; both are clipped at 1.

    Args:
        upper: Values after 1, 2, ... steps.
        lower: Values of the other curve. The length is that of the shorter one.

    Example:
        >>> round(area([1.0, 1.0, 1.0], [0.5, 0.5, 0.5]), 3)
        0.5
    """
    gaps = [min(a, 1.0) - min(b, 1.0) for a, b in zip(upper, lower, strict=False)]
    if len(gaps) < 2:
        return gaps[0]
    parts = ((gaps[k - 1] + gaps[k]) / 2 * math.log((k + 1) / k) for k in range(1, len(gaps)))
    return sum(parts) / math.log(len(gaps))


def impedance_table(found: Sequence[Impedance]) -> Table:
    """Return the ranking, with the fraction of the variance of each target that is not fitted at the end.

    Args:
        found: The impedances.
    """
    columns = (Column("generator"), Column("impedance", 3), *(Column(f"{name}, not fitted", 3) for name in TARGETS))
    rows: list[tuple[Cell, ...]] = [
        (one.generator, Estimate(one.value, one.std), *(one.curves[target][-1] for target in TARGETS)) for one in found
    ]
    return Table("Noise impedance", columns, tuple(rows))


def draw_impedance(found: Sequence[Impedance]) -> bytes:
    """Return the curves as a PNG, a panel for each generator.

    Args:
        found: The impedances.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.6 + 3.8 * len(found), 3.6), layout="constrained")
    for axes, one in zip(figure.subplots(1, len(found), squeeze=False, sharey=True)[0], found, strict=True):
        for target, colour in zip(TARGETS, COLOURS, strict=True):
            axes.plot(one.steps, one.curves[target], color=colour, label=target)
        axes.set(title=f"{one.generator}: {one.value:.2f}", xscale="log", xlabel="step", ylim=(0, 1.5))
        axes.grid(alpha=0.3)
    first = figure.axes[0]
    first.set_ylabel("variance not fitted")
    first.legend(frameon=False, fontsize="small")
    return png(figure)


def _plain(config: RestoreConfig) -> RestoreConfig:
    """Return the configuration without R, input noise, EMA and early stopping."""
    plain = configure(config, Overrides(regulariser="none", stopping="fixed"))
    return dataclasses.replace(plain, solver=dataclasses.replace(plain.solver, input_noise_std=0.0, ema_decay=0.0))


def _fitted(target: torch.Tensor, config: RestoreConfig, device: str) -> list[float]:
    """Return the fraction of the target's variance that is not fitted, after each step."""
    result = restore(target, config=config, sigma=1.0, device=device)
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    if len(result.trace) > config.solver.max_steps:
        raise InputError("The image is too large for the memory and is solved in tiles; crop it.")
    return [2 * point.energy / _variance(target) for point in result.trace]


def _variance(x: torch.Tensor) -> float:
    return float((x - x.mean((2, 3), keepdim=True)).square().mean())


def _stored_steps(count: int) -> tuple[int, ...]:
    """Return about `POINTS` steps from 1 to `count`, evenly spaced on their logarithm."""
    return tuple(dict.fromkeys(round(math.exp(math.log(count) * point / POINTS)) for point in range(POINTS + 1)))
