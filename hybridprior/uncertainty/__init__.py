"""Uncertainty: samples of the posterior, and standard deviations fitted to validation measurements."""

from hybridprior.uncertainty.calibration import Calibration, calibration
from hybridprior.uncertainty.config import METHODS, Uncertainty, UncertaintyConfig
from hybridprior.uncertainty.langevin import Langevin
from hybridprior.uncertainty.plot import draw_reliability
from hybridprior.uncertainty.sampler import check_sampled, restore_with_uncertainty

__all__ = [
    "METHODS",
    "Calibration",
    "Langevin",
    "Uncertainty",
    "UncertaintyConfig",
    "calibration",
    "check_sampled",
    "draw_reliability",
    "restore_with_uncertainty",
]
