"""Published figures beside ours: the suites of `hprior bench`."""

from hybridprior.bench.report import comparison, markdown, side_by_side
from hybridprior.bench.suites import SUITES, Row, Suite, find_pictures, run_suite

__all__ = ["SUITES", "Row", "Suite", "comparison", "find_pictures", "markdown", "run_suite", "side_by_side"]
