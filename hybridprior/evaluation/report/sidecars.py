"""The records that `hprior restore` leaves next to its results: read, and found in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridprior.evaluation.record import RunRecord
from hybridprior.evaluation.report.runs import component_names, recipe
from hybridprior.evaluation.values import word

__all__ = ["Sidecar", "find_sidecars", "read_sidecar"]


@dataclass(frozen=True)
class Sidecar:
    """A record of `hprior restore`, and the file of the result."""

    result: Path
    """The restored image; it may be missing."""
    record: RunRecord
    """The record."""

    @property
    def task(self) -> str:
        """The task: "denoise", "sr", "inpaint"."""
        return word(self.record.inner("request").get("task"))

    @property
    def parts(self) -> str:
        """Generator, regulariser and weight as text; "unchanged" if the image was not restored."""
        config = self.record.config
        return recipe(*component_names(self.record), config.get("weight")) if config else "unchanged"

    def beside(self, text: object, results: Sequence[Path]) -> Path:
        """Return the path of a file in the record: as it is written, or by its name near the result.

        Args:
            text: The path in the record, relative to the folder of the restoration.
            results: Files that are results, which are not returned.
        """
        named = Path(word(text))
        near = self.result.parent
        for path in (named, near / named, near.parent / named, near / named.name, near.parent / named.name):
            if path.is_file() and path.resolve() not in results:
                return path
        return named

    def truth(self, results: Sequence[Path]) -> Path | None:
        """Return the ground truth of the restoration, if there is one.

        Args:
            results: Files that are results, which are not returned.
        """
        given = self.record.inner("request").get("reference")
        if not word(given):
            return None
        if not Path(word(given)).is_dir():
            return self.beside(given, results)
        stem = Path(self.record.word("input")).stem
        found = sorted(path for path in Path(word(given)).rglob("*") if path.stem == stem)
        return found[0] if found else Path(word(given)) / stem


def find_sidecars(folder: Path) -> list[Sidecar]:
    """Return the records of `hprior restore` in a folder and its subfolders, sorted by name.

    Args:
        folder: The folder.
    """
    from hybridprior.io.files import SUFFIXES

    likely = [path for path in sorted(folder.rglob("*.json")) if Path(path.stem).suffix.lower() in SUFFIXES]
    return [sidecar for path in likely if (sidecar := read_sidecar(path))]


def read_sidecar(path: Path) -> Sidecar | None:
    """Return the record in a JSON file, or None if it is not that of a restored image.

    Args:
        path: The file OUT.json of a result OUT.
    """
    record = RunRecord.read(path)
    if record is None or not record.word("output") or not (record.config or record.inner("request")):
        return None
    return Sidecar(path.with_suffix(""), record)
