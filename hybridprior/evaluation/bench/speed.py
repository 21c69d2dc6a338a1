"""Speed: PSNR over wall time of several configurations on the same images, in one process.

The time of interest is the time until the PSNR reaches that of the reference configuration, at the step chosen without
ground truth, minus 0.1 dB. Floating-point operations are counted (a multiply-add is two) and compared with the
throughput of a convolution on the same machine in the same precision.
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
from hybridprior.evaluation.tables import Cell, Column, Table
from hybridprior.generators import build_generator

__all__ = ["Cost", "ceiling", "comparison", "draw_curves", "measured_peak", "step_flops"]

REPEATED = 10
"""Convolutions in one measurement."""

SLACK = 0.1
"""Tolerance in dB: a PSNR of at least the reference's minus this counts as equal."""


COLUMNS = (
    Column("preset"),
    Column("result", 2),
    Column("steps/s", 1),
    Column("seconds", 0),
    Column("whole run", 3),
    Column("seconds until equal", 0),
    Column("until equal", 3),
    Column("GFLOP/s", 0),
    Column("of a convolution's, %", 0),
    Column("MiB", 0),
)


@dataclass(frozen=True)
class Cost:
    """Computational cost of a configuration on one image, besides time."""

    flops: float
    """Floating-point operations of one step, forward and backward."""
    ceiling: float
    """Floating-point operations per second of a convolution in the same precision."""
    peak: float
    """Peak memory in bytes, on top of the memory allocated before."""


def step_flops(config: RestoreConfig, shape: Sequence[int]) -> float:
    """Return the floating-point operations of one step of f_theta, forward and backward.

    Args:
        config: The configuration, which names the generator.
        shape: `(1, C, H, W)` of the image.
    """
    from torch.utils.flop_counter import FlopCounterMode

    generator = build_generator(config.generator.name, shape[1], config.generator.options)
    z = generator.input(generator.padded((1, shape[1], shape[2], shape[3])), stream(0, "z"))
    with FlopCounterMode(display=False) as counter:
        generator(z).sum().backward()
    return float(counter.get_total_flops())


def ceiling(device: torch.device, precision: Precision, *, channels: int = 64, side: int = 128) -> float:
    """Return the floating-point operations per second of a 3x3 convolution, the best of ten measurements.

    Args:
        device: The device.
        precision: The arithmetic.
        channels: Number of input and output channels.
        side: Side of the image in pixels.
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
    """Measure the peak memory of a block: yield a list that holds the peak in bytes after the block.

    Args:
        device: The device of the block.

    Example:
        >>> with measured_peak(torch.device("cpu")) as peak:
        ...     x = torch.ones(8)
        >>> len(peak)
        1
    """
    found: list[float] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found.append(torch.cuda.max_memory_allocated(device) - before)
        return
    import psutil

    process, finished, seen = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def sample() -> None:
        while not finished.wait(0.02):
            seen.append(process.memory_info().rss)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield found
    finally:
        finished.set()
        sampler.join()
        found.append(max(seen) - before)


def cost(config: RestoreConfig, shape: Sequence[int], device: str, peak: float) -> Cost:
    """Return the cost of a configuration on an image.

    Args:
        config: The configuration.
        shape: `(1, C, H, W)` of the image.
        device: The device.
        peak: The measured peak memory in bytes.
    """
    where = choose_device(device)
    return Cost(step_flops(config, shape), ceiling(where, choose_precision(where, config.precision)), peak)


def comparison(rows: Mapping[str, Sequence[Row]], costs: Mapping[str, Sequence[Cost]], reference: str) -> Table:
    """Return the speed of each configuration relative to the reference.

    Args:
        rows: The results by configuration, the same images in the same order for each.
        costs: The costs, in the same order.
        reference: Name of the configuration whose times are 1.
    """
    base = rows[reference]
    total, goal = sum(row.seconds for row in base), _until(base, base)
    lines: list[tuple[Cell, ...]] = []
    for name, measured in rows.items():
        seconds, until = sum(row.seconds for row in measured), _until(measured, base)
        flops = sum(c.flops * row.steps for c, row in zip(costs[name], measured, strict=True)) / seconds
        lines.append(
            (
                name,
                mean(row.psnr for row in measured),
                sum(row.steps for row in measured) / seconds,
                seconds,
                seconds / total,
                "never" if until is None else until,
                None if until is None or goal is None else until / goal,
                flops / 1e9,
                100 * flops / mean(c.ceiling for c in costs[name]),
                max(c.peak for c in costs[name]) / 2**20,
            )
        )
    note = f"Equal: the reference's result ({reference}, chosen without ground truth) minus {SLACK} dB, on each image."
    return Table("Speed", COLUMNS, tuple(lines), note)


def draw_curves(rows: Mapping[str, Sequence[Row]]) -> bytes:
    """Return PSNR over wall time as a PNG: a panel for each image, a dot at the chosen step.

    Args:
        rows: The results, by configuration.
    """
    import matplotlib.figure

    images = list(dict.fromkeys(row.image for measured in rows.values() for row in measured))
    figure = matplotlib.figure.Figure(figsize=(1 + 4 * len(images), 3.6), layout="constrained")
    for axes, image in zip(figure.subplots(1, len(images), squeeze=False)[0], images, strict=True):
        for number, (name, measured) in enumerate(rows.items()):
            for row in (row for row in measured if (row.image, bool(row.curve)) == (image, True)):
                _, seconds, values = zip(*row.curve, strict=True)
                axes.plot(seconds, values, color=f"C{number}", label=f"{name}: {row.psnr:.2f} dB, {row.seconds:.0f} s")
                axes.plot(_chosen_second(row), row.psnr, "o", color=f"C{number}")
                axes.legend(frameon=False, fontsize="small", loc="lower right")
        axes.set(title=image, xscale="log", xlabel="seconds", ylabel="PSNR, dB")
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _until(rows: Sequence[Row], reference: Sequence[Row]) -> float | None:
    """Return the seconds until each image reaches the PSNR of the reference, or None if one never does."""
    total = 0.0
    for row, base in zip(rows, reference, strict=True):
        reached = next((seconds for _, seconds, value in row.curve if value >= base.psnr - SLACK), None)
        if reached is None and row.psnr >= base.psnr - SLACK:
            reached = row.seconds
        if reached is None:
            return None
        total += reached
    return total


def _chosen_second(row: Row) -> float:
    """Return the time of the chosen step in seconds."""
    return row.seconds * row.chosen_step / max(row.steps, 1)
