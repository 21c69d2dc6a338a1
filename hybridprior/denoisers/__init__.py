"""Denoisers, from which the global prior is made. They have one contract: denoise(x, sigma) -> x0."""

from hybridprior.denoisers.base import DENOISERS, Denoiser
from hybridprior.denoisers.load import load_denoiser, owned
from hybridprior.denoisers.pretrained import UNetDenoiser

__all__ = ["DENOISERS", "Denoiser", "UNetDenoiser", "load_denoiser", "owned"]
