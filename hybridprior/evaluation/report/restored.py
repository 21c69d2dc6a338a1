"""Pages about restored images, from the sidecars of `hprior restore` or from a `Result`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridprior.errors import InputError
from hybridprior.evaluation.record import Figures, RunRecord
from hybridprior.evaluation.report.embed import Album, embed
from hybridprior.evaluation.report.page import Page, Run, Scene, Shown
from hybridprior.evaluation.report.runs import component_names, group_of, recipe, role, run_of
from hybridprior.evaluation.report.sidecars import Sidecar, read_sidecar
from hybridprior.evaluation.report.summary import trimmed
from hybridprior.evaluation.tables import Column, Table
from hybridprior.evaluation.values import number, word

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from hybridprior.result import Result

__all__ = ["from_result", "from_sidecar", "from_sidecars"]

DEGRADED, TRUTH = "degraded", "truth"

SAME_SIZE = ("denoise", "inpaint", "dejpeg")
"""Tasks that do not change the size of an image."""

COLUMNS = (
    Column("result"),
    Column("input"),
    Column("task"),
    Column("parts"),
    Column("PSNR", 2, "dB"),
    Column("SSIM", 4),
    Column("oracle PSNR", 2, "dB"),
    Column("chosen step", 0),
    Column("steps", 0),
    Column("time", 1, "s"),
    Column("status"),
)


def from_sidecar(path: str | os.PathLike[str]) -> Page:
    """Return the page about one restored image.

    Args:
        path: The sidecar OUT.json of the result OUT.

    Raises:
        InputError: The file is not a sidecar, or cannot be read.
    """
    file = Path(path)
    sidecar = read_sidecar(file)
    if sidecar is None:
        raise InputError(f"'{file}' is not the sidecar of a restored image. Give the file OUT.json of a result OUT.")
    return from_sidecars([sidecar], title=sidecar.result.name, folder=file.parent)


def from_sidecars(sidecars: Sequence[Sidecar], *, title: str, folder: Path) -> Page:
    """Return the page about restored images: a scene for each input.

    Args:
        sidecars: The records.
        title: The heading.
        folder: The folder; results are named by their path in it.
    """
    results = [each.result.resolve() for each in sidecars]
    inputs: dict[str, list[Sidecar]] = {}
    for each in sidecars:
        inputs.setdefault(each.record.word("input"), []).append(each)
    sources = [each.beside(each.record.word("input"), results) for each in sidecars]
    truths = [path for each in sidecars if (path := each.truth(results))]
    album = Album([*results, *sources, *truths])
    short = {Path(name).name for name in inputs}
    scenes = [
        _scene(Path(name).name if len(short) == len(inputs) else name, some, album, results, folder)
        for name, some in inputs.items()
    ]
    table, same = trimmed(Table("Results", COLUMNS, tuple(_row(each, folder) for each in sidecars)))
    single = len(sidecars) == 1
    return Page(
        title=title,
        scenes=tuple(scenes),
        facts=_headline(sidecars[0].record) if single else (("results", str(len(sidecars))), *same),
        tables=() if single else (table,),
        missing=tuple(dict.fromkeys(album.missing)),
        compressed=not album.lossless,
    )


def from_result(
    result: Result,
    *,
    name: str = "image",
    degraded: torch.Tensor | np.ndarray | Image.Image | None = None,
    truth: torch.Tensor | np.ndarray | Image.Image | None = None,
    task: str = "denoise",
    figures: Mapping[str, Any] | None = None,
) -> Page:
    """Return the page about a result.

    Args:
        result: The result of `restore`.
        name: Name of the image, which is the heading.
        degraded: The degraded image, as for `restore`; shown if given.
        truth: The ground truth in the shape of the image; shown and compared if given.
        task: The task, which decides how PSNR is computed.
        figures: Other figures by their names in a sidecar: `oracle_psnr`, `oracle_step`.

    Raises:
        ShapeError: The truth has another shape than the image.

    Example:
        >>> import torch
        >>> from hybridprior import restore
        >>> result = restore(torch.rand(1, 1, 16, 16), sigma=0.1, preset="fast", max_steps=2, regulariser="none")
        >>> from_result(result, name="random").title
        'random'
    """
    from hybridprior import metrics
    from hybridprior.io.image import as_tensor

    scores: dict[str, Any] = dict(figures or {})
    compared = {}
    if truth is not None:
        clean = as_tensor(truth).cpu()
        scores["psnr"] = metrics.psnr_for_task(result.image, clean, task)
        scores["ssim"] = metrics.ssim(result.image, clean)
        compared["psnr_on"] = metrics.compared_channels(task)
    record = RunRecord.from_result(result, figures=Figures.from_dict(scores), details=compared)
    parts = recipe(*component_names(record), result.config.weight)
    shown = [embed(as_tensor(degraded).cpu(), DEGRADED)] if degraded is not None else []
    shown.append(embed(result.image, "restored", note=_note(record, parts)))
    shown += [embed(clean, TRUTH)] if truth is not None else []
    map = None if result.fusion is None else embed(result.fusion.image(), "stacking weights")
    std = None
    if result.uncertainty is not None:
        white = float(result.uncertainty.std.max())
        std = embed(result.uncertainty.std / max(white, 1e-12), "standard deviation")
        record = replace(record, uncertainty={**record.uncertainty, "map_white": white})
    kind = role(*component_names(record))
    run = run_of(record, name="restored", recipe=parts, role=kind, map=map, std=std)
    right = 1 if degraded is not None else 0
    return Page(name, (Scene(name, tuple(shown), (run,), right=right),), _headline(record))


def _scene(name: str, sidecars: Sequence[Sidecar], album: Album, results: Sequence[Path], folder: Path) -> Scene:
    """Return the scene of one input: the degraded image, the results, and the truth."""
    first = sidecars[0]
    source, clean = first.beside(first.record.word("input"), results), first.truth(results)
    before = album.take(source, DEGRADED, note=source.name)
    found = [_restored(each, album, folder) for each in sidecars]
    after = album.take(clean, TRUTH, note=clean.name) if clean else None
    sizes = {image.size for image, _ in found if image}
    if after and sizes and after.size not in sizes:
        album.missing.append(f"'{clean}' has another size than the result, so it is not shown as its ground truth.")
        after = None
    as_large = first.task in SAME_SIZE and not number(first.record.inner("request").get("outpaint"))
    if before and sizes and as_large and before.size not in sizes:
        album.missing.append(f"'{source}' has another size than the result, so it is not shown as its input.")
        before = None
    known = [each.record.figures.psnr or 0.0 for each, (shown, _) in zip(sidecars, found, strict=True) if shown]
    shown = [image for image in (before, *(image for image, _ in found), after) if image]
    right = (known.index(max(known)) if known else 0) + (before is not None)
    return Scene(name, tuple(shown), tuple(run for _, run in found), right=min(right, max(0, len(shown) - 1)))


def _restored(each: Sidecar, album: Album, folder: Path) -> tuple[Shown | None, Run]:
    name = _place(each.result, folder)
    shown = album.take(each.result, name, note=_note(each.record, each.parts))
    weights = word(each.record.fusion.get("map"))
    map = album.take(each.result.with_name(weights), "stacking weights") if weights else None
    deviation = word(each.record.uncertainty.get("map"))
    std = album.take(each.result.with_name(deviation), "standard deviation") if deviation else None
    kind = role(*component_names(each.record)) if each.record.config else "nothing"
    return shown, run_of(each.record, name=name, recipe=name, role=kind, map=map, std=std)


def _note(record: RunRecord, parts: str) -> str:
    psnr = record.figures.psnr
    return f"{parts}, {psnr:.2f} dB" if psnr is not None else parts


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _headline(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """Return the figures under the heading."""
    task, figures = record.inner("request").get("task"), record.figures
    psnr, ssim, seconds = figures.psnr, figures.ssim, figures.seconds
    chosen, sigma = figures.chosen_step, figures.sigma
    found = {
        "task": group_of(task, None) or None,
        "PSNR": None if psnr is None else f"{psnr:.2f} dB",
        "SSIM": None if ssim is None else f"{ssim:.3f}",
        "sigma": None if sigma is None else f"{sigma:.3g} / 255",
        "chosen step": None if chosen is None else f"{chosen:,.0f}",
        "time": None if seconds is None else f"{seconds:.1f} s",
    }
    return tuple((name, value) for name, value in found.items() if value)


def _row(each: Sidecar, folder: Path) -> tuple[str | float | None, ...]:
    record = each.record
    words = (_place(each.result, folder), Path(record.word("input")).name, group_of(each.task, None), each.parts)
    keys = ("psnr", "ssim", "oracle_psnr", "chosen_step", "steps", "seconds")
    return (*words, *(getattr(record.figures, key) for key in keys), record.status)
