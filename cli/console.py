"""Output to the terminal: progress and notes on stderr, results on stdout."""

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

ESTIMATE_STEP = 10
"""The step of the first tile after which the duration of all tiles is estimated."""

FORMATS = ("human", "json", "quiet")


def note(sentence: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(_printable(f"hprior: {' '.join(sentence.split())}\n", sys.stderr))


def say(line: str) -> None:
    """Write one line to stdout.

    Raises:
        OutputError: stdout cannot be written. A closed pipe is no error: the results are in files.
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
    """Return the text with characters escaped that the stream's encoding does not have, as in names of files."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def progress(name: str, steps: int, *, shown: bool) -> Iterator[list[Callback]]:
    """Show a progress bar for one restoration; yield the callbacks that update it.

    Args:
        name: Name of the image.
        steps: The largest number of steps.
        shown: Whether to show the bar.
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

        first: list[float] = []  # seconds at the first step, mostly setup

        def move(step: Step) -> None:
            tile, tiles = step.tile or (1, 1)
            if step.number == 1:
                first.append(step.seconds)
            done = (tile - 1) * steps + step.number
            if step.tile is not None and first and (tile, step.number) == (1, ESTIMATE_STEP):
                pace = (step.seconds - first[0]) / (step.number - 1)
                note(f"{name}: {tiles} tiles, {_duration((first[0] + pace * steps) * tiles)} at most.")
            bar.update(
                task, completed=done, total=steps * tiles, energy=f"{step.energy:.3f}", chosen=step.chosen or "-"
            )

        yield [move]


@contextmanager
def images(count: int, shown: bool) -> Iterator[Callable[[], None]]:
    """Show a progress bar over several images; yield a function that advances it by one.

    Args:
        count: Number of images.
        shown: Whether to show the bar.
    """
    done = itertools.count(1)
    with bar("images", count, shown=shown) as move:
        yield lambda: move(next(done), count)


@contextmanager
def bar(name: str, count: int, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar over several items; yield a function of the number done and the number in all.

    Args:
        name: Name of the items.
        count: Number of items, as far as it is known.
        shown: Whether to show the bar.
    """
    if not shown:
        yield lambda done, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn(name), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn()]
    # Otherwise rich redirects stdout to its own console, which is stderr.
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as shown_bar:
        task = shown_bar.add_task(name, total=count)
        yield lambda done, count: shown_bar.update(task, completed=done, total=count)


def _duration(seconds: float) -> str:
    """Return a duration in hours and minutes."""
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
