"""Kernels for the glue between convolutions, which on a GPU costs more than the convolutions of a network so small.

Feature maps are rows of channels, `(pixels, C)`, as channels_last has them in memory; sums are fp32, and of the same
bits every time. Importing this takes Triton.
"""

from hybridprior.generators.cuda.kernels.doubled import gather, merge
from hybridprior.generators.cuda.kernels.mixed import mix, unmix
from hybridprior.generators.cuda.kernels.norm import add_up, collect, differentiate, normalise, settle, slopes

__all__ = ["add_up", "collect", "differentiate", "gather", "merge", "mix", "normalise", "settle", "slopes", "unmix"]
