"""The noise level of a denoising prior over a run: large at first, small in the end, evenly in its logarithm.

How firmly a splitting holds to what the denoiser makes of it falls likewise.
"""

from __future__ import annotations

import math

from hybridprior.errors import ConfigError

__all__ = ["Schedule"]


class Schedule:
    """sigma(k) = start (end / start)^(k / n), and the end from step n on."""

    def __init__(self, start: float, end: float, steps: int) -> None:
        """Lay out a schedule.

        Args:
            start: Noise level of the first step, in units of intensity.
            end: Of the last.
            steps: n, the steps it takes; with one step there is only the end.

        Raises:
            ConfigError: A level that is not positive.
        """
        if not (start > 0 and end > 0 and math.isfinite(start + end)):
            raise ConfigError("The denoiser's sigma is positive, at the start and at the end.")
        self.start, self.end, self.steps = start, end, steps

    def __call__(self, step: int) -> float:
        """Return the noise level of a step, counted from 1."""
        done = min(1.0, (step - 1) / (self.steps - 1)) if self.steps > 1 else 1.0
        return float(self.start * (self.end / self.start) ** done)
