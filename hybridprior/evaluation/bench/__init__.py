"""The suites of `hprior bench`, with published figures."""

from hybridprior.evaluation.bench.report import gains, markdown, side_by_side
from hybridprior.evaluation.bench.speed import Cost, comparison, cost, draw_curves, measured_peak
from hybridprior.evaluation.bench.suites import (
    SUITES,
    Row,
    Suite,
    Trial,
    find_images,
    measure,
    read_truth,
    run_suite,
    short_name,
)

__all__ = [
    "SUITES",
    "Cost",
    "Row",
    "Suite",
    "Trial",
    "comparison",
    "cost",
    "draw_curves",
    "find_images",
    "gains",
    "markdown",
    "measure",
    "measured_peak",
    "read_truth",
    "run_suite",
    "short_name",
    "side_by_side",
]
