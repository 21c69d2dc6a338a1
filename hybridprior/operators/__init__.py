"""The operators A, by name in `OPERATORS`. A new one is one file here and one line below."""

from hybridprior.operators.base import OPERATORS, CallableOperator, Operator
from hybridprior.operators.bayer import PATTERNS, BayerMosaic
from hybridprior.operators.blur import BOUNDARIES, Blur
from hybridprior.operators.compose import Compose
from hybridprior.operators.convert import as_operator
from hybridprior.operators.crop import Crop
from hybridprior.operators.deepinv import PhysicsOperator
from hybridprior.operators.downsample import KERNELS, Downsample
from hybridprior.operators.identity import Identity
from hybridprior.operators.jpeg import Jpeg
from hybridprior.operators.mask import Mask

__all__ = [
    "BOUNDARIES",
    "KERNELS",
    "OPERATORS",
    "PATTERNS",
    "Blur",
    "CallableOperator",
    "Compose",
    "BayerMosaic",
    "Identity",
    "Jpeg",
    "Mask",
    "Operator",
    "PhysicsOperator",
    "Downsample",
    "Crop",
    "as_operator",
]
