"""What the tests of several processes share."""

import contextlib

import psutil


def workers(pid: int) -> list[int]:
    """Return the processes that work for another one: not its resource tracker, nor a command that has just ended."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found
