"""Ablation: grids of parts on clean pictures, what each prior is worth, the impedance of noise, and the spectrum."""

from hybridprior.ablation.attribution import Attribution, Share, attribute, shapley
from hybridprior.ablation.cell import Cell, Job, run_job
from hybridprior.ablation.grid import Combination, Grid, conditions
from hybridprior.ablation.regions import Region, compare, regions
from hybridprior.ablation.run import ablate, gather
from hybridprior.ablation.table import Row, Table

__all__ = [
    "Attribution",
    "Cell",
    "Combination",
    "Grid",
    "Job",
    "Region",
    "Row",
    "Share",
    "Table",
    "ablate",
    "attribute",
    "compare",
    "conditions",
    "gather",
    "regions",
    "run_job",
    "shapley",
]
