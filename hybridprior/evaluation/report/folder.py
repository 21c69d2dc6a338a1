"""A page about whatever a folder holds: an ablation, or restored images."""

from __future__ import annotations

import os
from pathlib import Path

from hybridprior.errors import InputError
from hybridprior.evaluation.report.ablation import from_ablation, is_ablation
from hybridprior.evaluation.report.page import Page
from hybridprior.evaluation.report.restored import from_sidecars
from hybridprior.evaluation.report.sidecars import find_sidecars

__all__ = ["from_folder"]


def from_folder(path: str | os.PathLike[str]) -> Page:
    """Return the page about a folder.

    What a run that was killed has left is shown, and what is missing is named.

    Args:
        path: The folder of an ablation, or one with restored images and their sidecars.

    Raises:
        InputError: There is no such folder, or nothing in it that a page could show.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'." if not folder.exists() else f"'{folder}' is not a folder.")
    if is_ablation(folder):
        return from_ablation(folder)
    sidecars = find_sidecars(folder)
    if not sidecars:
        raise InputError(
            f"There is nothing to report in '{folder}': no ablation, and no restored image with its record OUT.json."
        )
    name = folder.resolve().name
    return from_sidecars(sidecars, title=sidecars[0].result.name if len(sidecars) == 1 else name, folder=folder)
