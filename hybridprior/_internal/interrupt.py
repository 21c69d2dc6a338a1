"""Ctrl-C takes effect between two steps, so that the state of a long run can be saved."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupt", "interruptible"]

FORCE_AFTER = 2.0
"""Seconds after which a second Ctrl-C interrupts at once."""


class InterruptEvent(threading.Event):
    """The event of a block, with its thread and the time at which it was set."""

    def __init__(self) -> None:
        """Store the current thread."""
        super().__init__()
        self.thread, self.since = threading.current_thread(), math.inf

    def interrupt(self) -> None:
        """Set the event; the time of the first call is stored."""
        self.since = min(self.since, time.monotonic())
        self.set()


ACTIVE: list[InterruptEvent] = []
"""The events of all active blocks, which may be nested. Ctrl-C sets all of them."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Convert Ctrl-C into an event that the caller checks between steps.

    A second Ctrl-C more than `FORCE_AFTER` seconds later raises `KeyboardInterrupt` at once. Only the main thread
    receives Ctrl-C. It sets the events of the blocks in all threads, and a block that starts inside an interrupted one
    is interrupted, too.

    Example:
        >>> from hybridprior._internal.interrupt import interrupt, interruptible
        >>> with interruptible() as interrupted:
        ...     interrupt()
        ...     interrupted.is_set()
        True
    """
    event = InterruptEvent()
    if threading.current_thread() is not threading.main_thread():
        with _listed(event):
            yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: object) -> None:
        forced = time.monotonic() - event.since > FORCE_AFTER
        interrupt()
        if forced:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        with _listed(event):
            yield event
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    """Set the events of all active blocks, as Ctrl-C does."""
    for active in tuple(ACTIVE):
        active.interrupt()


@contextmanager
def _listed(event: InterruptEvent) -> Iterator[None]:
    ACTIVE.append(event)
    # The main thread receives Ctrl-C itself, so only the blocks around this one count there.
    main = event.thread is threading.main_thread()
    if any(active.is_set() for active in tuple(ACTIVE) if not main or active.thread is event.thread):
        event.interrupt()
    try:
        yield
    finally:
        ACTIVE.remove(event)
