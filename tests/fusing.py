"""What the tests of the fusion share."""

import torch

from hybridprior import Component, RestoreConfig, SolverConfig
from hybridprior._internal.device import choose_precision
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.fidelities import Gaussian
from hybridprior.fusion import FusionConfig, restore_fused
from hybridprior.generators import build_generator
from hybridprior.operators import Identity
from hybridprior.problem import Problem, Split

SIGMA = 0.1
SMALL = {"down": (16, 32), "up": (16, 32), "skip": (4, 4), "input_depth": 8, "padding": "zeros"}
CONFIG = RestoreConfig(
    generator=Component("skip", SMALL),
    stopping=Component("heldout"),
    solver=SolverConfig(max_steps=150, ema_decay=0.9, optimiser="muon"),
    precision="fp32",
)


def fused(problem: Problem, denoiser, config: RestoreConfig = CONFIG):
    return restore_fused(
        problem,
        build_generator("skip", 3, SMALL),
        config,
        FusionConfig(),
        precision=choose_precision(torch.device("cpu"), "fp32"),
        denoiser=load_denoiser(denoiser),
    )


def recorrupted(x: torch.Tensor, sigma: float = SIGMA) -> Split:
    y = x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return Problem.make(y, Identity(), Gaussian(sigma)).recorrupt(0.12, 0)


def passed(denoiser: Denoiser, problem: Problem) -> torch.Tensor:
    with torch.no_grad():
        return denoiser.denoise(problem.filled(), problem.fidelity.sigma)


def windows() -> torch.Tensor:
    """Return a house front: nothing that the denoiser saw, and the same time and again."""
    window = torch.full((3, 16, 16), 0.6)
    window[:, 4:13, 5:12] = torch.tensor([0.15, 0.2, 0.3])[:, None, None]
    window[:, 4:13, 8] = 0.8
    return window.repeat(1, 4, 4)[None]
