"""The effect of a prior: the same measurements explained by pixels, by pixels with total variation, and by a network.

Ulyanov, Vedaldi, Lempitsky, IJCV 2020, compare them so in their figures of inversion and activation maximisation:
what differs between the images is the prior alone.
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
"""The priors, with what R is; the network is the preset's."""

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
    """Return what each prior makes of the same measurements, with the same steps and no rule that stops.

    Args:
        y: The measurements, as of `restore`, and so are the others.
        operator: A.
        preset: The network and the steps.
        fidelity: E.
        sigma: Standard deviation of the noise.
        weight: lambda of total variation.
        max_steps: How many steps.
        seed: Seed of everything that is drawn.
        device: "auto", "cpu", "cuda" ...
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
