"""Several pictures at a time on a GPU: a thread and a stream of kernels for each, in one process.

The kernels of a network for one picture leave most of a GPU idle. Those of several streams run side by side, which
those of several processes do not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext

import torch

from hybridprior.device import choose_device
from hybridprior.errors import HybridPriorError
from hybridprior.interruption import interruptible

from .console import pictures
from .files import Item
from .job import Job
from .request import Request

__all__ = ["run_all"]


def run_all(request: Request, items: Sequence[Item], *, jobs: int) -> tuple[int, bool]:
    """Restore pictures side by side; return how many failed, and whether Ctrl-C ended it.

    Args:
        request: What was asked for, on a GPU.
        items: The pictures.
        jobs: Threads.
    """
    shown = request.format != "quiet"
    with interruptible() as stop, ThreadPoolExecutor(jobs) as pool, pictures(len(items), shown) as advance:
        outcomes = []
        for future in as_completed([pool.submit(_work, request, item, stop) for item in items]):
            outcomes.append(future.result())
            advance()
    return outcomes.count("failed"), "interrupted" in outcomes


def _work(request: Request, item: Item, stop: threading.Event) -> str:
    """Restore one picture; return "done", "failed" or "interrupted"."""
    if stop.is_set():
        return "interrupted"
    job = Job(request, item, bar=False)
    with _stream(choose_device(request.device)):
        try:
            return "interrupted" if job.run() else "done"
        except HybridPriorError as error:
            job.failed(error)
            return "failed"


def _stream(device: torch.device) -> AbstractContextManager[None]:
    """Return a block whose kernels are a stream of their own, where there are streams."""
    if device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]
