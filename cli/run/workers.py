"""Several images at a time: one process for each with its share of the cores, or one stream of a GPU.

The many short operations of a step on a small image leave cores idle; two images at a time use them.
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

__all__ = ["choose_jobs", "run_all"]

MIN_STEPS = 100
"""Number of steps below which starting a process takes longer than it saves."""

MAX_STREAMS = 8
"""Largest number of images at a time on a GPU."""

STREAM_BYTES = 4 * 2**30
"""Assumed memory of a stream, whose tile uses up to 3 GiB (`hybridprior.solvers.tile_size`)."""

PROCESS_BYTES = 2 * 2**30
"""Assumed memory of a process, for the default number of processes."""

SHARED: dict[str, Event] = {}
"""In a process: the event that is set on Ctrl-C."""


def choose_jobs(request: Request, count: int, threads: int | None) -> int:
    """Return how many images to restore at a time: one per core, or several on a GPU, as far as memory allows.

    Args:
        request: The request.
        count: Number of images.
        threads: Threads of each process, if given.
    """
    where = choose_device(request.device)
    if where.type == "cuda":
        return max(1, min(count, MAX_STREAMS, free_memory(where) // STREAM_BYTES))
    if where.type != "cpu" or request.config.solver.max_steps < MIN_STEPS:
        return 1
    cores = max(1, torch.get_num_threads() // threads) if threads else torch.get_num_threads()
    return max(1, min(count, cores, free_memory(where) // PROCESS_BYTES))


def run_all(request: Request, items: Sequence[Item], *, jobs: int, threads: int | None) -> tuple[int, bool]:
    """Restore images concurrently; return how many failed, and whether the run was interrupted.

    Args:
        request: The request.
        items: The images.
        jobs: Number of processes, or of streams on a GPU.
        threads: Threads of each process; an equal share of the cores if not given.
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
    """Set up a new process: its threads, and Ctrl-C through the first process."""
    torch.set_num_threads(threads)
    SHARED["stop"] = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        stop.wait()
        _thread.interrupt_main(signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def _work(request: Request, item: Item) -> tuple[str, str, str]:
    """Restore one image; return "done", "failed" or "interrupted", and the text for stdout and for stderr."""
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
    except Exception as error:  # the other images continue, as without processes
        job.failed(error)
        return "failed"
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _forwarded(stop: Event) -> Iterator[None]:
    """Forward Ctrl-C to the processes, which save their best images and end."""

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            return
        stop.set()
        note("Interrupted. The best images so far are saved.")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
