"""How uncertain a picture is: samples of the posterior, and standard deviations fitted to what they have not seen."""

from hybridprior.uncertainty.base import METHODS, Uncertainty, UncertaintyConfig
from hybridprior.uncertainty.calibration import Calibration, calibration
from hybridprior.uncertainty.langevin import Langevin
from hybridprior.uncertainty.reliability import draw_reliability
from hybridprior.uncertainty.restoration import check_sampled, restore_with_uncertainty

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
