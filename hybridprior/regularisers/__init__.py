"""Regularisers R, the global prior; `none` is the image-only mode."""

from hybridprior.regularisers.base import REGULARISERS, Regulariser, build_regulariser
from hybridprior.regularisers.none import NoRegulariser
from hybridprior.regularisers.perceptual import FeatureRegulariser
from hybridprior.regularisers.red import DenoiserRegulariser
from hybridprior.regularisers.red_diff import ScoreRegulariser
from hybridprior.regularisers.tv import TotalVariation, total_variation

__all__ = [
    "REGULARISERS",
    "DenoiserRegulariser",
    "FeatureRegulariser",
    "NoRegulariser",
    "Regulariser",
    "ScoreRegulariser",
    "TotalVariation",
    "build_regulariser",
    "total_variation",
]
