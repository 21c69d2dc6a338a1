"""The noise level of a denoising prior over a run. It decreases geometrically.

The penalty of a splitting uses the same schedule.
"""

from __future__ import annotations

import math

from hybridprior.errors import ConfigError

__all__ = ["Schedule"]


class Schedule:
    """sigma(k) = start (end / start)^((k - 1) / (n - 1)) for k = 1 .. n, and the end from step n on.

    Example:
        >>> from hybridprior.regularisers.schedule import Schedule
        >>> schedule = Schedule(0.2, 0.05, 3)
        >>> [round(schedule(step), 3) for step in (1, 2, 3, 4)]
        [0.2, 0.1, 0.05, 0.05]
    """

    def __init__(self, start: float, end: float, steps: int) -> None:
        """Make a schedule.

        Args:
            start: Noise level of the first step, in units of intensity.
            end: Noise level from step n on.
            steps: n. With n = 1 every step has the noise level `end`.

        Raises:
            ConfigError: A level that is not positive.
        """
        if not (start > 0 and end > 0 and math.isfinite(start + end)):
            raise ConfigError("The noise level of the denoiser must be positive at the start and at the end.")
        self.start, self.end, self.steps = start, end, steps

    def __call__(self, step: int) -> float:
        """Return the noise level of a step, counted from 1."""
        done = min(1.0, (step - 1) / (self.steps - 1)) if self.steps > 1 else 1.0
        return float(self.start * (self.end / self.start) ** done)
