"""Restoration of one image with two priors: the structure of a network (Deep Image Prior), and a pretrained network.

min over theta of  E(A f_theta(z); y) + lambda R(f_theta(z))

The public names are imported at their first use, so that `import hybridprior` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Blur": "operators",
    "Compose": "operators",
    "ConfigError": "errors",
    "BayerMosaic": "operators",
    "Gaussian": "fidelities",
    "Diagnosis": "analysis.diagnosis",
    "Generator": "generators",
    "Huber": "fidelities",
    "HybridPriorError": "errors",
    "Identity": "operators",
    "InputError": "errors",
    "Jpeg": "operators",
    "Laplace": "fidelities",
    "Mask": "operators",
    "NoiseModel": "noise_model",
    "Operator": "operators",
    "OutputError": "errors",
    "Component": "config",
    "Overrides": "overrides",
    "Poisson": "fidelities",
    "Problem": "problem",
    "Regulariser": "regularisers",
    "Downsample": "operators",
    "RestoreConfig": "config",
    "Result": "result",
    "ShapeError": "errors",
    "GradientSolver": "solvers.gradient",
    "SolverConfig": "config",
    "SplittingConfig": "config",
    "Status": "result",
    "Step": "result",
    "StoppingRule": "stopping",
    "TotalVariation": "regularisers",
    "WeightsError": "errors",
    "Crop": "operators",
    "ablate": "evaluation.ablation",
    "diagnose": "analysis.diagnosis",
    "estimate_noise": "analysis.estimate",
    "estimate_sigma": "analysis.noise",
    "load_denoiser": "denoisers",
    "make_psf": "operators.kernels",
    "preset": "presets",
    "read_image": "io.files",
    "restore": "restoration",
    "restore_with_uncertainty": "uncertainty",
    "write_image": "io.files",
}

__all__ = [
    "Blur",
    "Compose",
    "ConfigError",
    "BayerMosaic",
    "Gaussian",
    "Diagnosis",
    "Generator",
    "Huber",
    "HybridPriorError",
    "Identity",
    "InputError",
    "Jpeg",
    "Laplace",
    "Mask",
    "NoiseModel",
    "Operator",
    "OutputError",
    "Component",
    "Overrides",
    "Poisson",
    "Problem",
    "Regulariser",
    "Downsample",
    "RestoreConfig",
    "Result",
    "ShapeError",
    "GradientSolver",
    "SolverConfig",
    "SplittingConfig",
    "Status",
    "Step",
    "StoppingRule",
    "TotalVariation",
    "WeightsError",
    "Crop",
    "ablate",
    "diagnose",
    "estimate_noise",
    "estimate_sigma",
    "load_denoiser",
    "make_psf",
    "preset",
    "read_image",
    "restore",
    "restore_with_uncertainty",
    "write_image",
    "__version__",
]

if TYPE_CHECKING:
    from hybridprior.analysis.diagnosis import Diagnosis, diagnose
    from hybridprior.analysis.estimate import estimate_noise
    from hybridprior.analysis.noise import estimate_sigma
    from hybridprior.config import Component, RestoreConfig, SolverConfig, SplittingConfig
    from hybridprior.denoisers import load_denoiser
    from hybridprior.errors import ConfigError, HybridPriorError, InputError, OutputError, ShapeError, WeightsError
    from hybridprior.evaluation.ablation import ablate
    from hybridprior.fidelities import Gaussian, Huber, Laplace, Poisson
    from hybridprior.generators import Generator
    from hybridprior.io.files import read_image, write_image
    from hybridprior.noise_model import NoiseModel
    from hybridprior.operators import BayerMosaic, Blur, Compose, Crop, Downsample, Identity, Jpeg, Mask, Operator
    from hybridprior.operators.kernels import make_psf
    from hybridprior.overrides import Overrides
    from hybridprior.presets import preset
    from hybridprior.problem import Problem
    from hybridprior.regularisers import Regulariser, TotalVariation
    from hybridprior.restoration import restore
    from hybridprior.result import Result, Status, Step
    from hybridprior.solvers.gradient import GradientSolver
    from hybridprior.stopping import StoppingRule
    from hybridprior.uncertainty import restore_with_uncertainty


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'hybridprior' has no attribute '{name}'")
    return getattr(importlib.import_module(f"hybridprior.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
