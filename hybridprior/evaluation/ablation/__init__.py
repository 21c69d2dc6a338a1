"""Ablation: grids of components on clean images, attribution of the gain, noise impedance, and the spectrum."""

from hybridprior.evaluation.ablation.attribution import attribute, shapley
from hybridprior.evaluation.ablation.cell import Cell, Job, run_job
from hybridprior.evaluation.ablation.contributions import Attribution, Share
from hybridprior.evaluation.ablation.grid import Combination, Grid, conditions
from hybridprior.evaluation.ablation.impedance import Impedance, draw_impedance, impedance, impedance_table
from hybridprior.evaluation.ablation.regions import Region, compare, regions
from hybridprior.evaluation.ablation.run import ablate, gather
from hybridprior.evaluation.ablation.spectrum import Spectrum, correspondence, draw_spectra, spectra, spectra_table
from hybridprior.evaluation.ablation.table import Row, Table

__all__ = [
    "Attribution",
    "Cell",
    "Combination",
    "Grid",
    "Impedance",
    "Job",
    "Region",
    "Row",
    "Share",
    "Spectrum",
    "Table",
    "ablate",
    "attribute",
    "compare",
    "conditions",
    "correspondence",
    "draw_impedance",
    "draw_spectra",
    "gather",
    "impedance",
    "impedance_table",
    "regions",
    "run_job",
    "shapley",
    "spectra",
    "spectra_table",
]
