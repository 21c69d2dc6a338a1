"""Plot of the validation of a training: PSNR over steps, one line for each noise level."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["draw_curve"]


def draw_curve(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the plot as a PNG file.

    Args:
        history: Rows with "step" and "psnr", a mapping from sigma in units of 0-255 to dB.

    Example:
        >>> from hybridprior.training.plot import draw_curve
        >>> draw_curve([{"step": 100, "psnr": {"25": 30.0}}])[1:4]
        b'PNG'
    """
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in history]
    for sigma in history[0]["psnr"] if history else ():
        values = [row["psnr"][sigma] for row in history]
        axes.plot(steps, values, marker=".", label=f"σ {sigma}: {values[-1]:.2f} dB")
    axes.set_xlabel("training steps")
    axes.set_ylabel("validation PSNR, dB")
    axes.grid(alpha=0.3)
    if history:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
