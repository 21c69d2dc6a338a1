"""A: the operators, by name in `OPERATORS`. A new one is one file here and one line below."""

from hybridprior.operators.base import OPERATORS, CallableOperator, Operator, as_operator
from hybridprior.operators.blur import BOUNDARIES, Blur
from hybridprior.operators.compose import Compose
from hybridprior.operators.demosaic import PATTERNS, Demosaic
from hybridprior.operators.identity import Identity
from hybridprior.operators.jpeg import Jpeg
from hybridprior.operators.mask import Mask
from hybridprior.operators.physics import PhysicsOperator
from hybridprior.operators.resample import KERNELS, Resample
from hybridprior.operators.window import Window

__all__ = [
    "BOUNDARIES",
    "KERNELS",
    "OPERATORS",
    "PATTERNS",
    "Blur",
    "CallableOperator",
    "Compose",
    "Demosaic",
    "Identity",
    "Jpeg",
    "Mask",
    "Operator",
    "PhysicsOperator",
    "Resample",
    "Window",
    "as_operator",
]
