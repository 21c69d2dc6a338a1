"""The algorithms that minimise the objective, by name in `SOLVERS`; `fusion` is in `hybridprior.fusion`."""

from hybridprior.solvers.base import SOLVERS, Callback, Solver, as_callbacks
from hybridprior.solvers.components import Components
from hybridprior.solvers.gradient import GradientSolver
from hybridprior.solvers.pnp import PlugAndPlaySolver
from hybridprior.solvers.splitting import SplittingSolver

__all__ = [
    "SOLVERS",
    "Callback",
    "Components",
    "GradientSolver",
    "PlugAndPlaySolver",
    "Solver",
    "SplittingSolver",
    "as_callbacks",
]
