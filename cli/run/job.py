"""One image of `hprior restore`, from its file to the result, the sidecar and the line on stdout."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch

from hybridprior.analysis.diagnosis import LEAVE, Diagnosis
from hybridprior.errors import HybridPriorError, InputError, ShapeError
from hybridprior.evaluation.oracle import Oracle
from hybridprior.fusion import FusionWeights
from hybridprior.io.files import ImageData, check_format
from hybridprior.io.records import finite
from hybridprior.operators import Operator
from hybridprior.operators.base import Shape
from hybridprior.restoration import restore
from hybridprior.result import Result, Status
from hybridprior.solvers.base import Callback
from hybridprior.uncertainty import restore_with_uncertainty

from ..console import note, progress, say
from ..files import Item, beside, prepare
from .diagnose import diagnosed, write_unchanged
from .message import described
from .operator import operator_of
from .outputs import Outputs, or_restored, without_interrupts
from .request import Request
from .sidecar import Sidecar
from .white_level import read_in_units

__all__ = ["Job"]

log = logging.getLogger(__name__)

MAX_PIXELS = 178_956_970
"""Number of pixels from which Pillow refuses to read an image as a decompression bomb."""


class Job:
    """One image to restore."""

    def __init__(self, request: Request, item: Item, *, bar: bool = True) -> None:
        """Create the job.

        Args:
            request: The request.
            item: The files of the image.
            bar: Whether to show a progress bar.
        """
        self.request, self.item, self.bar = request, item, bar
        self.diagnosis: Diagnosis | None = None
        self.outputs = Outputs(item)

    def run(self) -> bool:
        """Restore the image and write all files; return whether the run was interrupted.

        Raises:
            HybridPriorError: The image cannot be restored, or the run diverged.
        """
        resuming = self.request.resume and self.outputs.checkpoint.exists()
        if not resuming and not self.request.overwrite and (path := self.outputs.existing(self.request)):
            hint = "--resume continues the run" if self.outputs.checkpoint.exists() else "--overwrite replaces it"
            self._print("skipped", f"'{path}' exists and is left as it is; {hint}.")
            return False
        self.request, self.diagnosis = diagnosed(self.request, self.item, self.source)
        if self.request.task == LEAVE:
            return self._unchanged()
        self._check_output()
        checkpoint = self.outputs.read_checkpoint() if resuming else {"run": None, "oracle": None}
        oracle = None if self.truth is None else Oracle(self.truth, self.request.task, self._visible)
        if oracle and checkpoint["oracle"]:
            oracle.load_state_dict(checkpoint["oracle"])
        result = self._restore(oracle, checkpoint["run"])
        figures = self._write(result, oracle)
        inpainted = self.operator.known_pixels(self.source.pixels) is not None
        denoised, verbose = self.request.noisy or not inpainted, self.request.verbose
        self._report(figures, described(figures, task=self.request.task, denoised=denoised, verbose=verbose))
        if result.status is Status.DIVERGED:
            raise InputError(f"'{self.item.target}' is not usable. {result.message}")
        return result.status is Status.INTERRUPTED

    def failed(self, error: Exception) -> None:
        """Print that the image could not be restored, and why; the other images of the batch continue.

        Args:
            error: The reason.
        """
        message = str(error)
        if not isinstance(error, HybridPriorError):
            log.debug("'%s' failed", self.item.source, exc_info=error)
            message = f"{type(error).__name__}: {message}"
        named = str(self.item.source) in message or str(self.item.target) in message
        self._print("failed", message if named else f"'{self.item.source}': {message}")

    def _check_output(self) -> None:
        """Raise an error if the result would be too large, or cannot be written."""
        height, width = self._visible_shape[-2:]
        if height * width > MAX_PIXELS:
            raise InputError(f"The result would have {width} x {height} pixels, more than can be restored at once.")
        check_format(self.item.target, self._visible_shape)
        prepare(self.item.target, 4 * math.prod(self._visible_shape))

    def _restore(self, oracle: Oracle | None, checkpoint: dict[str, Any] | None) -> Result:
        """Return the result, with image and stacking weights as they are written."""
        shown, config = self.bar and self.request.format != "quiet", self.request.config
        with progress(self.item.source.name, config.solver.max_steps, shown=shown) as bar:
            result = self._solved([*bar, *([oracle] if oracle else [])], checkpoint)
        image = self._with_known_pixels(result.image, self.source.pixels)
        return dataclasses.replace(result, image=image, fusion=self._cropped(result.fusion))

    def _solved(self, callbacks: list[Callback], checkpoint: dict[str, Any] | None) -> Result:
        route = restore_with_uncertainty if self.request.uncertainty else restore
        try:
            return route(
                self.source.pixels,
                self.operator,
                config=self.request.config,
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

    def _write(self, result: Result, oracle: Oracle | None) -> dict[str, Any]:
        """Write all files; return the figures that are printed."""
        sidecar = Sidecar(self.request, self.item, self.diagnosis)
        with without_interrupts():
            self.outputs.write_checkpoint(result, oracle)
            record = sidecar.record(result, self.truth, oracle)
            with or_restored(self.outputs.sidecar):
                sidecar.write(record, result, std=self._std(result))
                self.outputs.write_image(result, self.source, self.request)
        if self.request.report:
            self.outputs.write_page()
        return sidecar.shown(record)

    def _unchanged(self) -> bool:
        """Write the image without changes; return that the run was not interrupted."""
        assert self.diagnosis is not None  # the task "leave" comes from the diagnosis
        prepare(self.item.target, 4 * self.source.pixels.numel())
        message = write_unchanged(self.item, self.source)
        sidecar = Sidecar(self.request, self.item, self.diagnosis)
        figures = sidecar.write_unchanged(f"{self.diagnosis.reason} {message}")
        if self.request.report:
            self.outputs.write_page()
        self._report(figures, f"{self.item.target} written. {message}")
        return False

    @cached_property
    def source(self) -> ImageData:
        """The degraded image."""
        return read_in_units(self.item.source, self.request.white, finite=self.request.task != "inpaint")

    @cached_property
    def operator(self) -> Operator:
        """The operator A."""
        return operator_of(self.request, self.item, self.source)

    @cached_property
    def truth(self) -> torch.Tensor | None:
        """The ground truth, `(1, C, H, W)`, if it is given."""
        path = beside(self.request.reference, self.item, what="reference")
        if path is None:
            return None
        pixels = read_in_units(path, self.request.white).pixels
        expected = self._visible_shape
        if pixels.shape != expected:
            (h, w), (a, b) = pixels.shape[-2:], expected[-2:]
            raise ShapeError(
                f"The reference '{path}' has {w} x {h} pixels and {pixels.shape[1]} channels, "
                f"but the result has {b} x {a} and {expected[1]}."
            )
        return pixels

    @property
    def _visible_shape(self) -> Shape:
        """The shape of the written image."""
        b, c, h, w = self.source.pixels.shape
        batch, channels, height, width = self.operator.image_shape((b, c, h, w))
        cropped = self.operator.crop_to_observed(torch.empty(1, 1, height, width, device="meta")).shape
        return batch, channels, cropped[-2], cropped[-1]

    def _visible(self, x: torch.Tensor) -> torch.Tensor:
        """Return the image that would be written for a step's image."""
        x = self.operator.enforce_consistency(x, self.source.pixels, noisy=self.request.noisy)
        return self._with_known_pixels(x, self.source.pixels)

    def _with_known_pixels(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the written part of x, with the known pixels of y unless the options state that they are noisy.

        The library uses the estimated noise level instead, but a user who masks a hole expects the other pixels
        unchanged.
        """
        x = self.operator.crop_to_observed(x.cpu())
        if self.operator.known_pixels(y) is None:
            return x
        return self.operator.enforce_consistency(x, y, noisy=self.request.noisy)

    def _cropped(self, weights: FusionWeights | None) -> FusionWeights | None:
        """Return the stacking weights of the written part of the image."""
        return weights and dataclasses.replace(weights, map=self.operator.crop_to_observed(weights.map[None])[0])

    def _std(self, result: Result) -> torch.Tensor | None:
        """Return the standard deviations of the written image; 0 for known pixels."""
        if result.uncertainty is None:
            return None
        return self._with_known_pixels(result.uncertainty.std, torch.zeros_like(self.source.pixels))

    def _print(self, status: str, message: str) -> None:
        """Print a note, and in the format json a line with a status."""
        note(message)
        if self.request.format == "json":
            figures = {"input": str(self.item.source), "output": str(self.item.target)}
            say(json.dumps({**figures, "status": status, "message": message}))

    def _report(self, figures: Mapping[str, Any], line: str) -> None:
        """Print the figures as JSON, or the line."""
        if self.request.format == "json":
            say(json.dumps(finite(figures)))
        elif self.request.format == "human":
            say(line)
