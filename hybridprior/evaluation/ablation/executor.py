"""Where the cells are computed: here, in processes of this machine, or by the workers of a dask scheduler.

    local:N                  N processes (1 is this one)
    dask-local:N             a dask scheduler of its own with N worker processes
    dask://HOST:PORT         the workers of a scheduler that runs already, such as dask-jobqueue's on a cluster

All of them are an `Executor` of `concurrent.futures`. A job that comes back writes its own files, so that a worker
that dies takes with it no more than the cell it was at, which another one then computes.
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
from hybridprior.io.records import write_json

__all__ = ["check_executor", "run_jobs", "share"]

KINDS = ("local", "dask-local", "dask")

LIVES = 3
"""Pools of processes in a row that may break without a cell done, until what is left has failed."""

PATIENCE = 10
"""Seconds that a scheduler has to answer."""


def check_executor(spec: str) -> tuple[str, str]:
    """Return the kind of an executor and what follows the colon.

    Args:
        spec: "local:N", "dask-local:N" or "dask://HOST:PORT".

    Raises:
        ConfigError: None of these.
    """
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        raise unknown_name("executor", spec, ("local:N", "dask-local:N", "dask://HOST:PORT"))
    if kind == "dask":
        if not rest.startswith("//") or not rest[2:]:
            raise ConfigError(f"'{spec}' names no scheduler; write dask://HOST:PORT.")
        return kind, rest[2:]
    rest = rest or "1"
    if not rest.isdigit() or int(rest) < 1:
        raise ConfigError(f"'{spec}' says no number of processes; write {kind}:2.")
    return kind, rest


def share(spec: str, threads: int | None) -> int | None:
    """Return the threads of each process: as named, or its share of this machine; None leaves a process its own.

    Args:
        spec: The executor.
        threads: What somebody named.
    """
    kind, rest = check_executor(spec)
    if threads is not None or kind == "dask" or rest == "1":
        return threads
    return max(1, torch.get_num_threads() // int(rest))


def run_jobs(jobs: Sequence[Job], executor: str | Executor = "local:1") -> Generator[dict[str, Any], None, None]:
    """Run jobs and yield the record of each as soon as it is there.

    What is finished already is not computed again. Ctrl-C ends the processes that were started here.

    Args:
        jobs: What to do.
        executor: By name, or any executor of `concurrent.futures`.

    Raises:
        ConfigError: An unknown executor, one whose package is missing, or a scheduler that does not answer.
        KeyboardInterrupt: Ctrl-C was pressed.
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


def _gathered(jobs: Sequence[Job], executor: Executor) -> Iterator[dict[str, Any]]:
    """Yield the records of jobs in the order in which they are done."""
    futures: dict[Future, Job] = {executor.submit(run_job, job): job for job in jobs}
    try:
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                raise
            except Exception as error:  # a worker that was lost time and again, or sees another folder
                yield _lost(futures[future], error)
    finally:
        for future in futures:
            future.cancel()


def _processes(jobs: Sequence[Job], count: int) -> Iterator[dict[str, Any]]:
    """Yield the records of jobs computed by processes; after one has died, a new pool goes on with what is left."""
    left, barren = {job.cell.id: job for job in jobs}, 0
    while left and barren < LIVES:
        before = len(left)
        try:
            with _pool(count) as pool:
                for record in _gathered(list(left.values()), pool):
                    del left[record["id"]]
                    yield record
        except BrokenProcessPool:
            barren = 0 if len(left) < before else barren + 1
            for name in list(left)[:count]:  # one of these was at work; the others come first now
                left[name] = left.pop(name)
    for job in left.values():
        yield job.finished() or _lost(job, HybridPriorError("Its process was killed; is the memory full?"))


@contextmanager
def _pool(count: int) -> Iterator[Executor]:
    """Give processes, which end at once where something ends the block early."""
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
    """Leave Ctrl-C to the first process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _dask(kind: str, rest: str) -> Iterator[Executor]:
    """Give a dask scheduler's workers as an executor."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(
            "dask is not installed; use --executor local:N, or pip install hybridprior[cluster]."
        ) from error

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what ends a cell is in its record
    if kind == "dask":
        try:
            client = Client(rest, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No dask scheduler answers at '{rest}'; start one, or use --executor local:N."
            ) from error
        with client:
            yield client.get_executor(pure=False)
        return
    options: dict[str, Any] = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(int(rest), silence_logs=logging.CRITICAL, **options) as cluster, Client(cluster) as client:
        yield client.get_executor(pure=False)


def _lost(job: Job, error: Exception) -> dict[str, Any]:
    """Return the record of a job that no process could do, and write it."""
    record = failure(job, error)
    write_json(job.folder / "cells" / f"{job.cell.id}.json", record)
    return record
