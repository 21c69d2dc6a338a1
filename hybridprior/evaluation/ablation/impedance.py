"""Noise impedance: how much faster a network learns an image than it learns noise.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", IJCV 2020, figure 2: a network is fitted to an image, to the image
with noise, to its pixels shuffled, and to white noise. With r_t(k) the share of target t's variance that is not fitted
after k steps, at most 1, the impedance is the area between the curves of the shuffled and the ordered pixels over the
logarithm of the steps,

    I = 1 / log K  *  integral from 1 to K of (r_shuffled(k) - r_image(k)) d log k.

It lies in [-1, 1], needs no ground truth, and is 0 for pixels as parameters: the two targets differ in nothing but
order.
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
from hybridprior.evaluation.ablation.table import markdown
from hybridprior.overrides import Overrides
from hybridprior.presets import preset as find_preset
from hybridprior.resolve import configure
from hybridprior.restoration import restore
from hybridprior.result import Status

__all__ = ["TARGETS", "Impedance", "area", "draw_impedance", "impedance", "impedance_table", "targets"]

TARGETS = ("image", "image + noise", "shuffled", "noise")

FLAT = 1e-8
"""Variance of an image that has no structure."""

POINTS = 120
"""Points of a curve that are kept, about, evenly on the logarithm of the steps."""

COLOURS = ("#3a8f4d", "#c99b2e", "#c43c39", "#777777")


@dataclass(frozen=True)
class Impedance:
    """What a generator made of the four targets."""

    generator: str
    """f_theta by name."""
    value: float
    """I, the mean over seeds."""
    spread: float | None
    """Its standard deviation over seeds; None of a single one."""
    steps: tuple[int, ...]
    """Where the curves are known."""
    curves: Mapping[str, tuple[float, ...]]
    """Share of the variance that is not fitted, by target, the mean over seeds."""

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
    """Return the noise impedance of generators, the greatest first.

    Args:
        image: `(1, C, H, W)` in [0, 1], clean or not.
        generators: f_theta by name.
        preset: Where the networks' options and the optimiser come from; nothing is averaged, and z stays as it is.
        max_steps: The most steps, K; the preset's if not given.
        seeds: Of the network, the noise and the order of the pixels.
        sigma: Of the image with noise, in [0, 1].
        device: Where.
        callback: Told how many fits are done, and of how many.

    Raises:
        ConfigError: An unknown name.
        InputError: An image of one colour, or one that is too large to be solved whole.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    if _variance(image) < FLAT:
        raise InputError("An image of one colour has no structure to be learned.")
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
        kept = _kept(min(len(curve) for runs in curves.values() for curve in runs))
        means = {t: tuple(mean(run[k - 1] for run in runs) for k in kept) for t, runs in curves.items()}
        spread = pstdev(values) if len(values) > 1 else None
        found.append(Impedance(name, mean(values), spread, kept, means))
    return sorted(found, key=lambda one: -one.value)


def targets(image: torch.Tensor, sigma: float, seed: int) -> dict[str, torch.Tensor]:
    """Return what is fitted, by name: the image, with noise, its pixels shuffled, and white noise in [0, 1].

    Args:
        image: `(1, C, H, W)`.
        sigma: Of the noise, in [0, 1].
        seed: Of noise and order.
    """
    noisy = image + sigma * torch.randn(image.shape, generator=stream(seed, "noise on the picture"))
    order = torch.randperm(image[0, 0].numel(), generator=stream(seed, "order of the pixels"))
    shuffled = image.flatten(2)[..., order].reshape(image.shape)
    white = torch.rand(image.shape, generator=stream(seed, "white noise"))
    return dict(zip(TARGETS, (image, noisy, shuffled, white), strict=True))


def area(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Return the area between two curves over the logarithm of the steps, divided by its width; both are cut off at 1.

    Args:
        upper: Values after 1, 2, ... steps.
        lower: The other's; the shorter one counts.
    """
    gaps = [min(a, 1.0) - min(b, 1.0) for a, b in zip(upper, lower, strict=False)]
    if len(gaps) < 2:
        return gaps[0]
    parts = ((gaps[k - 1] + gaps[k]) / 2 * math.log((k + 1) / k) for k in range(1, len(gaps)))
    return sum(parts) / math.log(len(gaps))


def impedance_table(found: Sequence[Impedance]) -> str:
    """Return the ranking in Markdown, with the share of each target that is not fitted at the end."""
    head = ["generator", "impedance", "seeds", *(f"{target}, left" for target in TARGETS)]
    body = [
        [
            one.generator,
            f"{one.value:.3f}",
            "" if one.spread is None else f"{one.spread:.3f}",
            *(f"{one.curves[target][-1]:.3f}" for target in TARGETS),
        ]
        for one in found
    ]
    return markdown(head, body)


def draw_impedance(found: Sequence[Impedance]) -> bytes:
    """Return the curves as a PNG, a panel for each generator."""
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
    """Return the configuration without R, jitter, averaging and early stop."""
    plain = configure(config, Overrides(regulariser="none", stopping="fixed"))
    return dataclasses.replace(plain, solver=dataclasses.replace(plain.solver, input_noise_std=0.0, ema_decay=0.0))


def _fitted(target: torch.Tensor, config: RestoreConfig, device: str) -> list[float]:
    """Return the share of the target's variance that is not fitted, after each step."""
    result = restore(target, config=config, sigma=1.0, device=device)
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    if len(result.trace) > config.solver.max_steps:
        raise InputError("The image is too large for the memory and would be solved in tiles; crop it.")
    return [2 * point.energy / _variance(target) for point in result.trace]


def _variance(x: torch.Tensor) -> float:
    return float((x - x.mean((2, 3), keepdim=True)).square().mean())


def _kept(count: int) -> tuple[int, ...]:
    """Return about `POINTS` steps from 1 to `count`, evenly on their logarithm."""
    return tuple(dict.fromkeys(round(math.exp(math.log(count) * point / POINTS)) for point in range(POINTS + 1)))
