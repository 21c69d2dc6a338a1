"""The fusion: candidates by a network and a denoiser, combined by stacking weights."""

from hybridprior.fusion.config import FinetuneConfig, FusionConfig, FutilityConfig, NoiseCheckConfig, StackingConfig
from hybridprior.fusion.registered import FusionSolver
from hybridprior.fusion.solver import restore_fused
from hybridprior.fusion.stacking import fit_stacking_weights
from hybridprior.fusion.strategy import FusionStrategy, NoiseCheck
from hybridprior.fusion_weights import FusionWeights

__all__ = [
    "FinetuneConfig",
    "FusionConfig",
    "FusionSolver",
    "FusionStrategy",
    "FusionWeights",
    "FutilityConfig",
    "NoiseCheck",
    "NoiseCheckConfig",
    "StackingConfig",
    "fit_stacking_weights",
    "restore_fused",
]
