"""Speed: PSNR against wall time of several configurations on the same images, one after the other in one process.

What counts is the time until the image is as good as the reference's result, which no ground truth chose, less a
tenth of a decibel. Arithmetic is counted (a product and a sum are two) and laid beside what a plain convolution
reaches on the same machine in the same precision.
"""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean

import torch
import torch.nn.functional as F

from hybridprior._internal.device import Precision, choose_device, choose_precision
from hybridprior._internal.random import stream
from hybridprior.config import RestoreConfig
from hybridprior.evaluation.bench.suites import Row
from hybridprior.generators import build_generator

__all__ = ["Cost", "ceiling", "comparison", "draw_curves", "measured_peak", "step_flops"]

REPEATED = 10
"""Convolutions that are timed together."""

SLACK = 0.1
"""Decibels below the reference's result that count as equal."""


@dataclass(frozen=True)
class Cost:
    """What a configuration costs on one image, besides time."""

    flops: float
    """Floating-point operations of a step, forward and backward."""
    ceiling: float
    """Floating-point operations a second of a plain convolution in the same precision."""
    peak: float
    """Bytes on top of what the process held before, at most."""


def step_flops(config: RestoreConfig, shape: Sequence[int]) -> float:
    """Return the floating-point operations of one step of f_theta, forward and backward.

    Args:
        config: It names the generator.
        shape: `(1, C, H, W)` of the image.
    """
    from torch.utils.flop_counter import FlopCounterMode

    generator = build_generator(config.generator.name, shape[1], config.generator.options)
    z = generator.input(generator.padded((1, shape[1], shape[2], shape[3])), stream(0, "z"))
    with FlopCounterMode(display=False) as counter:
        generator(z).sum().backward()
    return float(counter.get_total_flops())


def ceiling(device: torch.device, precision: Precision, *, channels: int = 64, side: int = 128) -> float:
    """Return how many floating-point operations a second a 3x3 convolution reaches here, the best of ten.

    Args:
        device: Where.
        precision: In which arithmetic.
        channels: Channels in and out.
        side: Side of the image.
    """
    kind = torch.bfloat16 if precision.bf16 else torch.float32
    layout = torch.channels_last if precision.channels_last else torch.contiguous_format
    x = torch.rand(1, channels, side, side, device=device, dtype=kind).to(memory_format=layout)
    kernel = torch.rand(channels, channels, 3, 3, device=device, dtype=kind).to(memory_format=layout)
    best = math.inf
    with torch.no_grad():
        for _ in range(10):
            started = time.perf_counter()
            for _ in range(REPEATED):
                y = F.conv2d(x, kernel, padding=1)
            float(y[0, 0, 0, 0])
            best = min(best, time.perf_counter() - started)
    return 2 * 9 * channels**2 * side**2 * REPEATED / best


@contextmanager
def measured_peak(device: torch.device) -> Iterator[list[float]]:
    """Watch the memory while the block runs; yield a list that holds the peak, in bytes, when it has ended."""
    found: list[float] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found.append(torch.cuda.max_memory_allocated(device) - before)
        return
    import psutil

    process, over, seen = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
        found.append(max(seen) - before)


def cost(config: RestoreConfig, shape: Sequence[int], device: str, peak: float) -> Cost:
    """Return what a configuration cost on an image of this shape."""
    where = choose_device(device)
    return Cost(step_flops(config, shape), ceiling(where, choose_precision(where, config.precision)), peak)


def comparison(rows: Mapping[str, Sequence[Row]], costs: Mapping[str, Sequence[Cost]], reference: str) -> str:
    """Return how fast each configuration is beside the reference: a table in Markdown.

    Args:
        rows: What was measured, by configuration, the same images in the same order for each.
        costs: What it cost, likewise.
        reference: The configuration that counts as 1.
    """
    head = ["preset", "result", "steps/s", "seconds", "whole run", "seconds until equal", "until equal"]
    lines = [_line([*head, "GFLOP/s", "of a convolution's", "MiB"]), _line(["---", *["---:"] * 9])]
    base = rows[reference]
    whole, goal = sum(row.seconds for row in base), _until(base, base)
    for name, measured in rows.items():
        seconds, until = sum(row.seconds for row in measured), _until(measured, base)
        paid = sum(c.flops * row.steps for c, row in zip(costs[name], measured, strict=True)) / seconds
        reached = None if until is None or goal is None else until / goal
        cells = [name, f"{mean(row.psnr for row in measured):.2f}"]
        cells += [f"{sum(row.steps for row in measured) / seconds:.1f}", f"{seconds:.0f}", f"{seconds / whole:.3f}"]
        cells += ["never" if until is None else f"{until:.0f}", "" if reached is None else f"{reached:.3f}"]
        share = paid / mean(c.ceiling for c in costs[name])
        cells += [f"{paid / 1e9:.0f}", f"{100 * share:.0f} %", f"{max(c.peak for c in costs[name]) / 2**20:.0f}"]
        lines.append(_line(cells))
    note = f"Equal: the reference's result ({reference}, chosen without ground truth) less {SLACK} dB, on each image."
    return "\n".join([*lines, "", note]) + "\n"


def draw_curves(rows: Mapping[str, Sequence[Row]]) -> bytes:
    """Return PSNR over wall time as a PNG, a panel for each image, a dot where the rule stopped.

    Args:
        rows: What was measured, by configuration.
    """
    import matplotlib.figure

    images = list(dict.fromkeys(row.image for measured in rows.values() for row in measured))
    figure = matplotlib.figure.Figure(figsize=(1 + 4 * len(images), 3.6), layout="constrained")
    for axes, image in zip(figure.subplots(1, len(images), squeeze=False)[0], images, strict=True):
        for number, (name, measured) in enumerate(rows.items()):
            for row in (row for row in measured if (row.image, bool(row.curve)) == (image, True)):
                _, seconds, values = zip(*row.curve, strict=True)
                axes.plot(seconds, values, color=f"C{number}", label=f"{name}: {row.psnr:.2f} dB, {row.seconds:.0f} s")
                axes.plot(_when(row), row.psnr, "o", color=f"C{number}")
                axes.legend(frameon=False, fontsize="small", loc="lower right")
        axes.set(title=image, xscale="log", xlabel="seconds", ylabel="PSNR, dB")
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _until(rows: Sequence[Row], reference: Sequence[Row]) -> float | None:
    """Return the seconds until each image was as good as the reference's, or None if one never was."""
    total = 0.0
    for row, base in zip(rows, reference, strict=True):
        reached = next((seconds for _, seconds, value in row.curve if value >= base.psnr - SLACK), None)
        if reached is None and row.psnr >= base.psnr - SLACK:
            reached = row.seconds
        if reached is None:
            return None
        total += reached
    return total


def _when(row: Row) -> float:
    """Return the second of the chosen step."""
    return row.seconds * row.chosen_step / max(row.steps, 1)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
