"""Ctrl-C between steps and not within one: what a long run has reached is saved, whole."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interruptible"]

INSISTING = 2.0
"""Seconds after which another Ctrl-C does not wait for the step."""


ACTIVE: list[threading.Event] = []
"""The events of all blocks that wait for Ctrl-C, one in another; all of them learn of it."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event that is looked at between steps; one pressed seconds later interrupts at once."""
    event, first = threading.Event(), time.monotonic()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: object) -> None:
        nonlocal first
        if event.is_set() and time.monotonic() - first > INSISTING:
            raise KeyboardInterrupt
        first = first if event.is_set() else time.monotonic()
        for waiting in ACTIVE:
            waiting.set()

    signal.signal(signal.SIGINT, handle)
    ACTIVE.append(event)
    try:
        yield event
    finally:
        ACTIVE.remove(event)
        signal.signal(signal.SIGINT, before)
