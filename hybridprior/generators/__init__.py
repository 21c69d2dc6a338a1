"""Generators f_theta, by name in `GENERATORS`. A new generator is one file here and one import below."""

from hybridprior.generators.base import GENERATORS, Generator, build_generator
from hybridprior.generators.decoder import Decoder, DecoderConfig
from hybridprior.generators.pixels import Pixels, PixelsConfig
from hybridprior.generators.skip import Skip, SkipConfig

__all__ = [
    "GENERATORS",
    "Decoder",
    "DecoderConfig",
    "Generator",
    "Pixels",
    "PixelsConfig",
    "Skip",
    "SkipConfig",
    "build_generator",
]
