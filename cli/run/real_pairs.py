"""The suite `hprior bench real`: pairs of a noisy photograph and the mean of many exposures, with published figures."""

from __future__ import annotations

from pathlib import Path

from hybridprior.errors import HybridPriorError

from ..console import note, say
from ..files import prepare

__all__ = ["measure_real"]


def measure_real(data: Path, folder: Path, denoiser: str | None) -> bool:
    """Measure all pairs of a folder, write JSON and a Markdown table, and return whether all succeeded.

    Args:
        data: The folder of the pairs.
        folder: Where `real.json` and `real.md` are written.
        denoiser: Name of the denoiser; the shipped one if not given.
    """
    from hybridprior.denoisers import load_denoiser
    from hybridprior.evaluation.bench.real import RealRow, find_pairs, markdown, measure_pair, summary
    from hybridprior.io.files import write_atomically
    from hybridprior.io.records import write_json

    pairs, network = find_pairs(data), load_denoiser(denoiser or "shipped")
    prepare(folder / "real.json", 1)
    rows: list[RealRow] = []
    complete = True
    for noisy, clean in pairs:
        try:
            rows.append(measure_pair(noisy, clean, network)[0])
        except HybridPriorError as error:
            note(str(error))
            complete = False
            continue
        write_json(folder / "real.json", summary(rows))
        write_atomically(folder / "real.md", markdown(rows).encode())
    if rows:
        say(markdown(rows))
    return complete
