"""Ctrl-C between steps and not within one: what a long run has reached is saved, whole."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupt", "interruptible"]

INSISTING = 2.0
"""Seconds after which another Ctrl-C does not wait for the step."""


ACTIVE: list[threading.Event] = []
"""The events of all blocks that wait for Ctrl-C, one in another; all of them learn of it."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event that is looked at between steps; one pressed seconds later interrupts at once.

    Only the main thread can wait for Ctrl-C. What it learns, the blocks of other threads learn too, and so does a block
    that begins within one that already knows.
    """
    event, first = threading.Event(), time.monotonic()
    if threading.current_thread() is not threading.main_thread():
        with _listed(event):
            yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: object) -> None:
        nonlocal first
        insisted = event.is_set() and time.monotonic() - first > INSISTING
        first = first if event.is_set() else time.monotonic()
        interrupt()
        if insisted:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        with _listed(event):
            yield event
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    """Tell all blocks, as Ctrl-C does."""
    for waiting in tuple(ACTIVE):
        waiting.set()


@contextmanager
def _listed(event: threading.Event) -> Iterator[None]:
    ACTIVE.append(event)
    if any(waiting.is_set() for waiting in tuple(ACTIVE)):
        event.set()
    try:
        yield
    finally:
        ACTIVE.remove(event)
