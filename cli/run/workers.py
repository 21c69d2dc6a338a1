"""Several images at a time: a process for each, with its share of the processor, or a stream of a GPU.

An image that is small leaves cores idle between the many short operations of a step; two images side by side do not.
"""

from __future__ import annotations

import _thread
import io
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import Any

import torch

from hybridprior._internal.device import choose_device, free_memory
from hybridprior.errors import HybridPriorError

from ..console import images, note, say
from ..files import Item
from ..options import set_threads
from .job import Job
from .request import Request
from .streams import run_all as run_streams

__all__ = ["run_all", "worth"]

FEWEST_STEPS = 100
"""Steps below which a process takes longer to start than it saves."""

STREAMS = 8
"""Images that a GPU takes at a time."""

ROOM_ON_GPU = 4 * 2**30
"""The same for a stream, whose tile may take up to 3 GiB (`hybridprior.solvers.tile_size`)."""

ROOM = 2 * 2**30
"""Bytes that a process is taken to need at most where nobody said how many there should be."""

SHARED: dict[str, Event] = {}
"""What a process was given at its start: the event of Ctrl-C."""


def worth(request: Request, count: int, threads: int | None) -> int:
    """Return how many images to restore at a time, as far as there are images and memory: one for each core.

    A GPU takes several, whose kernels run side by side.

    Args:
        request: What was asked for.
        count: How many images there are.
        threads: Threads of each, if somebody named them.
    """
    where = choose_device(request.device)
    if where.type == "cuda":
        return max(1, min(count, STREAMS, free_memory(where) // ROOM_ON_GPU))
    if where.type != "cpu" or request.config.solver.max_steps < FEWEST_STEPS:
        return 1
    cores = max(1, torch.get_num_threads() // threads) if threads else torch.get_num_threads()
    return max(1, min(count, cores, free_memory(where) // ROOM))


def run_all(request: Request, items: Sequence[Item], *, jobs: int, threads: int | None) -> tuple[int, bool]:
    """Restore images side by side; return how many failed, and whether Ctrl-C ended it.

    Args:
        request: What was asked for.
        items: The images.
        jobs: Processes, or streams of a GPU.
        threads: Processor threads of each; an equal share of the cores if not given.
    """
    if choose_device(request.device).type == "cuda":
        set_threads(threads)
        return run_streams(request, items, jobs=jobs)
    context = get_context("spawn")
    stop = context.Event()
    failed, interrupted = 0, False
    start: dict[str, Any] = {
        "initializer": _begin,
        "initargs": (stop, threads or max(1, torch.get_num_threads() // jobs)),
    }
    shown = request.format != "quiet"
    with ProcessPoolExecutor(jobs, context, **start) as pool, _forwarded(stop), images(len(items), shown) as advance:
        waiting = {pool.submit(_work, request, item): item for item in items}
        for future in as_completed(waiting):
            try:
                outcome, out, err = future.result()
            except BrokenProcessPool:
                Job(request, waiting[future]).failed(HybridPriorError("Its process was killed; is the memory full?"))
                outcome, out, err = "failed", "", ""
            if err:
                sys.stderr.write(err)
            if out:
                say(out.rstrip("\n"))
            failed += outcome == "failed"
            interrupted |= outcome == "interrupted"
            advance()
    return failed, interrupted


def _begin(stop: Event, threads: int) -> None:
    """Set a new process up: its threads, and Ctrl-C by way of the first process."""
    torch.set_num_threads(threads)
    SHARED["stop"] = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        stop.wait()
        _thread.interrupt_main(signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def _work(request: Request, item: Item) -> tuple[str, str, str]:
    """Restore one image; return "done", "failed" or "interrupted", and what goes to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        outcome = "interrupted" if SHARED["stop"].is_set() else _outcome(Job(request, item, bar=False))
    return outcome, out.getvalue(), err.getvalue()


def _outcome(job: Job) -> str:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return "interrupted" if job.run() else "done"
    except KeyboardInterrupt:
        return "interrupted"
    except Exception as error:  # as in a batch one by one
        job.failed(error)
        return "failed"
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _forwarded(stop: Event) -> Iterator[None]:
    """Tell the processes of Ctrl-C; they save what they have and end."""

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            return
        stop.set()
        note("interrupted; the images at work are saved")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
