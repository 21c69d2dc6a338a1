"""Pages about restored images: from the sidecars that `hprior restore` writes, or from a `Result` in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridprior.errors import InputError
from hybridprior.evaluation.report.embed import Album, embed
from hybridprior.evaluation.report.page import Page, Run, Scene, Shown
from hybridprior.evaluation.report.records import group_of, inner, number, read_record, recipe, role, run_of, word
from hybridprior.evaluation.report.summary import trimmed
from hybridprior.evaluation.tables import Column, Table

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from hybridprior.result import Result

__all__ = ["Sidecar", "find_sidecars", "from_result", "from_sidecar", "from_sidecars"]

DEGRADED, TRUTH = "degraded", "truth"

SAME_SIZE = ("denoise", "inpaint", "dejpeg")
"""Tasks that leave an image as large as it is."""

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


@dataclass(frozen=True)
class Sidecar:
    """A record of `hprior restore`, and the result beside it."""

    result: Path
    """The restored image; it may be missing."""
    record: Mapping[str, Any]
    """What the sidecar says."""

    @property
    def task(self) -> str:
        """What was restored: "denoise", "sr", "inpaint"."""
        return word(inner(self.record, "request").get("task"))

    @property
    def parts(self) -> str:
        """f_theta and R in words; a clean image is left as it is."""
        config = inner(self.record, "config")
        return recipe(*_names(config), config.get("weight")) if config else "left as it is"

    def beside(self, text: object, results: Sequence[Path]) -> Path:
        """Return where a file named in the record lies: as it is named, or by its name near the result.

        Args:
            text: Its name, from wherever the restoration ran.
            results: Files that are results themselves and not meant.
        """
        named = Path(word(text))
        near = self.result.parent
        for path in (named, near / named, near.parent / named, near / named.name, near.parent / named.name):
            if path.is_file() and path.resolve() not in results:
                return path
        return named

    def truth(self, results: Sequence[Path]) -> Path | None:
        """Return the ground truth that the restoration was given, if any: the file, or the one of its name."""
        given = inner(self.record, "request").get("reference")
        if not word(given):
            return None
        if not Path(word(given)).is_dir():
            return self.beside(given, results)
        stem = Path(word(self.record.get("input"))).stem
        found = sorted(path for path in Path(word(given)).rglob("*") if path.stem == stem)
        return found[0] if found else Path(word(given)) / stem


def find_sidecars(folder: Path) -> list[Sidecar]:
    """Return the records of `hprior restore` in a folder and those below it, by name."""
    from hybridprior.io.files import SUFFIXES

    likely = [path for path in sorted(folder.rglob("*.json")) if Path(path.stem).suffix.lower() in SUFFIXES]
    return [sidecar for path in likely if (sidecar := _sidecar(path))]


def _sidecar(path: Path) -> Sidecar | None:
    record = read_record(path) or {}
    known = word(record.get("output")) and (inner(record, "config") or inner(record, "request"))
    return Sidecar(path.with_suffix(""), record) if known else None


def from_sidecar(path: str | os.PathLike[str]) -> Page:
    """Return the page about one restored image.

    Args:
        path: The sidecar OUT.json beside the result OUT.

    Raises:
        InputError: It is none, or cannot be read.
    """
    file = Path(path)
    sidecar = _sidecar(file)
    if sidecar is None:
        raise InputError(f"'{file}' is no record of a restored image.")
    return from_sidecars([sidecar], title=sidecar.result.name, folder=file.parent)


def from_sidecars(sidecars: Sequence[Sidecar], *, title: str, folder: Path) -> Page:
    """Return the page about restored images: a scene an input.

    Args:
        sidecars: The records.
        title: The heading.
        folder: Results are named by their place in it.
    """
    results = [each.result.resolve() for each in sidecars]
    inputs: dict[str, list[Sidecar]] = {}
    for each in sidecars:
        inputs.setdefault(word(each.record.get("input")), []).append(each)
    sources = [each.beside(each.record.get("input"), results) for each in sidecars]
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
    """Return the page about one restoration in memory.

    Args:
        result: What `restore` gave back.
        name: The image's name, which is the heading.
        degraded: What was restored, as `restore` takes it; shown if given.
        truth: The ground truth in the image's shape; shown if given, and compared with.
        task: "denoise", "sr" or "inpaint": it says how PSNR is measured.
        figures: What else is known, by the names of a sidecar: `oracle_psnr`, `oracle_step`, `seed`.

    Raises:
        ShapeError: The truth has another shape than the image.
    """
    from hybridprior import metrics
    from hybridprior.io.image import as_tensor

    record = {**_record(result), "seed": result.config.seed}
    if truth is not None:
        clean = as_tensor(truth).cpu()
        record["psnr"] = metrics.psnr_for_task(result.image, clean, task)
        record["ssim"] = metrics.ssim(result.image, clean)
        record["psnr_on"] = metrics.compared_channels(task)
    record |= figures or {}
    parts = recipe(*_names(record["config"]), result.config.weight)
    shown = [embed(as_tensor(degraded).cpu(), DEGRADED)] if degraded is not None else []
    shown.append(embed(result.image, "restored", note=_note(record, parts)))
    shown += [embed(clean, TRUTH)] if truth is not None else []
    map = None if result.fusion is None else embed(result.fusion.image(), "who helped")
    std = None
    if result.uncertainty is not None:
        white = float(result.uncertainty.std.max())
        std = embed(result.uncertainty.std / max(white, 1e-12), "standard deviation")
        record["uncertainty"] = {**result.uncertainty.to_dict(), "map_white": white}
    kind = role(*_names(record["config"]))
    run = run_of(record, name="restored", recipe=parts, role=kind, map=map, std=std)
    right = 1 if degraded is not None else 0
    return Page(name, (Scene(name, tuple(shown), (run,), right=right),), _headline(record))


def _record(result: Result) -> dict[str, Any]:
    """Return what a sidecar would say."""
    names = ("step", "energy", "prior", "score")
    return {
        "chosen_step": result.step,
        "steps": len(result.trace),
        "seconds": result.timings.total,
        "sigma": result.sigma * 255,
        "status": result.status.name.lower(),
        "message": result.message,
        "precision": result.precision,
        "config": result.config.to_dict(),
        "fusion": None if result.fusion is None else result.fusion.to_dict(),
        "trace": {name: [getattr(point, name) for point in result.trace] for name in names},
    }


def _scene(name: str, sidecars: Sequence[Sidecar], album: Album, results: Sequence[Path], folder: Path) -> Scene:
    """Return the scene of one input: degraded, what became of it, and the truth."""
    first = sidecars[0]
    source, clean = first.beside(first.record.get("input"), results), first.truth(results)
    before = album.take(source, DEGRADED, note=source.name)
    found = [_restored(each, album, folder) for each in sidecars]
    after = album.take(clean, TRUTH, note=clean.name) if clean else None
    sizes = {image.size for image, _ in found if image}
    if after and sizes and after.size not in sizes:
        album.missing.append(f"'{clean}' is of another size than what was restored, and not the truth of it.")
        after = None
    as_large = first.task in SAME_SIZE and not number(inner(first.record, "request").get("outpaint"))
    if before and sizes and as_large and before.size not in sizes:
        album.missing.append(f"'{source}' is of another size than what was restored, and not the image it was.")
        before = None
    known = [number(each.record.get("psnr")) or 0.0 for each, (shown, _) in zip(sidecars, found, strict=True) if shown]
    shown = [image for image in (before, *(image for image, _ in found), after) if image]
    right = (known.index(max(known)) if known else 0) + (before is not None)
    return Scene(name, tuple(shown), tuple(run for _, run in found), right=min(right, max(0, len(shown) - 1)))


def _restored(each: Sidecar, album: Album, folder: Path) -> tuple[Shown | None, Run]:
    name = _place(each.result, folder)
    shown = album.take(each.result, name, note=_note(each.record, each.parts))
    who = word(inner(each.record, "fusion").get("map"))
    map = album.take(each.result.with_name(who), "who helped") if who else None
    deviation = word(inner(each.record, "uncertainty").get("map"))
    std = album.take(each.result.with_name(deviation), "standard deviation") if deviation else None
    config = inner(each.record, "config")
    kind = role(*_names(config)) if config else "nothing"
    return shown, run_of(each.record, name=name, recipe=name, role=kind, map=map, std=std)


def _names(config: Mapping[str, Any]) -> tuple[object, object]:
    """Return the names of f_theta and R."""
    fused = config.get("method") == "fusion"
    return inner(config, "generator").get("name"), "auto" if fused else inner(config, "regulariser").get("name")


def _note(record: Mapping[str, Any], parts: str) -> str:
    psnr = number(record.get("psnr"))
    return f"{parts}, {psnr:.2f} dB" if psnr is not None else parts


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _headline(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the few figures that stand under the heading."""
    task, psnr = inner(record, "request").get("task"), number(record.get("psnr"))
    ssim, seconds = number(record.get("ssim")), number(record.get("seconds"))
    chosen, sigma = number(record.get("chosen_step")), number(record.get("sigma"))
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
    words = (_place(each.result, folder), Path(word(record.get("input"))).name, group_of(each.task, None), each.parts)
    keys = ("psnr", "ssim", "oracle_psnr", "chosen_step", "steps", "seconds")
    return (*words, *(number(record.get(key)) for key in keys), word(record.get("status")))
