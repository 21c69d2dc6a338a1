"""Several images at a time on a GPU: a thread and a stream of kernels for each, in one process.

The kernels of a network for one image leave most of a GPU idle. Those of several streams run side by side, which
those of several processes do not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import torch

from hybridprior._internal.device import choose_device
from hybridprior._internal.interrupt import interrupt, interruptible

from ..console import images, note
from ..files import Item
from .job import Job
from .request import Request

__all__ = ["run_all"]

OWN = threading.local()
"""The stream of each thread."""


def run_all(request: Request, items: Sequence[Item], *, jobs: int) -> tuple[int, bool]:
    """Restore images side by side; return how many failed, and whether Ctrl-C ended it.

    Args:
        request: What was asked for, on a GPU.
        items: The images.
        jobs: Threads.
    """
    shown, outcomes = request.format != "quiet", []
    start = (choose_device(request.device),)
    with interruptible() as stop, ThreadPoolExecutor(jobs, "stream", _begin, start) as pool:
        try:
            with images(len(items), shown) as advance:
                for future in as_completed([pool.submit(_work, request, item, stop) for item in items]):
                    outcomes.append(future.result())
                    advance()
        except BaseException:
            interrupt()  # else the others would go on to their end
            raise
    if "interrupted" in outcomes:
        note("interrupted; the images at work are saved")
    return outcomes.count("failed"), "interrupted" in outcomes


def _begin(device: torch.device) -> None:
    """Give a new thread its stream, where there are streams."""
    OWN.stream = None
    if device.type == "cuda":
        OWN.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _work(request: Request, item: Item, stop: threading.Event) -> str:
    """Restore one image; return "done", "failed" or "interrupted"."""
    if stop.is_set():
        return "interrupted"
    job = Job(request, item, bar=False)
    with torch.cuda.stream(OWN.stream):  # nothing happens where it is None
        try:
            return "interrupted" if job.run() else "done"
        except Exception as error:  # as in a batch one by one
            job.failed(error)
            return "failed"
