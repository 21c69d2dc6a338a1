"""Several images at a time on a GPU: one thread and one CUDA stream for each, in one process.

The kernels for one image leave most of a GPU idle. The kernels of several streams run concurrently; those of several
processes do not.
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

LOCAL = threading.local()
"""The stream of each thread."""


def run_all(request: Request, items: Sequence[Item], *, jobs: int) -> tuple[int, bool]:
    """Restore images concurrently; return how many failed, and whether the run was interrupted.

    Args:
        request: The request, for a GPU.
        items: The images.
        jobs: Number of threads.
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
            interrupt()  # otherwise the other threads run to their end
            raise
    if "interrupted" in outcomes:
        note("Interrupted. The best images so far are saved.")
    return outcomes.count("failed"), "interrupted" in outcomes


def _begin(device: torch.device) -> None:
    """Create the stream of a new thread, on a GPU."""
    LOCAL.stream = None
    if device.type == "cuda":
        LOCAL.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _work(request: Request, item: Item, stop: threading.Event) -> str:
    """Restore one image; return "done", "failed" or "interrupted"."""
    if stop.is_set():
        return "interrupted"
    job = Job(request, item, bar=False)
    with torch.cuda.stream(LOCAL.stream):  # None has no effect
        try:
            return "interrupted" if job.run() else "done"
        except Exception as error:  # the other images continue, as without threads
            job.failed(error)
            return "failed"
