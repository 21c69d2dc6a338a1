"""Large images tile by tile: each tile is a problem of its own, and overlapping tiles are blended.

The gradient of E needs every feature map of f_theta at once, so that memory grows with the pixels. Tiles overlap, and
are weighted by windows that fall to 0 at their inner borders and add up to 1. They share the noise level, theta's start
and the rule, which each of them applies on its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hybridprior._internal.interrupt import interruptible
from hybridprior.config import RestoreConfig, TileConfig
from hybridprior.errors import ConfigError, InputError
from hybridprior.fusion_weights import FusionWeights
from hybridprior.operators.base import Box
from hybridprior.problem import Problem
from hybridprior.result import Result, Status, Step, Timings, TracePoint
from hybridprior.solvers.base import Callback
from hybridprior.solvers.canvas import Canvas
from hybridprior.solvers.fingerprint import agree, fingerprint
from hybridprior.solvers.tile_weights import join

__all__ = ["lay_out", "restore_tiles"]

NOTED = ("step", "sigma", "precision", "held_out")
"""What is known of a finished tile besides its image, status, trace and timings."""

Solve = Callable[[Problem, Sequence[Callback], Mapping[str, Any] | None], Result]


def lay_out(shape: Sequence[int], config: TileConfig, multiple: int) -> list[Box]:
    """Return tiles that cover an image, row by row and evenly spread.

    Args:
        shape: `(1, C, H, W)` of the image.
        config: Side and overlap.
        multiple: Corners and sides are multiples of this number, if the image's sides are.
    """
    rows, columns = (_stretches(length, config, multiple) for length in shape[-2:])
    return [Box(top, left, height, width) for top, height in rows for left, width in columns]


def restore_tiles(
    problem: Problem,
    config: RestoreConfig,
    boxes: Sequence[Box],
    solve: Solve,
    *,
    identity: Mapping[str, str] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Mapping[str, Any] | None = None,
) -> Result:
    """Restore an image tile by tile.

    Args:
        problem: The whole image's.
        config: What runs, for the result.
        boxes: What `lay_out` returned.
        solve: Restores one tile, given callbacks and a saved state.
        identity: Hashes of the components, which a checkpoint has to agree with.
        callbacks: Called with each tile's steps, which say what tile it is.
        checkpoint: `Result.checkpoint` of an interrupted run.
    """
    done, results, pending = _begun(checkpoint, problem, config, identity or {})
    places = [box for box in boxes[: len(done)] if _tile(problem, box) is not None]
    initial = problem.operator.initial_estimate(problem.y).cpu()
    with interruptible() as interrupted:
        for number in range(len(done), len(boxes)):
            numbered = [_numbered(callback, number + 1, len(boxes)) for callback in callbacks]
            part = _tile(problem, boxes[number])
            if part is None:
                done.append(boxes[number].of(initial).clone())
                continue
            result, pending = solve(part, numbered, pending), None
            results.append(result)
            places.append(boxes[number])
            if result.status is Status.INTERRUPTED:
                break
            done.append(result.image)
            if interrupted.is_set() and len(done) < len(boxes):
                break
    canvas = Canvas(problem.shape, config.tiles.overlap)
    for box, tile in zip(boxes, done, strict=False):
        canvas.add(box, tile)
    unfinished = None
    if len(done) < len(boxes):
        mark = {**fingerprint(problem, config, {}), **(identity or {})}
        unfinished = _checkpoint(done, results, config.tiles.side, mark)
        if results[-1].checkpoint is not None:
            canvas.add(boxes[len(done)], results[-1].image)
        canvas.fill(initial)
    whole = _joined(canvas.image(), results, boxes, config, problem.fidelity.sigma, unfinished)
    return whole if unfinished else _with_fusion_weights(whole, places, results)


def _checkpoint(
    done: Sequence[torch.Tensor], results: Sequence[Result], side: int, mark: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what an interrupted run continues from: finished tiles, and the state of the unfinished one."""
    last = results[-1]
    finished = results[:-1] if last.checkpoint is not None else results
    return {
        "tiles": list(done),
        "results": [_noted(result) for result in finished],
        "run": last.checkpoint,
        "side": side,
        "mark": mark,
    }


def _begun(
    checkpoint: Mapping[str, Any] | None, problem: Problem, config: RestoreConfig, identity: Mapping[str, str]
) -> tuple[list[torch.Tensor], list[Result], Mapping[str, Any] | None]:
    """Return the finished tiles of an interrupted run, the record of each, and the state of the unfinished one."""
    if checkpoint is None:
        return [], [], None
    if checkpoint.keys() != {"tiles", "results", "run", "side", "mark"}:
        raise ConfigError("This is not the saved state of a run in tiles; start a new one.")
    agree(checkpoint["mark"], {**fingerprint(problem, config, {}), **identity})
    return list(checkpoint["tiles"]), [_loaded(note, config) for note in checkpoint["results"]], checkpoint["run"]


def _noted(result: Result) -> dict[str, Any]:
    """Return the record of a finished tile without its image, as plain values."""
    return {
        "status": result.status.name,
        "trace": [dataclasses.astuple(point) for point in result.trace],
        "timings": dataclasses.astuple(result.timings),
        **{name: getattr(result, name) for name in NOTED},
        "fusion": None if result.fusion is None else vars(result.fusion).copy(),
    }


def _loaded(note: Mapping[str, Any], config: RestoreConfig) -> Result:
    """Return a finished tile's result, without its image."""
    return Result(
        image=torch.empty(0),
        status=Status[note["status"]],
        message="",
        trace=tuple(TracePoint(*point) for point in note["trace"]),
        config=config,
        timings=Timings(*note["timings"]),
        **{name: note[name] for name in NOTED},
        fusion=FusionWeights(**note["fusion"]) if note.get("fusion") else None,
    )


def _stretches(length: int, config: TileConfig, multiple: int) -> list[tuple[int, int]]:
    """Return (start, length) of evenly spaced intervals that cover a side."""
    side = config.side // multiple * multiple
    if not side or length <= side:
        return [(0, length)]
    count = math.ceil((length - config.overlap) / (side - config.overlap))
    starts = [round(i * (length - side) / (count - 1) / multiple) * multiple for i in range(count - 1)]
    starts.append(math.ceil((length - side) / multiple) * multiple)  # the last one reaches the end, whatever the grid
    return [(start, min(side, length - start)) for start in starts]


def _tile(problem: Problem, box: Box) -> Problem | None:
    """Return the problem of a part, or None where at most one pixel was measured."""
    try:
        tile = problem.tile(box)
    except InputError:
        return None
    return tile if tile.pixels > 1 or problem.pixels < 2 else None


def _numbered(callback: Callback, number: int, count: int) -> Callback:
    def tell(step: Step) -> None:
        callback(dataclasses.replace(step, tile=(number, count)))

    return tell


def _joined(
    image: torch.Tensor,
    results: Sequence[Result],
    boxes: Sequence[Box],
    config: RestoreConfig,
    sigma: float,
    checkpoint: dict[str, Any] | None,
) -> Result:
    """Return the tiles' results as one."""
    found = {result.status for result in results} | ({Status.INTERRUPTED} if checkpoint is not None else set())
    order = (Status.INTERRUPTED, Status.DIVERGED, Status.STOPPED)
    status = next((status for status in order if status in found), Status.FINISHED)
    chosen = [result.step for result in results] or [0]
    height, width = max(box.height for box in boxes), max(box.width for box in boxes)
    message = f"{status.value} In {len(boxes)} tiles of {width} x {height}, at steps {min(chosen)} to {max(chosen)}."
    return Result(
        image=image,
        step=round(sum(chosen) / len(chosen)),
        status=status,
        message=message,
        trace=tuple(point for result in results for point in result.trace),
        config=config,
        sigma=sigma,
        timings=Timings(sum(r.timings.setup for r in results), sum(r.timings.steps for r in results)),
        precision=results[0].precision if results else "",
        held_out=max((result.held_out for result in results), default=0.0),
        checkpoint=checkpoint,
    )


def _with_fusion_weights(whole: Result, places: Sequence[Box], results: Sequence[Result]) -> Result:
    """Return the result with the stacking weights of all tiles, where each has its own."""
    found = [(box, result.fusion) for box, result in zip(places, results, strict=True) if result.fusion is not None]
    if not found or len(found) < len(results):
        return whole
    fusion_weights = join(found, whole.image.shape, whole.config.tiles.overlap)
    said = (
        "The noise is correlated, no measurements are independent"
        if fusion_weights.kind == "none"
        else "Stacking weights"
    )
    message = f"{whole.message} {said}: {fusion_weights.shares} (tile by tile)."
    return dataclasses.replace(whole, fusion=fusion_weights, message=message)
