"""What people see while a restoration runs: progress on stderr with time left and the chosen step; results on
stdout.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from hybridprior.errors import OutputError

if TYPE_CHECKING:
    from hybridprior.result import Step
    from hybridprior.solvers.gradient import Callback

__all__ = ["FORMATS", "bar", "note", "images", "progress", "say"]

FORETOLD = 10
"""The step of a tile at which it is foretold how long they all take."""

FORMATS = ("human", "json", "quiet")


def note(sentence: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(_printable(f"hprior: {' '.join(sentence.split())}\n", sys.stderr))


def say(line: str) -> None:
    """Write one line to stdout.

    Raises:
        OutputError: It cannot be written. A reader that has gone away is no error: the files are what counts.
    """
    try:
        sys.stdout.write(_printable(f"{line}\n", sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"stdout cannot be written: {error.strerror or error}.") from error


def _printable(text: str, stream: TextIO) -> str:
    """Return a text as the stream can write it: a file may have a name that its encoding has not."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def progress(name: str, steps: int, *, shown: bool) -> Iterator[list[Callback]]:
    """Show a bar for one restoration; yield the callbacks that move it.

    Args:
        name: What is restored.
        steps: The most steps there will be.
        shown: Whether to show anything.
    """
    if not shown:
        yield []
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("E {task.fields[energy]}"),
        TextColumn("best at step {task.fields[chosen]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(_printable(name, sys.stderr), total=steps, energy="-", chosen="-")

        begun: list[float] = []  # seconds at the first step, most of them before it

        def move(step: Step) -> None:
            tile, tiles = step.tile or (1, 1)
            if step.number == 1:
                begun.append(step.seconds)
            done = (tile - 1) * steps + step.number
            if step.tile is not None and begun and (tile, step.number) == (1, FORETOLD):
                pace = (step.seconds - begun[0]) / (step.number - 1)
                note(f"{name}: {tiles} tiles, {_duration((begun[0] + pace * steps) * tiles)} at most.")
            bar.update(
                task, completed=done, total=steps * tiles, energy=f"{step.energy:.3f}", chosen=step.chosen or "-"
            )

        yield [move]


@contextmanager
def images(count: int, shown: bool) -> Iterator[Callable[[], None]]:
    """Show a bar over several images; yield what moves it on by one.

    Args:
        count: How many there are.
        shown: Whether to show anything.
    """
    done = itertools.count(1)
    with bar("images", count, shown=shown) as move:
        yield lambda: move(next(done), count)


@contextmanager
def bar(name: str, count: int, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar over several items; yield what moves it, told how many are done and of how many.

    Args:
        name: What the items are.
        count: How many there are, as far as is known.
        shown: Whether to show anything.
    """
    if not shown:
        yield lambda done, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn(name), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn()]
    # Else rich would take what is said on stdout to its own console, which is stderr.
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as shown_bar:
        task = shown_bar.add_task(name, total=count)
        yield lambda done, count: shown_bar.update(task, completed=done, total=count)


def _duration(seconds: float) -> str:
    """Return a time as people say it."""
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
