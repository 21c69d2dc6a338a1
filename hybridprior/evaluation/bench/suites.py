"""The suites: which images, how they are degraded, and how the results are compared.

A result is two numbers: at the step that the rule chose without ground truth, which is the result, and at the best
step of all, the oracle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from hybridprior import metrics
from hybridprior.config import RestoreConfig
from hybridprior.errors import InputError
from hybridprior.evaluation.bench.published import of_image
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.evaluation.oracle import Oracle
from hybridprior.fidelities import SIGMA_FLOOR
from hybridprior.io.files import SUFFIXES, read_image
from hybridprior.restoration import restore
from hybridprior.result import Result, Status
from hybridprior.solvers.gradient import Callback

__all__ = [
    "SUITES",
    "Row",
    "Suite",
    "Trial",
    "find_images",
    "measure",
    "middle",
    "read_truth",
    "run_suite",
    "short_name",
]


SIDES = {256, 512, 768}
"""Of the images that published figures are of."""


@dataclass(frozen=True)
class Suite:
    """A task with its conventions."""

    task: str
    """One of the presets' tasks."""
    multiple: int = 1
    """The ground truth is cropped to multiples of this."""
    grey: bool = False
    """Whether colour images are compared in grey."""


SUITES = {
    "denoise": Suite("denoise"),
    "sr": Suite("sr", multiple=32),
    "inpaint": Suite("inpaint", grey=True),
    "deblur": Suite("deblur"),
    "dejpeg": Suite("dejpeg"),
    "demosaic": Suite("demosaic"),
}


@dataclass(frozen=True)
class Row:
    """One image, one seed."""

    suite: str
    image: str
    size: str
    channels: int
    seed: int
    psnr: float
    """At the chosen step: the result."""
    oracle_psnr: float | None
    """At the best step, which needs the ground truth; None for a fusion or tiles, whose steps are not its image."""
    ssim: float | None
    baseline_psnr: float
    """Of the operator's cheap estimate."""
    published: float | None
    """Deep Image Prior's published figure."""
    chosen_step: int
    oracle_step: int | None
    steps: int
    seconds: float
    status: str
    curve: list[list[float]] = field(default_factory=list)
    """[step, seconds, PSNR], every twentieth step."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One restoration and its figures."""

    row: Row
    """Its figures."""
    result: Result
    """What the restoration gave back, as far as it is shown."""
    oracle: Oracle
    """What followed it, and knows the truth in the same frame."""


def find_images(data: Path, names: Sequence[str] = ()) -> list[tuple[str, Path]]:
    """Return the images of a folder by short names, sorted.

    Args:
        data: The folder.
        names: Short names to keep; all if empty.

    Raises:
        InputError: No folder, no image in it, none of a name, or two of one.
    """
    if not data.is_dir():
        raise InputError(f"There is no folder '{data}'.")
    found: dict[str, Path] = {}
    for path in sorted(data.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        before = found.setdefault(short_name(path), path)
        if before != path:
            raise InputError(f"'{before}' and '{path}' would both be called '{short_name(path)}'; rename one of them.")
    if not found:
        raise InputError(f"There is no image in '{data}'.")
    for name in names:
        if name not in found:
            raise InputError(f"There is no image '{name}' in '{data}': {', '.join(found)}.")
    return [(name, path) for name, path in found.items() if not names or name in names]


def run_suite(
    name: str,
    images: Sequence[tuple[str, Path]],
    how: Degradation,
    config: RestoreConfig,
    *,
    seeds: Sequence[int] = (0,),
    crop: int | None = None,
    colour: bool = False,
    sigma_factor: float = 1.0,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
) -> Iterator[Row]:
    """Restore each image with each seed and yield a row as soon as it is there.

    Args:
        name: The suite.
        images: Short names and files.
        how: The degradation; its seed is the data's, the same for every image.
        config: What restores.
        seeds: The restoration's seeds.
        crop: Side of a centre crop, to save time; the row says its size.
        colour: Whether colours are kept where the suite is published in grey.
        sigma_factor: Nominal noise level of the restoration as a multiple of the true one.
        device: Where.
        callbacks: More callbacks for every run.
    """
    for short, path in images:
        suite = replace(SUITES[name], grey=SUITES[name].grey and not colour)
        truth = read_truth(path, multiple=suite.multiple, grey=suite.grey, crop=crop)
        usual = crop is None and suite == SUITES[name] and sigma_factor == 1 and set(truth.shape[-2:]) <= SIDES
        published = of_image(short, how) if usual else None
        for seed in seeds:
            seeded = replace(config, seed=seed)
            trial = measure(short, truth, how, seeded, sigma_factor=sigma_factor, device=device, callbacks=callbacks)
            yield replace(trial.row, suite=name, published=published)


def measure(
    image: str,
    truth: torch.Tensor,
    how: Degradation,
    config: RestoreConfig,
    *,
    sigma_factor: float = 1.0,
    every: int = 20,
    keep: bool = False,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
) -> Trial:
    """Degrade an image, restore it once, and compare the result with the truth.

    Args:
        image: Its name.
        truth: The image, `(1, C, H, W)`.
        how: The degradation.
        config: What restores, with its seed.
        sigma_factor: Nominal noise level of the restoration as a multiple of the true one.
        every: Steps between two points of the curve.
        keep: Whether the oracle keeps the best step's image.
        device: Where.
        callbacks: More callbacks.

    Raises:
        KeyboardInterrupt: An interrupt (Ctrl-C).
    """
    y, operator = degrade(truth, how)
    sigma = None if how.nominal_sigma is None else sigma_factor * how.nominal_sigma

    def shown_of(x: torch.Tensor) -> torch.Tensor:
        return operator.crop_to_observed(operator.enforce_consistency(x, y, noisy=sigma is None or sigma > SIGMA_FLOOR))

    oracle = Oracle(operator.crop_to_observed(truth), how.task, shown_of, every=every, keep=keep)
    result = restore(y, operator, config=config, sigma=sigma, device=device, callbacks=[oracle, *callbacks])
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    baseline = metrics.psnr_for_task(operator.crop_to_observed(operator.initial_estimate(y)), oracle.truth, how.task)
    shown = replace(result, image=operator.crop_to_observed(result.image))
    return Trial(_row(image, shown, oracle, baseline), shown, oracle)


def _row(image: str, result: Result, oracle: Oracle, baseline: float) -> Row:
    truth, value = oracle.truth, metrics.psnr_for_task(result.image, oracle.truth, oracle.task)
    followed = oracle.step > 0 and result.fusion is None  # it sees neither tiles nor a fusion
    return Row(
        suite=oracle.task,
        image=image,
        size=f"{truth.shape[-1]}x{truth.shape[-2]}",
        channels=truth.shape[1],
        seed=result.config.seed,
        psnr=value,
        oracle_psnr=oracle.psnr if followed else None,
        ssim=metrics.ssim(result.image, truth),
        baseline_psnr=baseline,
        published=None,
        chosen_step=result.step,
        oracle_step=oracle.step if followed else None,
        steps=len(result.trace),
        seconds=round(result.timings.total, 2),
        status=result.message,
        curve=oracle.curve if followed else [],
    )


def read_truth(path: Path, *, multiple: int = 1, grey: bool = False, crop: int | None = None) -> torch.Tensor:
    """Return the middle of an image as ground truth, `(1, C, H, W)`, intensity in [0, 1].

    Args:
        path: The file.
        multiple: Its sides are cropped to multiples of this.
        grey: Whether colours become their mean.
        crop: The most pixels a side.

    Raises:
        InputError: Not an image, or a smaller one than `multiple`.
    """
    x = read_image(path).pixels
    if grey and x.shape[1] == 3:
        x = x.mean(dim=1, keepdim=True)
    return middle(x, str(path), multiple=multiple, crop=crop)


def middle(x: torch.Tensor, name: str, *, multiple: int = 1, crop: int | None = None) -> torch.Tensor:
    """Return the middle of an image.

    Args:
        x: `(1, C, H, W)`.
        name: What it is called, for the message.
        multiple: Its sides are cropped to multiples of this.
        crop: The most pixels a side.

    Raises:
        InputError: Less than `multiple` pixels would be left.
    """
    height, width = (min(side, crop or side) // multiple * multiple for side in x.shape[-2:])
    if min(height, width) < 1:
        cropped = f" cropped to {crop}" if crop and crop < min(x.shape[-2:]) else ""
        raise InputError(f"'{name}'{cropped} is smaller than {multiple} pixels.")
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width].contiguous()


def short_name(path: Path) -> str:
    """Return the name that the literature gives an image: `image_House256rgb.png` is "house"."""
    name = re.sub(r"^image_|_GT$|_?(256|512)(rgb)?$", "", path.stem)
    return name if name == "F16" else name.lower()
