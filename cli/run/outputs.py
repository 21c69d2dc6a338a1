"""The files that a restored image leaves: the image, the checkpoint and the page, written so that none is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from hybridprior.errors import ConfigError, OutputError
from hybridprior.evaluation.oracle import Oracle
from hybridprior.io.files import ImageData, write_atomically, write_image
from hybridprior.result import Result

from ..console import note
from ..files import WRITTEN, Item
from .request import Request
from .sidecar import Sidecar, is_record
from .white_level import unit

__all__ = ["Outputs", "or_restored", "without_interrupts"]


class Outputs:
    """The files next to one result."""

    def __init__(self, item: Item) -> None:
        """Set the names of the files.

        Args:
            item: The files of the image.
        """
        self.target = item.target
        self.sidecar = Sidecar.of(item.target)
        self.checkpoint = item.target.with_name(f"{item.target.name}.state")
        self.page = item.target.with_name(f"{item.target.name}.html")

    def existing(self, request: Request) -> Path | None:
        """Return an existing file that the run would replace, or None.

        A sidecar without its image is left by a run that was killed while it wrote, and does not count.

        Args:
            request: The request.
        """
        if not self.target.exists() and is_record(self.sidecar):
            return None
        not_written = {".state"}
        not_written |= set() if request.report else {".html"}
        not_written |= set() if request.uncertainty else {".std.png", ".std.tiff"}
        not_written |= set() if request.config.method == "fusion" else {".weights.png"}
        names = [f"{self.target.name}{ending}" for ending in ("", *WRITTEN) if ending not in not_written]
        return next((path for name in names if (path := self.target.with_name(name)).exists()), None)

    def read_checkpoint(self) -> dict[str, Any]:
        """Return the checkpoint of an interrupted run: "run" and "oracle".

        Raises:
            ConfigError: The file cannot be read.
        """
        try:
            checkpoint: dict[str, Any] = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            if checkpoint.keys() != {"run", "oracle"}:
                raise ValueError("not a checkpoint")
        except Exception as error:
            raise ConfigError(f"'{self.checkpoint}' cannot be read; delete it and start again.") from error
        return checkpoint

    def write_checkpoint(self, result: Result, oracle: Oracle | None) -> None:
        """Write the checkpoint of an interrupted run; print a note if it cannot be written.

        Args:
            result: The result.
            oracle: The oracle, if the ground truth is known.
        """
        if result.checkpoint is None:
            return
        buffer = io.BytesIO()
        torch.save({"run": result.checkpoint, "oracle": oracle.state_dict() if oracle else None}, buffer)
        try:
            write_atomically(self.checkpoint, buffer.getvalue())
        except OutputError as error:
            note(f"{error} The run cannot be resumed.")

    def write_image(self, result: Result, source: ImageData, request: Request) -> None:
        """Write the image after all other files, and delete the checkpoint of a finished run.

        Args:
            result: The result.
            source: The degraded image, whose alpha, ICC profile and depth are kept.
            request: The request.
        """
        icc = source.icc if result.image.shape[1] == source.pixels.shape[1] else None
        pixels, alpha = result.image * unit(request.white, source.depth), _alpha(result.image, source, request)
        write_image(self.target, dataclasses.replace(source, pixels=pixels, alpha=alpha, icc=icc))
        if result.checkpoint is None:
            self.checkpoint.unlink(missing_ok=True)

    def write_page(self) -> None:
        """Write the HTML page from the sidecar."""
        from hybridprior.evaluation.report import from_sidecar, render

        write_atomically(self.page, render(from_sidecar(self.sidecar)).encode(errors="backslashreplace"))


def _alpha(image: torch.Tensor, source: ImageData, request: Request) -> torch.Tensor | None:
    """Return the alpha channel in the size of the result, `(1, 1, H, W)`; None if alpha was the mask."""
    alpha, margin, size = source.alpha, request.outpaint, image.shape[-2:]
    if alpha is not None and margin:
        alpha = F.pad(alpha, (margin,) * 4, value=1.0)
    elif request.task == "inpaint" and request.mask is None and request.operator is None:
        return None
    if alpha is not None and alpha.shape[-2:] != size:
        alpha = F.interpolate(alpha, size=size, mode="bicubic", align_corners=False).clamp(0, 1)
    return alpha


@contextmanager
def or_restored(path: Path) -> Iterator[None]:
    """Restore a file, or delete it if it did not exist, if the block raises an error.

    Args:
        path: The file.
    """
    backup = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.before")  # unique among several images
    with contextlib.suppress(OSError):
        path.rename(backup)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        if backup.exists():
            backup.rename(path)
        raise
    backup.unlink(missing_ok=True)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C while files are written. Only the main thread receives the signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
