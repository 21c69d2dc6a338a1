"""R: the regularisers, by name in `REGULARISERS`. A new one is one file here and one line below."""

from hybridprior.regularisers.base import REGULARISERS, Regulariser, build_regulariser
from hybridprior.regularisers.none import NoneConfig, NoRegulariser
from hybridprior.regularisers.tv import TotalVariation, TotalVariationConfig, total_variation

__all__ = [
    "REGULARISERS",
    "NoRegulariser",
    "NoneConfig",
    "Regulariser",
    "TotalVariation",
    "TotalVariationConfig",
    "build_regulariser",
    "total_variation",
]
