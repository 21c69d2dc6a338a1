"""A: the operators, by name in `OPERATORS`. A new one is one file here and one line below."""

from hybridprior.operators.base import OPERATORS, CallableOperator, Operator, as_operator
from hybridprior.operators.identity import Identity
from hybridprior.operators.mask import Mask
from hybridprior.operators.physics import PhysicsOperator
from hybridprior.operators.resample import KERNELS, Resample

__all__ = [
    "KERNELS",
    "OPERATORS",
    "CallableOperator",
    "Identity",
    "Mask",
    "Operator",
    "PhysicsOperator",
    "Resample",
    "as_operator",
]
