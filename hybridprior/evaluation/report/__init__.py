"""One self-contained HTML page about what was restored: before and after, curves, tables, who helped.

`from_folder` and `from_result` say what a page shows; `render` makes it HTML.
"""

from hybridprior.evaluation.report.embed import embed
from hybridprior.evaluation.report.folder import from_folder
from hybridprior.evaluation.report.page import Believed, Curve, Deviation, Page, Run, Scene, Share, Shown
from hybridprior.evaluation.report.render import MARK, render
from hybridprior.evaluation.report.restored import from_result, from_sidecar
from hybridprior.evaluation.tables import Column, Table

__all__ = [
    "MARK",
    "Believed",
    "Column",
    "Curve",
    "Deviation",
    "Page",
    "Run",
    "Scene",
    "Share",
    "Shown",
    "Table",
    "embed",
    "from_folder",
    "from_result",
    "from_sidecar",
    "render",
]
