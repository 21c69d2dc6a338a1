"""Steps per second and images per hour: one image at a time, and several, each in its own stream of a GPU.

    python examples/gpu_throughput.py CBM3D9 --size 512 --jobs 1,4,8

The images of the folder get noise of sigma 25. The reference is the paper's network as published: fp32, kernel by
kernel; "strict" does not allow convolutions to round to TF32, which torch does by default. Without a GPU it runs on
the processor, where several threads give no speed-up.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import torch

from hybridprior import RestoreConfig, Result, preset, restore
from hybridprior._internal.device import choose_device
from hybridprior._internal.random import stream
from hybridprior.evaluation.bench import find_images, read_truth
from hybridprior.metrics import psnr
from hybridprior.overrides import Overrides
from hybridprior.resolve import configure

SIGMA = 25 / 255


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print both tables, and return steps per second by preset and images per hour by the number of streams."""
    options = _parser().parse_args(arguments)
    truths = [read_truth(path, crop=options.size) for _, path in find_images(options.images)]
    truths = [x for x in truths if min(x.shape[-2:]) == options.size][: options.count]
    if not truths:
        raise SystemExit(f"There is no image of {options.size} x {options.size} or more in '{options.images}'.")
    noisy = [x + SIGMA * torch.randn(x.shape, generator=stream(n, "camera")) for n, x in enumerate(truths)]
    reference = configure(preset("paper", "denoise"), Overrides(precision="contiguous"))
    ours = {name: configure(preset(name, "denoise"), Overrides(regulariser="none")) for name in ("balanced", "fast")}
    chosen = configure(preset(options.preset, "denoise"), Overrides(regulariser=options.reg))
    figures = {}
    for name, config in ({"paper": reference, "strict": reference} | ours).items():
        torch.backends.cudnn.allow_tf32 = name != "strict"
        figures[name] = rate(
            noisy[0], configure(config, Overrides(stopping="fixed", max_steps=options.steps)), options.device
        )
        print(f"{name:10s}{figures[name]:8.1f} steps/s")
    for jobs in map(int, options.jobs.split(",")):
        started = time.perf_counter()
        with ThreadPoolExecutor(jobs) as pool:
            found = list(pool.map(lambda y: side_by_side(y, chosen, options), noisy))
        seconds = time.perf_counter() - started
        figures[f"jobs {jobs}"] = hourly = 3600 * len(noisy) / seconds
        together = sum(len(result.trace) for result in found) / seconds
        quality = sum(psnr(result.image, truth) for result, truth in zip(found, truths, strict=True)) / len(truths)
        print(f"{jobs} at a time: {hourly:6.0f} images per hour, {together:6.1f} steps/s together, {quality:.2f} dB")
    return figures


def rate(y: torch.Tensor, config: RestoreConfig, device: str) -> float:
    """Return steps per second, without the first third of the steps."""
    moments: list[float] = []
    restore(y, sigma=SIGMA, config=config, device=device, callbacks=[lambda step: moments.append(time.perf_counter())])
    first = len(moments) // 3
    return (len(moments) - 1 - first) / (moments[-1] - moments[first])


def side_by_side(y: torch.Tensor, config: RestoreConfig, options: argparse.Namespace) -> Result:
    """Return the result of one image, computed in its own stream."""
    where = choose_device(options.device)
    if options.most is not None:
        config = dataclasses.replace(config, solver=dataclasses.replace(config.solver, max_steps=options.most))
    with torch.cuda.stream(torch.cuda.Stream(where)) if where.type == "cuda" else nullcontext():
        return restore(y, sigma=SIGMA, config=config, device=options.device)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="folder of clean images")
    parser.add_argument("--size", type=int, default=512, help="side of the centre crops")
    parser.add_argument("--count", type=int, default=8, help="maximum number of images")
    parser.add_argument("--preset", default="fast", help="preset for the images per hour")
    parser.add_argument("--reg", default="none", help="regulariser for the images per hour: none, denoiser, auto")
    parser.add_argument("--jobs", default="1,4,8", help="numbers of images at a time, separated by commas")
    parser.add_argument("--steps", type=int, default=150, help="steps for the steps per second")
    parser.add_argument("--most", type=int, help="maximum number of steps of each image")
    parser.add_argument("--device", default="auto")
    return parser


if __name__ == "__main__":
    main()
