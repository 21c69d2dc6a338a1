"""Executors: compute cells in this process, in processes of this machine, or on the workers of a dask scheduler.

    local:N                  N processes (1 is this process)
    dask-local:N             a new dask scheduler with N worker processes
    dask://HOST:PORT         the workers of a running scheduler, such as that of dask-jobqueue on a cluster

Each is an `Executor` of `concurrent.futures`. A job writes its own files. If a worker dies, only its current cell is
lost, and another worker computes it again.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch

from hybridprior.errors import ConfigError, HybridPriorError, unknown_name
from hybridprior.evaluation.ablation.cell import Job, failure, run_job
from hybridprior.evaluation.record import RunRecord

__all__ = ["check_executor", "run_jobs", "share"]

KINDS = ("local", "dask-local", "dask")

POOLS = 3
"""Number of successive process pools that may break without a finished cell before the remaining cells fail."""

TIMEOUT = 10
"""Timeout of the connection to a scheduler, in seconds."""


def check_executor(spec: str) -> tuple[str, str]:
    """Return the kind of an executor and its argument.

    Args:
        spec: "local:N", "dask-local:N" or "dask://HOST:PORT".

    Raises:
        ConfigError: The specification is none of these.

    Example:
        >>> check_executor("local:2")
        ('local', '2')
    """
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        raise unknown_name("executor", spec, ("local:N", "dask-local:N", "dask://HOST:PORT"))
    if kind == "dask":
        if not rest.startswith("//") or not rest[2:]:
            raise ConfigError(f"'{spec}' names no scheduler. Write dask://HOST:PORT.")
        return kind, rest[2:]
    rest = rest or "1"
    if not rest.isdigit() or int(rest) < 1:
        raise ConfigError(f"'{spec}' has no valid number of processes. Write {kind}:2, for example.")
    return kind, rest


def share(spec: str, threads: int | None) -> int | None:
    """Return the number of threads of each process; None keeps the default of a process.

    Args:
        spec: The executor.
        threads: The requested number; if None, the threads of this machine are divided among the processes.
    """
    kind, rest = check_executor(spec)
    if threads is not None or kind == "dask" or rest == "1":
        return threads
    return max(1, torch.get_num_threads() // int(rest))


def run_jobs(jobs: Sequence[Job], executor: str | Executor = "local:1") -> Generator[RunRecord, None, None]:
    """Run jobs and yield the record of each as soon as it is finished.

    Finished cells are not computed again. An interrupt ends the processes that were started here.

    Args:
        jobs: The jobs.
        executor: Name of an executor, or any executor of `concurrent.futures`.

    Raises:
        ConfigError: The executor is unknown, its package is missing, or the scheduler does not answer.
        KeyboardInterrupt: The run was interrupted.
    """
    waiting = []
    for job in jobs:
        if (found := job.finished()) is None:
            waiting.append(job)
        else:
            yield found
    if not isinstance(executor, str):
        yield from _gathered(waiting, executor)
        return
    kind, rest = check_executor(executor)
    if kind == "local" and rest == "1":
        yield from map(run_job, waiting)
    elif kind == "local":
        yield from _processes(waiting, int(rest))
    elif waiting:
        with _dask(kind, rest) as cluster:
            yield from _gathered(waiting, cluster)


def _gathered(jobs: Sequence[Job], executor: Executor) -> Iterator[RunRecord]:
    """Yield the records of jobs in the order in which they finish."""
    futures: dict[Future, Job] = {executor.submit(run_job, job): job for job in jobs}
    try:
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                raise
            except Exception as error:  # a worker that was lost repeatedly, or that has another folder
                yield _lost(futures[future], error)
    finally:
        for future in futures:
            future.cancel()


def _processes(jobs: Sequence[Job], count: int) -> Iterator[RunRecord]:
    """Yield the records of jobs computed by processes; after a process died, a new pool computes the remaining jobs."""
    remaining, failures = {job.cell.id: job for job in jobs}, 0
    while remaining and failures < POOLS:
        before = len(remaining)
        try:
            with _pool(count) as pool:
                for record in _gathered(list(remaining.values()), pool):
                    del remaining[record.word("id")]
                    yield record
        except BrokenProcessPool:
            failures = 0 if len(remaining) < before else failures + 1
            for name in list(remaining)[:count]:  # one of these was running; run the others first
                remaining[name] = remaining.pop(name)
    for job in remaining.values():
        yield job.finished() or _lost(
            job, HybridPriorError("The process of the cell was killed. Use fewer processes if the memory is full.")
        )


@contextmanager
def _pool(count: int) -> Iterator[Executor]:
    """Yield a process pool; its processes are terminated if the block raises."""
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_quiet)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            if child not in others:
                child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _quiet() -> None:
    """Ignore interrupts, which the parent process handles."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _dask(kind: str, rest: str) -> Iterator[Executor]:
    """Yield the workers of a dask scheduler as an executor."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(
            "dask is not installed. Use --executor local:N, or pip install hybridprior[cluster]."
        ) from error

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors of a cell are in its record
    if kind == "dask":
        try:
            client = Client(rest, timeout=TIMEOUT)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No dask scheduler answers at '{rest}'. Start one, or use --executor local:N."
            ) from error
        with client:
            yield client.get_executor(pure=False)
        return
    options: dict[str, Any] = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(int(rest), silence_logs=logging.CRITICAL, **options) as cluster, Client(cluster) as client:
        yield client.get_executor(pure=False)


def _lost(job: Job, error: Exception) -> RunRecord:
    """Write and return the record of a job that no process could finish."""
    record = failure(job, error)
    record.write(job.path)
    return record
