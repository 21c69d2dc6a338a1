"""The fidelities E, by name in `FIDELITIES`. A new one is one file here and one line below."""

from hybridprior.fidelities.base import CLEAN, FIDELITIES, ROBUST, SIGMA_FLOOR, SIGMA_MOST, Fidelity
from hybridprior.fidelities.gaussian import Gaussian
from hybridprior.fidelities.poisson import DARK, Poisson
from hybridprior.fidelities.robust import Huber, Laplace

__all__ = [
    "CLEAN",
    "DARK",
    "FIDELITIES",
    "ROBUST",
    "SIGMA_FLOOR",
    "SIGMA_MOST",
    "Fidelity",
    "Gaussian",
    "Huber",
    "Laplace",
    "Poisson",
]
