"""What else the equation is good for: flash and no flash, feature inversion, activation maximisation, comparisons."""

from hybridprior.uses.activation import Activation, Score, score_of
from hybridprior.uses.comparison import PRIORS, compare_priors
from hybridprior.uses.flash import Guided, restore_flash
from hybridprior.uses.inversion import Features, features_of

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
