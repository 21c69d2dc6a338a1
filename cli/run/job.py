"""One image of `hprior restore`, from its file to the result, the sidecar and the line on stdout."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import math
import signal
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from hybridprior.analysis.diagnosis import LEAVE, Diagnosis
from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError, HybridPriorError, InputError, OutputError, ShapeError
from hybridprior.evaluation.oracle import Oracle
from hybridprior.fusion import FusionWeights
from hybridprior.io.files import ImageData, check_format, write_atomically, write_image
from hybridprior.io.records import finite
from hybridprior.operators import Crop, Mask, Operator
from hybridprior.operators.base import Shape
from hybridprior.restoration import restore
from hybridprior.result import Result, Status
from hybridprior.solvers.gradient import Callback
from hybridprior.uncertainty import restore_with_uncertainty

from ..console import note, progress, say
from ..files import WRITTEN, Item, beside, prepare
from .diagnose import diagnosed, write_unchanged
from .operator import operator_of
from .request import Request
from .sidecar import Sidecar, is_record, sentence
from .white_level import read_in_units, unit

__all__ = ["Job"]

log = logging.getLogger(__name__)

MOST_PIXELS = 178_956_970
"""The size from which Pillow takes an image for a bomb."""


class Job:
    """One image to restore."""

    def __init__(self, request: Request, item: Item, *, bar: bool = True) -> None:
        """Take what was asked for, and of which image, and whether to show its steps."""
        self.request, self.item, self.bar = request, item, bar
        self.diagnosis: Diagnosis | None = None
        self.sidecar = Sidecar.of(item.target)
        self.saved = item.target.with_name(f"{item.target.name}.state")
        self.page = item.target.with_name(f"{item.target.name}.html")

    def run(self) -> bool:
        """Restore the image and write everything; return whether the run was interrupted."""
        resuming = self.request.resume and self.saved.exists()
        if not resuming and not self.request.overwrite and (path := self._there()):
            hint = "--resume goes on with it" if self.saved.exists() else "--overwrite replaces it"
            self._say("skipped", f"'{path}' exists and is left as it is; {hint}.")
            return False
        self.request, self.diagnosis = diagnosed(self.request, self.item, self.source)
        if self.request.task == LEAVE:
            return self._left_alone()
        shape = self._shown
        if math.prod(shape[-2:]) > MOST_PIXELS:
            raise InputError(
                f"The result would have {shape[-1]} x {shape[-2]} pixels, more than can be restored at once."
            )
        check_format(self.item.target, shape)
        prepare(self.item.target, 4 * math.prod(shape))
        state = self._state() if resuming else {"run": None, "oracle": None}
        oracle = None if self.truth is None else Oracle(self.truth, self.request.task, self._seen)
        if oracle and state["oracle"]:
            oracle.load_state_dict(state["oracle"])
        config = self.request.config
        shown = self.bar and self.request.format != "quiet"
        with progress(self.item.source.name, config.solver.max_steps, shown=shown) as callbacks:
            result = self._restore(config, [*callbacks, *([oracle] if oracle else [])], state["run"])
        result = dataclasses.replace(result, image=self._completed(result.image), fusion=self._framed(result.fusion))
        sidecar = Sidecar(self.request, self.item, self.diagnosis)
        with _undisturbed():
            self._write_state(result, oracle)
            record = sidecar.record(result, self.truth, oracle)
            with _or_as_it_was(self.sidecar):
                sidecar.write(record, result, std=self._std(result))
                self._write_image(result)
        if self.request.report:
            self._write_page()
        figures = sidecar.shown(record)
        self._report(figures, sentence(figures, task=self.request.task))
        if result.status is Status.DIVERGED:
            raise InputError(f"'{self.item.target}' is not good. {result.message}")
        return result.status is Status.INTERRUPTED

    def _there(self) -> Path | None:
        """Return a file that is there already and would be replaced, if there is one.

        A record without its image is of a run that was killed while it wrote, and does not count.
        """
        if not self.item.target.exists() and is_record(self.sidecar):
            return None
        left_out = {".state"}
        left_out |= set() if self.request.report else {".html"}
        left_out |= set() if self.request.uncertainty else {".std.png", ".std.tiff"}
        left_out |= set() if self.request.config.method == "fusion" else {".weights.png"}
        names = [f"{self.item.target.name}{ending}" for ending in ("", *WRITTEN) if ending not in left_out]
        return next((path for name in names if (path := self.item.target.with_name(name)).exists()), None)

    def _restore(self, config: RestoreConfig, callbacks: list[Callback], checkpoint: dict[str, Any] | None) -> Result:
        route = restore_with_uncertainty if self.request.uncertainty else restore
        try:
            return route(
                self.source.pixels,
                self.operator,
                config=config,
                sigma=self.request.sigma,
                fidelity=self.request.fidelity,
                device=self.request.device,
                callbacks=callbacks,
                checkpoint=checkpoint,
            )
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error):
                raise
            raise InputError(f"'{self.item.source}' does not fit the memory; crop it, or use --device cpu.") from error

    @cached_property
    def source(self) -> ImageData:
        """The degraded image."""
        return read_in_units(self.item.source, self.request.white, finite=self.request.task != "inpaint")

    @property
    def _shape(self) -> Shape:
        batch, channels, height, width = self.source.pixels.shape
        return batch, channels, height, width

    @property
    def _shown(self) -> Shape:
        """The result's shape."""
        batch, channels, height, width = self.operator.image_shape(self._shape)
        shown = self.operator.crop_to_observed(torch.empty(1, 1, height, width, device="meta")).shape
        return batch, channels, shown[-2], shown[-1]

    @cached_property
    def operator(self) -> Operator:
        """What made it."""
        return operator_of(self.request, self.item, self.source)

    @cached_property
    def truth(self) -> torch.Tensor | None:
        """The ground truth, if one was named."""
        path = beside(self.request.reference, self.item, what="reference")
        if path is None:
            return None
        pixels = read_in_units(path, self.request.white).pixels
        expected = self._shown
        if pixels.shape != expected:
            (h, w), (a, b) = pixels.shape[-2:], expected[-2:]
            raise ShapeError(f"The reference '{path}' is {w} x {h} x {pixels.shape[1]}, not {b} x {a} x {expected[1]}.")
        return pixels

    def _state(self) -> dict[str, Any]:
        try:
            checkpoint: dict[str, Any] = torch.load(self.saved, weights_only=True, map_location="cpu")
            if checkpoint.keys() != {"run", "oracle"}:
                raise ValueError("not a state")
        except Exception as error:
            raise ConfigError(f"'{self.saved}' cannot be read; delete it and start again.") from error
        return checkpoint

    def failed(self, error: Exception) -> None:
        """Say that the image could not be restored, and why; of one among many that is all that comes of it."""
        said = str(error)
        if not isinstance(error, HybridPriorError):
            log.debug("'%s' failed", self.item.source, exc_info=error)
            said = f"{type(error).__name__}: {said}"
        named = str(self.item.source) in said or str(self.item.target) in said
        self._say("failed", said if named else f"'{self.item.source}': {said}")

    def _say(self, status: str, message: str) -> None:
        note(message)
        if self.request.format == "json":
            figures = {"input": str(self.item.source), "output": str(self.item.target)}
            say(json.dumps({**figures, "status": status, "message": message}))

    def _completed(self, x: torch.Tensor) -> torch.Tensor:
        """Return what is shown of the image; of an inpainted one without noise what was known is as it was."""
        return self._put_back(x, self.source.pixels)

    def _seen(self, x: torch.Tensor) -> torch.Tensor:
        """Return what would be shown of a step's image."""
        return self._completed(self.operator.enforce_consistency(x, self.source.pixels, noisy=self.request.noisy))

    def _put_back(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return what is shown of x, with y's pixels where they are known: without noise, unless that was named.

        The library believes the noise that it estimates; whoever marks a hole in an image wants the rest as it is.
        """
        x = self.operator.crop_to_observed(x.cpu())
        if not isinstance(self.operator, Mask | Crop):
            return x
        return self.operator.enforce_consistency(x, y, noisy=self.request.noisy)

    def _framed(self, fusion_weights: FusionWeights | None) -> FusionWeights | None:
        """Return the evidence with the map of what is shown."""
        return fusion_weights and dataclasses.replace(
            fusion_weights, map=self.operator.crop_to_observed(fusion_weights.map[None])[0]
        )

    def _left_alone(self) -> bool:
        """Write the image as it is, with the reason; return that nothing was interrupted."""
        assert self.diagnosis is not None  # nobody else says so
        prepare(self.item.target, 4 * self.source.pixels.numel())
        said = write_unchanged(self.item, self.source)
        figures = Sidecar(self.request, self.item, self.diagnosis).write_unchanged(f"{self.diagnosis.reason} {said}")
        if self.request.report:
            self._write_page()
        self._report(figures, f"{self.item.source} -> {self.item.target}: {said}")
        return False

    def _write_state(self, result: Result, oracle: Oracle | None) -> None:
        """Write what an interrupted run needs to go on."""
        if result.checkpoint is None:
            return
        buffer = io.BytesIO()
        torch.save({"run": result.checkpoint, "oracle": oracle.state_dict() if oracle else None}, buffer)
        try:
            write_atomically(self.saved, buffer.getvalue())
        except OutputError as error:
            note(f"{error} The run cannot be resumed.")

    def _write_image(self, result: Result) -> None:
        """Write the image, after all else: an image alone is a finished one."""
        alpha, margin, size = self.source.alpha, self.request.outpaint, result.image.shape[-2:]
        if alpha is not None and margin:
            alpha = F.pad(alpha, (margin,) * 4, value=1.0)
        elif self.request.task == "inpaint" and self.request.mask is None and self.request.operator is None:
            alpha = None  # it said what to fill in
        if alpha is not None and alpha.shape[-2:] != size:
            alpha = F.interpolate(alpha, size=size, mode="bicubic", align_corners=False).clamp(0, 1)
        icc = self.source.icc if result.image.shape[1] == self.source.pixels.shape[1] else None
        pixels = result.image * unit(self.request.white, self.source.depth)
        write_image(self.item.target, dataclasses.replace(self.source, pixels=pixels, alpha=alpha, icc=icc))
        if result.checkpoint is None:
            self.saved.unlink(missing_ok=True)

    def _write_page(self) -> None:
        """Write the page about this image, from its sidecar."""
        from hybridprior.evaluation.report import from_sidecar, render

        write_atomically(self.page, render(from_sidecar(self.sidecar)).encode(errors="backslashreplace"))

    def _std(self, result: Result) -> torch.Tensor | None:
        """Return the standard deviations of what is shown; what is known is certain."""
        if result.uncertainty is None:
            return None
        return self._put_back(result.uncertainty.std, torch.zeros_like(self.source.pixels))

    def _report(self, figures: Mapping[str, Any], line: str) -> None:
        """Say what was found, as figures or as a line."""
        if self.request.format == "json":
            say(json.dumps(finite(figures)))
        elif self.request.format == "human":
            say(line)


@contextmanager
def _or_as_it_was(path: Path) -> Iterator[None]:
    """Leave a file as it was, or without being, where what is written with it cannot be."""
    aside = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.before")  # two at a time may begin alike
    with contextlib.suppress(OSError):
        path.rename(aside)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        if aside.exists():
            aside.rename(path)
        raise
    aside.unlink(missing_ok=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no Ctrl-C come between the files that are being written; only the main thread is ever told of one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
