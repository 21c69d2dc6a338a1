"""The line that `hprior restore` prints for an image in the format human."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["described"]

MIN_SIGMA_255 = 0.05
"""Noise level below which the line has no sentence about noise, in units of 0-255."""

NOTES = {
    "interrupted": "Interrupted: this is the best image so far; --resume continues.",
    "diverged": "The run diverged: this is the best image before that.",
}
"""What is added for a run that did not finish."""


def described(figures: Mapping[str, Any], *, task: str, denoised: bool = True, verbose: bool = False) -> str:
    """Return the line about a result.

    Args:
        figures: The figures of the result, as `Sidecar.shown` returns them.
        task: The task; for "dejpeg", sigma is the error of the compression.
        denoised: Whether noise was removed; the known pixels of inpainting are usually returned unchanged.
        verbose: Whether to add the step and the message of the solver, which states the stacking weights.

    Example:
        >>> figures = {"output": "restored.png", "status": "finished", "seconds": 227.3, "sigma": 19.42}
        >>> described(figures, task="denoise")
        'restored.png written (227 s). Noise of 19.4/255 removed.'
    """
    seconds, sigma = figures["seconds"], figures["sigma"]
    parts = [f"{figures['output']} written ({seconds:.{0 if seconds >= 10 else 1}f} s)."]
    if denoised and sigma >= MIN_SIGMA_255:
        parts.append(f"{'JPEG error' if task == 'dejpeg' else 'Noise'} of {sigma:.3g}/255 removed.")
    if figures["status"] in NOTES:
        parts.append(NOTES[figures["status"]])
    if "psnr" in figures:
        parts.append(_compared(figures))
    if verbose:
        parts.append(f"Step {figures['chosen_step']} of {figures['steps']}. {figures['message']}")
    return " ".join(parts)


def _compared(figures: Mapping[str, Any]) -> str:
    """Return the PSNR in words."""
    oracle = ""
    if "oracle_step" in figures:
        oracle = f" (oracle {figures['oracle_psnr']:.2f} dB at step {figures['oracle_step']})"
    return f"PSNR {figures['psnr']:.2f} dB on {figures['psnr_on']}{oracle}."
