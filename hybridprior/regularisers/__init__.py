"""Regularisers R, the prior on images, by name in `REGULARISERS`; `none` is the image-only mode."""

from hybridprior.regularisers.base import REGULARISERS, Regulariser, build_regulariser
from hybridprior.regularisers.none import NoRegulariser
from hybridprior.regularisers.perceptual import Perceptual
from hybridprior.regularisers.red import RED
from hybridprior.regularisers.red_diff import REDDiff
from hybridprior.regularisers.tv import TotalVariation, total_variation

__all__ = [
    "REGULARISERS",
    "RED",
    "Perceptual",
    "NoRegulariser",
    "Regulariser",
    "REDDiff",
    "TotalVariation",
    "build_regulariser",
    "total_variation",
]
