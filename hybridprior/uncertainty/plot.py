"""The reliability plot: coverage against nominal coverage, and errors against standard deviations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hybridprior.io.files import write_atomically
from hybridprior.uncertainty.calibration import NOMINAL, Calibration

__all__ = ["draw_reliability"]


def draw_reliability(found: Mapping[str, Calibration], path: Path) -> None:
    """Draw calibrations, one line each, into a PNG.

    Args:
        found: Calibrations by name.
        path: The file; an existing one is replaced.

    Example:
        >>> import torch
        >>> from hybridprior.uncertainty.calibration import calibration
        >>> error = 0.1 * torch.randn(1, 1, 64, 64)
        >>> found = calibration(error, torch.full_like(error, 0.1), torch.zeros_like(error))
        >>> draw_reliability({"constant": found}, Path("reliability.png"))
    """
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.7")
    widest = max(max(each.deviations + each.errors) for each in found.values())
    right.plot([0, widest], [0, widest], color="0.7")
    for name, each in found.items():
        left.plot(NOMINAL, each.coverage, marker=".", label=f"{name}: coverage {each.error:.2f}, ENCE {each.ence:.2f}")
        right.plot(each.deviations, each.errors, marker=".")
    left.set(xlabel="nominal coverage", ylabel="share of the errors inside", xlim=(0, 1), ylim=(0, 1))
    right.set(xlabel="standard deviation (root mean variance)", ylabel="root mean squared error")
    figure.legend(loc="outside right upper", frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_atomically(path, buffer.getvalue())
