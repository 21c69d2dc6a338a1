"""`hprior demo`: restores a degraded photograph that is included in the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import progress, say
from ..files import prepare
from ..options import TASK_NAMES, Seed, Threads, check_degradation_sigma, check_task, set_threads

if TYPE_CHECKING:
    import torch

__all__ = ["demo"]

QUICK_STEPS = 250
QUICK_SIDE = 96


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the images.")] = Path("hprior-demo"),
    task: Annotated[str, typer.Option(help=f"{TASK_NAMES}.")] = "denoise",
    quick: Annotated[
        bool, typer.Option("--quick", help="A small crop and few steps, to check the installation.")
    ] = False,
    seed: Seed = 0,
    threads: Threads = None,
) -> None:
    """Degrade the included photograph, restore it, and print PSNR and SSIM before and after."""
    check_task(task)
    set_threads(threads)

    from hybridprior import metrics
    from hybridprior.data import demo_image
    from hybridprior.evaluation.degradation import Degradation, degrade
    from hybridprior.evaluation.oracle import Oracle
    from hybridprior.io.files import ImageData, read_image, write_atomically, write_image
    from hybridprior.overrides import Overrides
    from hybridprior.presets import preset
    from hybridprior.resolve import configure
    from hybridprior.restoration import restore

    truth = read_image(demo_image()).pixels
    if quick:
        truth = truth[..., :QUICK_SIDE, :QUICK_SIDE].contiguous()
    how = Degradation(task=task, sigma=check_degradation_sigma(task, None), seed=seed)
    y, operator = degrade(truth, how)
    config = configure(preset("fast", task), Overrides(seed=seed, max_steps=QUICK_STEPS if quick else None))
    prepare(output / "after.png", 4 * truth.numel())
    oracle = Oracle(truth, task)
    with progress("otter.png", config.solver.max_steps, shown=True) as callbacks:
        result = restore(y, operator, config=config, sigma=how.nominal_sigma, callbacks=[*callbacks, oracle])
    before = operator.initial_estimate(y)
    for name, pixels in (("truth", truth), ("input", y), ("before", before), ("after", result.image)):
        write_image(output / f"{name}.png", ImageData(pixels))
    write_image(output / "comparison.png", ImageData(_side_by_side(before, result.image, truth)))
    figures = {
        "task": task,
        "psnr_before": metrics.psnr_for_task(before, truth, task),
        "psnr": metrics.psnr_for_task(result.image, truth, task),
        "ssim": metrics.ssim(result.image, truth),
        "oracle_psnr": oracle.psnr,
        "chosen_step": result.step,
        "seconds": round(result.timings.total, 1),
    }
    write_atomically(output / "figures.json", (json.dumps(figures, indent=1) + "\n").encode())
    say(f"before  {output / 'before.png'}  PSNR {figures['psnr_before']:.2f} dB")
    say(f"after   {output / 'after.png'}  PSNR {figures['psnr']:.2f} dB, SSIM {figures['ssim']:.3f}")
    say(f"step {result.step}, chosen without ground truth; the oracle has {oracle.psnr:.2f} dB at step {oracle.step}")
    say(f"{result.timings.total:.1f} s, {result.precision}. {result.message}")
    say(f"Before, after and ground truth side by side: {output / 'comparison.png'}")


def _side_by_side(*images: torch.Tensor) -> torch.Tensor:
    import torch

    gap = torch.ones_like(images[0][..., :4])
    row = [part for image in images for part in (image, gap)]
    return torch.cat(row[:-1], dim=-1)
