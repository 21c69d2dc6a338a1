"""Comparison of priors: the same measurements with pixels, with pixels and total variation, and with a network.

Ulyanov, Vedaldi, Lempitsky, IJCV 2020, make this comparison in their figures of feature inversion and activation
maximisation. The results differ only in the prior.
"""

from __future__ import annotations

import torch

from hybridprior.fidelities import Fidelity
from hybridprior.generators import Pixels, PixelsConfig
from hybridprior.operators import Operator, as_operator
from hybridprior.restoration import restore
from hybridprior.result import Result

__all__ = ["PRIORS", "compare_priors"]

PRIORS = {"pixels": "none", "pixels + tv": "tv", "network": "none"}
"""The priors by name, each with its R; the network is that of the preset."""

NOISE_STD = 0.2
"""Standard deviation of the initial noise of the pixels, in units of intensity."""


def compare_priors(
    y: torch.Tensor,
    operator: Operator | None = None,
    *,
    preset: str = "fast",
    fidelity: Fidelity | None = None,
    sigma: float | None = None,
    weight: float = 1.0,
    max_steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Result]:
    """Return the result of each prior for the same measurements, with the same number of steps.

    The arguments have the meaning that they have for `restore`.

    Args:
        y: The measurements.
        operator: A.
        preset: Name of the preset with the network and the number of steps.
        fidelity: E.
        sigma: Standard deviation of the noise.
        weight: lambda of total variation.
        max_steps: Number of steps.
        seed: Seed of all random numbers.
        device: "auto", "cpu", "cuda" ...

    Example:
        >>> import torch
        >>> from hybridprior.applications import compare_priors
        >>> results = compare_priors(torch.rand(1, 3, 64, 64), sigma=0.1, max_steps=1, device="cpu")
        >>> list(results)
        ['pixels', 'pixels + tv', 'network']
    """
    channels = as_operator(operator).image_shape(tuple(y.shape))[1]  # type: ignore[arg-type]
    pixels = Pixels(channels, PixelsConfig(noise_std=NOISE_STD))
    return {
        name: restore(
            y,
            operator,
            preset=preset,
            fidelity=fidelity,
            sigma=sigma,
            generator=None if name == "network" else pixels,
            regulariser=r,
            weight=weight,
            solver="gradient",
            stopping="fixed",
            max_steps=max_steps,
            seed=seed,
            device=device,
        )
        for name, r in PRIORS.items()
    }
