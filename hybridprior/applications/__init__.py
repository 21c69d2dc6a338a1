"""Other applications of the equation: flash/no-flash pairs, feature inversion, activation maximisation, comparison of
priors, and the reconstructor for deepinv.
"""

from hybridprior.applications.activation_maximisation import Activation, Score, score_of
from hybridprior.applications.feature_inversion import Features, features_of
from hybridprior.applications.flash import Guided, restore_flash
from hybridprior.applications.prior_comparison import PRIORS, compare_priors

__all__ = [
    "PRIORS",
    "Activation",
    "Features",
    "Guided",
    "Score",
    "compare_priors",
    "features_of",
    "restore_flash",
    "score_of",
]
