"""f_theta with its fixed input z, on the device and in the arithmetic of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hybridprior._internal.device import Precision
from hybridprior._internal.random import stream
from hybridprior.config import RestoreConfig
from hybridprior.generators.base import Generator
from hybridprior.problem import Problem
from hybridprior.solvers.cuda_graphs import GraphedGenerator, evaluated
from hybridprior.solvers.input_noise import InputNoise

__all__ = ["Network"]


@dataclass(frozen=True, eq=False)
class Network:
    """A generator, its input and how it is evaluated."""

    generator: Generator
    """f_theta."""
    z: torch.Tensor
    """The input, mostly `(1, D, H, W)`."""
    f_theta: Callable[[torch.Tensor], torch.Tensor]
    """z -> f_theta(z) in float32; as CUDA graphs where that is possible."""
    input_noise: InputNoise
    """Returns z with fresh noise."""
    precision: Precision
    """The arithmetic in use."""

    @classmethod
    def of(cls, generator: Generator, problem: Problem, config: RestoreConfig, precision: Precision) -> Network:
        """Return a generator on the device of the measurements, with z drawn.

        Args:
            generator: f_theta; it is moved.
            problem: The measurements; the shape of the image.
            config: The noise on z, and the seed.
            precision: The requested arithmetic.
        """
        device = problem.y.device
        layout = torch.channels_last if precision.channels_last else torch.contiguous_format
        z = generator.input(generator.padded(problem.shape), stream(config.seed, "z")).to(device)
        generator = generator.to(device).to(memory_format=layout)
        z = z.to(memory_format=layout) if z.ndim == 4 else z
        f_theta = evaluated(generator, z, precision)
        used = dataclasses.replace(precision, graphs=isinstance(f_theta, GraphedGenerator))
        std = config.solver.input_noise_std if generator.uses_input_noise else 0.0
        return cls(generator, z, f_theta, InputNoise(z, std, seed=config.seed), used)
