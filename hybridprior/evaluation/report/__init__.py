"""A self-contained HTML report: before and after, curves, tables, stacking weights.

`from_folder` and `from_result` return the content of a page; `render` returns its HTML.
"""

from hybridprior.evaluation.report.embed import embed
from hybridprior.evaluation.report.folder import from_folder
from hybridprior.evaluation.report.page import Candidate, Curve, Deviation, Fusion, Page, Run, Scene, Shown
from hybridprior.evaluation.report.render import MARK, render
from hybridprior.evaluation.report.restored import from_result, from_sidecar
from hybridprior.evaluation.tables import Column, Table

__all__ = [
    "MARK",
    "Candidate",
    "Column",
    "Curve",
    "Deviation",
    "Fusion",
    "Page",
    "Run",
    "Scene",
    "Shown",
    "Table",
    "embed",
    "from_folder",
    "from_result",
    "from_sidecar",
    "render",
]
