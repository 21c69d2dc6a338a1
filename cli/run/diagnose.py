"""Diagnosis of an image before its restoration: the noise level if it is not given, and the task if it is "auto"."""

from __future__ import annotations

import dataclasses

from hybridprior.analysis.diagnosis import Diagnosis, diagnose
from hybridprior.io.files import SUFFIXES, ImageData, write_atomically, write_image

from ..console import note
from ..files import Item
from ..options import AUTO_TASK
from .operator import compressed
from .request import Request

__all__ = ["diagnosed", "write_unchanged"]

DIAGNOSED = (AUTO_TASK, "denoise", "dejpeg")
"""Tasks whose measurements are the image itself, so that its noise can be estimated from it."""


def diagnosed(request: Request, item: Item, source: ImageData) -> tuple[Request, Diagnosis | None]:
    """Return the request with task and sigma set, and the diagnosis; None if both were given.

    The reason for the task, and warnings about noise that is not white, are printed to stderr.

    Args:
        request: The request.
        item: The files of the image.
        source: The image.
    """
    if request.sigma is not None or request.task not in DIAGNOSED or not _white(request):
        return request, None
    found = diagnose(source.pixels, file=item.source)
    task, reason = request.task, ""
    if request.task == AUTO_TASK:
        task, reason = found.task, found.reason
    if request.format != "quiet":
        for sentence in (reason, *found.warnings):
            if sentence:
                note(f"{item.source}: {sentence}")
    if task == "dejpeg" and found.jpeg_error >= found.sigma and compressed(item.source):
        return dataclasses.replace(request, task=task), found  # the operator has its own noise model
    if task == "denoise" and not found.noise.is_white and found.sigma == found.noise.sigma:
        return dataclasses.replace(request, task=task), found  # restore() estimates the same noise model
    sigma = max(found.sigma, found.jpeg_error) if task == "dejpeg" else found.sigma
    return dataclasses.replace(request, task=task, sigma=sigma), found


def _white(request: Request) -> bool:
    """Return whether the noise is described by sigma alone and the image is measured directly."""
    return request.noise == "gaussian" and request.operator is None


def write_unchanged(item: Item, source: ImageData) -> str:
    """Write an image without changes, as a copy of the file if the format stays, and return a sentence about it.

    Args:
        item: The files of the image.
        source: The image.
    """
    suffix = item.source.suffix.lower()
    if suffix in SUFFIXES and SUFFIXES[suffix] == SUFFIXES[item.target.suffix.lower()]:
        write_atomically(item.target, item.source.read_bytes())
        return "The image is not changed: the file is copied bit for bit."
    write_image(item.target, source)
    return "The image is not changed: its pixels are written in the format of the output."
