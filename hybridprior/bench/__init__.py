"""Published figures beside ours: the suites of `hprior bench`."""

from hybridprior.bench.report import gains, markdown, side_by_side
from hybridprior.bench.speed import Cost, comparison, cost, draw_curves, measured_peak
from hybridprior.bench.suites import SUITES, Row, Suite, find_pictures, run_suite

__all__ = [
    "SUITES",
    "Cost",
    "Row",
    "Suite",
    "comparison",
    "cost",
    "draw_curves",
    "find_pictures",
    "gains",
    "markdown",
    "measured_peak",
    "run_suite",
    "side_by_side",
]
