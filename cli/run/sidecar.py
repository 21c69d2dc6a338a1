"""The sidecar of `hprior restore`: the record of an image as JSON, and the maps next to it.

It contains the request, the versions, the configuration, the metrics and the trace, and names the maps: that of the
stacking weights, and that of the uncertainty.
"""

from __future__ import annotations

import dataclasses
import platform
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
from hybridprior.evaluation.record import Figures, RunRecord
from hybridprior.io.files import ImageData, write_image
from hybridprior.result import Result

from ..console import note
from ..files import Item
from .request import Request

__all__ = ["Sidecar", "is_record"]


class Sidecar:
    """The record of one image, and the maps next to it."""

    def __init__(self, request: Request, item: Item, diagnosis: Diagnosis | None) -> None:
        """Create the sidecar; nothing is written yet.

        Args:
            request: The request.
            item: The files of the image.
            diagnosis: The diagnosis of the image, if there is one.
        """
        self.request, self.item, self.diagnosis = request, item, diagnosis

    @staticmethod
    def of(target: Path) -> Path:
        """Return the path of the sidecar of a result.

        Args:
            target: The file of the result.
        """
        return target.with_name(f"{target.name}.json")

    def record(self, result: Result, truth: torch.Tensor | None, oracle: Oracle | None) -> RunRecord:
        """Return the record of a result.

        Args:
            result: The result.
            truth: The ground truth `(1, C, H, W)`, if it is known.
            oracle: The oracle that followed the run, if the ground truth is known.
        """
        figures, compared = Figures(), {}
        if truth is not None and oracle is not None:
            followed = oracle.step > 0 and result.config.method != "fusion"  # there it follows one candidate only
            figures = Figures(
                psnr=metrics.psnr_for_task(result.image, truth, self.request.task),
                ssim=metrics.ssim(result.image, truth),
                oracle_psnr=oracle.psnr if followed else None,
                oracle_step=oracle.step if followed else None,
            )
            compared = {"psnr_on": metrics.compared_channels(self.request.task)}
        return RunRecord.from_result(
            result,
            figures=figures,
            oracle_curve=oracle.curve if oracle is not None else (),
            details={**self._files(), **compared, **self._circumstances(result), **self._diagnosed()},
        )

    @staticmethod
    def shown(record: RunRecord) -> dict[str, Any]:
        """Return the figures of a record that are also printed."""
        names = ("input", "output", "psnr_on")
        details = {name: record.details[name] for name in names if name in record.details}
        return {**details, "status": record.status, "message": record.message, **record.figures.to_dict()}

    def write(self, record: RunRecord, result: Result, *, std: torch.Tensor | None) -> None:
        """Write the record of a result, the map of the stacking weights, and the map of the uncertainty.

        If a map cannot be written, a note is printed; the image is still written.

        Args:
            record: The record of the result.
            result: The result.
            std: Standard deviations `(1, C, H, W)` in [0, 1], if uncertainty was requested.
        """
        maps: dict[Path, ImageData] = {}
        if result.fusion is not None:
            weights = self._beside("weights.png")
            record = dataclasses.replace(record, fusion={**record.fusion, "map": weights.name})
            maps[weights] = ImageData(result.fusion.image())
        if result.uncertainty is not None and std is not None:
            png, tiff = self._beside("std.png"), self._beside("std.tiff")
            grey = std if std.shape[1] in (1, 3) else std.mean(1, keepdim=True)
            top = max(float(grey.max()), 1e-6)
            names = {"map": png.name, "map_white": top, "exact": tiff.name}
            record = dataclasses.replace(record, uncertainty={**record.uncertainty, **names})
            maps |= {png: ImageData(grey / top, depth="uint16"), tiff: ImageData(std, depth="float32")}
        record.write(self.of(self.item.target))
        for path, image in maps.items():
            try:
                write_image(path, image)
            except OutputError as error:
                note(str(error))

    def write_unchanged(self, message: str) -> dict[str, Any]:
        """Write the record of an image that is not changed; return the figures that are also printed.

        Args:
            message: The reason.
        """
        details = {**self._files(), **self._diagnosed(), **self._requested()}
        record = RunRecord("unchanged", message, details=details)
        record.write(self.of(self.item.target))
        return self.shown(record)

    def _beside(self, ending: str) -> Path:
        return self.item.target.with_name(f"{self.item.target.name}.{ending}")

    def _files(self) -> dict[str, str]:
        return {"input": str(self.item.source), "output": str(self.item.target)}

    def _diagnosed(self) -> dict[str, Any]:
        return {} if self.diagnosis is None else {"diagnosis": self.diagnosis.to_dict()}

    def _circumstances(self, result: Result) -> dict[str, Any]:
        return {
            **self._requested(),
            "held_out": result.held_out,
            "device": str(choose_device(self.request.device)),
            "threads": torch.get_num_threads(),
            "setup_seconds": round(result.timings.setup, 3),
        }

    def _requested(self) -> dict[str, Any]:
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
    """Return whether a file is the sidecar of an image.

    Args:
        path: The file; it need not exist.
    """
    record = RunRecord.read(path)
    return record is not None and bool(record.status) and {"input", "output", "versions"} <= record.details.keys()
