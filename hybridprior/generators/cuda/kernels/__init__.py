"""Triton kernels for the operations between convolutions, which take longer than the convolutions of a small network.

Feature maps are `(pixels, C)`, the memory layout of channels_last. Sums are fp32 and deterministic. Importing this
module needs Triton.
"""

from hybridprior.generators.cuda.kernels.doubled import gather, merge
from hybridprior.generators.cuda.kernels.mixed import mix, unmix
from hybridprior.generators.cuda.kernels.norm import add_up, collect, differentiate, normalise, settle, slopes

__all__ = ["add_up", "collect", "differentiate", "gather", "merge", "mix", "normalise", "settle", "slopes", "unmix"]
