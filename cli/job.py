"""One picture of `hprior restore`, from its file to the result, the sidecar and the line on stdout."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import platform
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import torch
import torch.nn.functional as F

import hybridprior
from hybridprior import metrics
from hybridprior.config import RestoreConfig
from hybridprior.device import choose_device
from hybridprior.diagnosis import LEAVE, Diagnosis
from hybridprior.errors import ConfigError, HybridPriorError, InputError, OutputError, ShapeError
from hybridprior.imageio import Picture, check_format, read_picture, write_atomically, write_picture
from hybridprior.operators import Mask, Operator, Window
from hybridprior.operators.base import Shape
from hybridprior.oracle import Oracle
from hybridprior.records import finite, write_json
from hybridprior.restoration import restore
from hybridprior.result import Result, Status
from hybridprior.solver import Callback
from hybridprior.uncertainty import Uncertainty, restore_with_uncertainty

from .console import note, progress, say
from .examine import examined, write_unchanged
from .files import Item, beside, prepare
from .operator import operator_of
from .request import Request

__all__ = ["Job"]

MOST_PIXELS = 178_956_970
"""The size from which Pillow takes a picture for a bomb."""


class Job:
    """One picture to restore."""

    def __init__(self, request: Request, item: Item, *, bar: bool = True) -> None:
        """Take what was asked for, and of which picture, and whether to show its steps."""
        self.request, self.item, self.bar = request, item, bar
        self.diagnosis: Diagnosis | None = None
        self.sidecar = item.target.with_name(f"{item.target.name}.json")
        self.saved = item.target.with_name(f"{item.target.name}.state")
        self.page = item.target.with_name(f"{item.target.name}.html")

    def run(self) -> bool:
        """Restore the picture and write everything; return whether the run was interrupted."""
        resuming = self.request.resume and self.saved.exists()
        for path in (self.item.target, self.sidecar, *([self.page] if self.request.report else [])):
            if path.exists() and not self.request.overwrite and not resuming:
                hint = "--resume goes on with it" if self.saved.exists() else "--overwrite replaces it"
                self._say("skipped", f"'{path}' exists and is left as it is; {hint}.")
                return False
        self.request, self.diagnosis = examined(self.request, self.item, self.source)
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
        with progress(self.item.source.name, config.solver.steps, shown=shown) as callbacks:
            result = self._restore(config, [*callbacks, *([oracle] if oracle else [])], state["run"])
        result = dataclasses.replace(result, picture=self._completed(result.picture))
        with _undisturbed():
            self._write(result, oracle)
        if self.request.report:
            self._write_page()
        self._report(result, oracle)
        if result.status is Status.DIVERGED:
            raise InputError(f"'{self.item.target}' is not good. {result.message}")
        return result.status is Status.INTERRUPTED

    def _restore(self, config: RestoreConfig, callbacks: list[Callback], state: dict[str, Any] | None) -> Result:
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
                state=state,
            )
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error):
                raise
            raise InputError(f"'{self.item.source}' does not fit the memory; crop it, or use --device cpu.") from error

    @cached_property
    def source(self) -> Picture:
        """The degraded picture."""
        return read_picture(self.item.source, finite=self.request.task != "inpaint")

    @property
    def _shape(self) -> Shape:
        batch, channels, height, width = self.source.pixels.shape
        return batch, channels, height, width

    @property
    def _shown(self) -> Shape:
        """The result's shape."""
        batch, channels, height, width = self.operator.picture_shape(self._shape)
        shown = self.operator.frame(torch.empty(1, 1, height, width)).shape
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
        pixels = read_picture(path).pixels
        expected = self._shown
        if pixels.shape != expected:
            (h, w), (a, b) = pixels.shape[-2:], expected[-2:]
            raise ShapeError(f"The reference '{path}' is {w} x {h} x {pixels.shape[1]}, not {b} x {a} x {expected[1]}.")
        return pixels

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = torch.load(self.saved, weights_only=True, map_location="cpu")
            if state.keys() != {"run", "oracle"}:
                raise ValueError("not a state")
        except Exception as error:
            raise ConfigError(f"'{self.saved}' cannot be read; delete it and start again.") from error
        return state

    def failed(self, error: HybridPriorError) -> None:
        """Say that the picture could not be restored, and why."""
        named = str(self.item.source) in str(error) or str(self.item.target) in str(error)
        self._say("failed", str(error) if named else f"'{self.item.source}': {error}")

    def _say(self, status: str, message: str) -> None:
        note(message)
        if self.request.format == "json":
            figures = {"input": str(self.item.source), "output": str(self.item.target)}
            say(json.dumps({**figures, "status": status, "message": message}))

    def _completed(self, x: torch.Tensor) -> torch.Tensor:
        """Return what is shown of the picture; of an inpainted one without noise what was known is as it was."""
        return self._put_back(x, self.source.pixels)

    def _seen(self, x: torch.Tensor) -> torch.Tensor:
        """Return what would be shown of a step's picture."""
        return self._completed(self.operator.reconcile(x))

    def _put_back(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return what is shown of x, with y's pixels where they are known without noise."""
        x = self.operator.frame(x.cpu())
        if self.request.sigma or not isinstance(self.operator, Mask | Window):
            return x
        known = self.operator.known if isinstance(self.operator, Mask) else self.operator.known(y)
        return torch.where(known > 0, self.operator.adjoint(y), x)

    def _left_alone(self) -> bool:
        """Write the picture as it is, with the reason; return that nothing was interrupted."""
        assert self.diagnosis is not None  # nobody else says so
        prepare(self.item.target, 4 * self.source.pixels.numel())
        said = write_unchanged(self.item, self.source)
        figures = {
            "input": str(self.item.source),
            "output": str(self.item.target),
            "status": "unchanged",
            "message": f"{self.diagnosis.reason} {said}",
        }
        record = {**figures, "diagnosis": self.diagnosis.to_dict(), **self._asked()}
        write_json(self.sidecar, record)
        if self.request.report:
            self._write_page()
        if self.request.format == "json":
            say(json.dumps(figures))
        elif self.request.format == "human":
            say(f"{self.item.source} -> {self.item.target}: {said}")
        return False

    def _write(self, result: Result, oracle: Oracle | None) -> None:
        """Write the state, the sidecar and the picture, in this order: a picture alone is a finished one."""
        if result.state is not None:
            buffer = io.BytesIO()
            torch.save({"run": result.state, "oracle": oracle.state_dict() if oracle else None}, buffer)
            try:
                write_atomically(self.saved, buffer.getvalue())
            except OutputError as error:
                note(f"{error} The run cannot be resumed.")
        self._write_sidecar(result, oracle)
        alpha = None if self.request.task == "inpaint" and self.request.mask is None else self.source.alpha
        size = result.picture.shape[-2:]
        if alpha is not None and alpha.shape[-2:] != size:
            alpha = F.interpolate(alpha, size=size, mode="bicubic", align_corners=False).clamp(0, 1)
        icc = self.source.icc if result.picture.shape[1] == self.source.pixels.shape[1] else None
        write_picture(self.item.target, dataclasses.replace(self.source, pixels=result.picture, alpha=alpha, icc=icc))
        if result.state is None:
            self.saved.unlink(missing_ok=True)

    def _write_sidecar(self, result: Result, oracle: Oracle | None) -> None:
        figures = self._figures(result, oracle)
        trace = {
            "step": [point.step for point in result.trace],
            "energy": [point.energy for point in result.trace],
            "prior": [point.prior for point in result.trace],
            "score": [point.score for point in result.trace],
        }
        record = {**figures, **self._circumstances(result), "trace": trace}
        if self.diagnosis is not None:
            record["diagnosis"] = self.diagnosis.to_dict()
        if oracle is not None and oracle.curve:
            steps, _, values = zip(*oracle.curve, strict=True)
            record["oracle_trace"] = {"step": steps, "psnr": values}
        if result.fusion is not None:
            who = self.item.target.with_name(f"{self.item.target.name}.who.png")
            record["fusion"] = {**result.fusion.to_dict(), "map": who.name}
            write_picture(who, Picture(result.fusion.picture()))
        if result.uncertainty is not None:
            record["uncertainty"] = self._write_std(result.uncertainty)
        write_json(self.sidecar, record)

    def _write_page(self) -> None:
        """Write the page about this picture, from its sidecar."""
        from hybridprior.report import from_sidecar, render

        write_atomically(self.page, render(from_sidecar(self.sidecar)).encode())

    def _write_std(self, found: Uncertainty) -> dict[str, Any]:
        """Write the standard deviations, as a picture to look at and exactly; return the sidecar's record of them."""
        std = self._put_back(found.std, torch.zeros_like(self.source.pixels))  # what is known is certain
        top = max(float(std.max()), 1e-6)
        png, tiff = (self.item.target.with_name(f"{self.item.target.name}.std.{kind}") for kind in ("png", "tiff"))
        write_picture(png, Picture(std / top, depth="uint16"))
        write_picture(tiff, Picture(std, depth="float32"))
        return {**found.to_dict(), "map": png.name, "map_white": top, "exact": tiff.name}

    def _report(self, result: Result, oracle: Oracle | None) -> None:
        figures = self._figures(result, oracle)
        if self.request.format == "json":
            say(json.dumps(finite(figures)))
        elif self.request.format == "human":
            say(_sentence(figures))

    def _figures(self, result: Result, oracle: Oracle | None) -> dict[str, Any]:
        figures: dict[str, Any] = {
            "input": str(self.item.source),
            "output": str(self.item.target),
            "status": result.status.name.lower(),
            "message": result.message,
            "chosen_step": result.chosen_step,
            "steps": len(result.trace),
            "seconds": round(result.timings.total, 3),
            "sigma": round(result.sigma * 255, 4),
        }
        if self.truth is not None and oracle is not None:
            figures["psnr"] = metrics.psnr_for_task(result.picture, self.truth, self.request.task)
            figures["ssim"] = metrics.ssim(result.picture, self.truth)
            if oracle.step and result.fusion is None:  # it saw the local prior alone
                figures["oracle_psnr"], figures["oracle_step"] = oracle.psnr, oracle.step
            figures["psnr_on"] = metrics.judged_on(self.request.task)
        return figures

    def _circumstances(self, result: Result) -> dict[str, Any]:
        return {
            **self._asked(),
            "config": result.config.to_dict(),
            "seed": result.config.seed,
            "held_out": result.held_out,
            "device": str(choose_device(self.request.device)),
            "precision": result.precision,
            "threads": torch.get_num_threads(),
            "setup_seconds": round(result.timings.setup, 3),
        }

    def _asked(self) -> dict[str, Any]:
        return {
            "preset": self.request.preset,
            "request": {k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(self.request).items()},
            "versions": {
                "hybridprior": hybridprior.__version__,
                "torch": torch.__version__,
                "numpy": numpy.__version__,
                "python": platform.python_version(),
            },
        }


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no Ctrl-C come between the files that are being written."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _sentence(figures: Mapping[str, Any]) -> str:
    line = f"{figures['input']} -> {figures['output']}: step {figures['chosen_step']} of {figures['steps']} chosen, "
    line += f"{figures['seconds']:.1f} s, sigma {figures['sigma']:.3g}. {figures['message']}"
    if "psnr" in figures:
        line += f" PSNR {figures['psnr']:.2f} dB on {figures['psnr_on']}"
        if "oracle_step" in figures:
            line += f" (oracle {figures['oracle_psnr']:.2f} at step {figures['oracle_step']})"
        line += "."
    return line
