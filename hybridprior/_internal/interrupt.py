"""Ctrl-C between steps and not within one: what a long run has reached is saved, whole."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupt", "interruptible"]

INSISTING = 2.0
"""Seconds after which another Ctrl-C does not wait for the step."""


class Waiting(threading.Event):
    """The event of a block, which knows its thread, and since when it is set."""

    def __init__(self) -> None:
        """Remember the thread."""
        super().__init__()
        self.thread, self.since = threading.current_thread(), math.inf

    def press(self) -> None:
        """Set the event, now if it is not set already."""
        self.since = min(self.since, time.monotonic())
        self.set()


ACTIVE: list[Waiting] = []
"""The events of all blocks that wait for Ctrl-C, one in another; all of them learn of it."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event that is looked at between steps; one pressed seconds later interrupts at once.

    Only the main thread can wait for Ctrl-C. What it learns, the blocks of other threads learn too, and so does a block
    that begins within one that already knows.
    """
    event = Waiting()
    if threading.current_thread() is not threading.main_thread():
        with _listed(event):
            yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: object) -> None:
        insisted = time.monotonic() - event.since > INSISTING
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
        waiting.press()


@contextmanager
def _listed(event: Waiting) -> Iterator[None]:
    ACTIVE.append(event)
    main = event.thread is threading.main_thread()  # which learns of Ctrl-C itself, but for blocks within another
    if any(waiting.is_set() for waiting in tuple(ACTIVE) if not main or waiting.thread is event.thread):
        event.press()
    try:
        yield
    finally:
        ACTIVE.remove(event)
