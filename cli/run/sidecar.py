"""The sidecar: what `hprior restore` knows of an image beside its pixels, as JSON, and as a line to read.

It says what was asked for and with which versions, what was configured and found, the course of the run, and names the
images that lie beside it: who was believed where, and how certain each pixel is.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import torch

import hybridprior
from hybridprior import metrics
from hybridprior._internal.device import choose_device
from hybridprior.analysis.diagnosis import Diagnosis
from hybridprior.errors import OutputError
from hybridprior.evaluation.oracle import Oracle
from hybridprior.io.files import ImageData, write_image
from hybridprior.io.records import write_json
from hybridprior.result import Result

from ..console import note
from ..files import Item
from .request import Request

__all__ = ["Sidecar", "is_record", "sentence"]


class Sidecar:
    """The record of one image, and the images beside it."""

    def __init__(self, request: Request, item: Item, diagnosis: Diagnosis | None) -> None:
        """Take what was asked for, of which image, and what was found out about it."""
        self.request, self.item, self.diagnosis = request, item, diagnosis

    @staticmethod
    def of(target: Path) -> Path:
        """Return where the sidecar of a result lies."""
        return target.with_name(f"{target.name}.json")

    def figures(self, result: Result, truth: torch.Tensor | None, oracle: Oracle | None) -> dict[str, Any]:
        """Return the few figures that are also shown.

        Args:
            result: What was found.
            truth: `(1, C, H, W)`, if it is known.
            oracle: What saw each step beside the truth.
        """
        figures: dict[str, Any] = {
            **self._files(),
            "status": result.status.name.lower(),
            "message": result.message,
            "chosen_step": result.step,
            "steps": len(result.trace),
            "seconds": round(result.timings.total, 3),
            "sigma": round(result.sigma * 255, 4),
        }
        if truth is not None and oracle is not None:
            figures["psnr"] = metrics.psnr_for_task(result.image, truth, self.request.task)
            figures["ssim"] = metrics.ssim(result.image, truth)
            if oracle.step and result.config.method != "fusion":  # there it saw the local prior alone
                figures["oracle_psnr"], figures["oracle_step"] = oracle.psnr, oracle.step
            figures["psnr_on"] = metrics.compared_channels(self.request.task)
        return figures

    def write(
        self, figures: Mapping[str, Any], result: Result, *, oracle: Oracle | None, std: torch.Tensor | None
    ) -> None:
        """Write the record of a result, then who was believed where, and how certain each pixel is.

        A map that cannot be written is said, and the image not lost for it.

        Args:
            figures: What `figures` returned.
            result: What was found.
            oracle: What saw each step beside the truth.
            std: Standard deviations `(1, C, H, W)` in [0, 1], if they were asked for.
        """
        trace = {
            "step": [point.step for point in result.trace],
            "energy": [point.energy for point in result.trace],
            "prior": [point.prior for point in result.trace],
            "score": [point.score for point in result.trace],
        }
        record = {**figures, **self._circumstances(result), "trace": trace, **self._diagnosed()}
        if oracle is not None and oracle.curve:
            steps, _, values = zip(*oracle.curve, strict=True)
            record["oracle_trace"] = {"step": steps, "psnr": values}
        maps: dict[Path, ImageData] = {}
        if result.fusion is not None:
            weights = self._beside("weights.png")
            record["fusion"] = {**result.fusion.to_dict(), "map": weights.name}
            maps[weights] = ImageData(result.fusion.image())
        if result.uncertainty is not None and std is not None:
            png, tiff = self._beside("std.png"), self._beside("std.tiff")
            seen = std if std.shape[1] in (1, 3) else std.mean(1, keepdim=True)
            top = max(float(seen.max()), 1e-6)
            named = {"map": png.name, "map_white": top, "exact": tiff.name}
            record["uncertainty"] = {**result.uncertainty.to_dict(), **named}
            maps |= {png: ImageData(seen / top, depth="uint16"), tiff: ImageData(std, depth="float32")}
        write_json(self.of(self.item.target), record)
        for path, image in maps.items():
            try:
                write_image(path, image)
            except OutputError as error:
                note(str(error))

    def write_unchanged(self, message: str) -> dict[str, Any]:
        """Write the record of an image that is left as it is; return the figures that are also shown.

        Args:
            message: Why.
        """
        figures = {**self._files(), "status": "unchanged", "message": message}
        write_json(self.of(self.item.target), {**figures, **self._diagnosed(), **self._asked()})
        return figures

    def _beside(self, ending: str) -> Path:
        return self.item.target.with_name(f"{self.item.target.name}.{ending}")

    def _files(self) -> dict[str, str]:
        return {"input": str(self.item.source), "output": str(self.item.target)}

    def _diagnosed(self) -> dict[str, Any]:
        return {} if self.diagnosis is None else {"diagnosis": self.diagnosis.to_dict()}

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


def is_record(path: Path) -> bool:
    """Return whether a file is the record of an image.

    Args:
        path: It need not be there.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"input", "output", "status", "versions"} <= found.keys()


def sentence(figures: Mapping[str, Any], *, task: str) -> str:
    """Return the figures as a line to read.

    Args:
        figures: What `Sidecar.figures` returned.
        task: What was restored; a JPEG's error is no noise, though E has its sigma, too.
    """
    level = "JPEG's error" if task == "dejpeg" else "sigma"
    line = f"{figures['input']} -> {figures['output']}: step {figures['chosen_step']} of {figures['steps']} chosen, "
    line += f"{figures['seconds']:.1f} s, {level} {figures['sigma']:.3g}. {figures['message']}"
    if "psnr" in figures:
        line += f" PSNR {figures['psnr']:.2f} dB on {figures['psnr_on']}"
        if "oracle_step" in figures:
            line += f" (oracle {figures['oracle_psnr']:.2f} at step {figures['oracle_step']})"
        line += "."
    return line
