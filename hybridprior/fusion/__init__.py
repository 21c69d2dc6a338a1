"""How much each prior is believed: evidence from held-out measurements, and the fused image."""

from hybridprior.fusion.candidates import FusionConfig
from hybridprior.fusion.solver import restore_fused
from hybridprior.fusion.stacking import FusionWeights, fit_stacking_weights

__all__ = ["FusionWeights", "FusionConfig", "restore_fused", "fit_stacking_weights"]
