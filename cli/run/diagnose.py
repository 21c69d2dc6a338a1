"""An image looked at before it is restored: its noise where nobody gave it, and its task where that is "auto"."""

from __future__ import annotations

import dataclasses

from hybridprior.analysis.diagnosis import Diagnosis, diagnose
from hybridprior.io.files import SUFFIXES, ImageData, write_atomically, write_image

from ..console import note
from ..files import Item
from ..options import AUTO_TASK
from .operator import compressed
from .request import Request

__all__ = ["examined", "write_unchanged"]

EXAMINED = (AUTO_TASK, "denoise", "dejpeg")
"""Tasks whose noise the image itself shows; elsewhere the measurements are another image."""


def examined(request: Request, item: Item, source: ImageData) -> tuple[Request, Diagnosis | None]:
    """Return the request with its task and sigma settled, and what they were settled by; None where all was given.

    What does not fit white noise is said on stderr, and so is the reason for the task.

    Args:
        request: What was asked for.
        item: The image's files.
        source: The image.
    """
    if request.sigma is not None or request.task not in EXAMINED or not _white(request):
        return request, None
    found = diagnose(source.pixels, file=item.source)
    settled, reason = request.task, ""
    if request.task == AUTO_TASK:
        settled, reason = found.task, found.reason
    if request.format != "quiet":
        for sentence in (reason, *found.warnings):
            if sentence:
                note(f"{item.source}: {sentence}")
    if settled == "dejpeg" and found.jpeg_error >= found.sigma and compressed(item.source):
        return dataclasses.replace(request, task=settled), found  # the operator knows its own noise
    sigma = max(found.sigma, found.jpeg_error) if settled == "dejpeg" else found.sigma
    return dataclasses.replace(request, task=settled, sigma=sigma), found


def _white(request: Request) -> bool:
    """Return whether the request is about an image itself, with noise that sigma describes."""
    return request.noise == "gaussian" and request.operator is None


def write_unchanged(item: Item, source: ImageData) -> str:
    """Write an image that needs nothing, bit for bit if the file's kind stays, and return how in a sentence.

    Args:
        item: The image's files.
        source: The image.
    """
    suffix = item.source.suffix.lower()
    if suffix in SUFFIXES and SUFFIXES[suffix] == SUFFIXES[item.target.suffix.lower()]:
        write_atomically(item.target, item.source.read_bytes())
        return "It is left alone: the file is copied bit for bit."
    write_image(item.target, source)
    return "It is left alone: the pixels are written as they are, as well as another kind of file holds them."
