"""Stopping rules, by name in `STOPPING_RULES`. A new rule is one file here and one import below."""

from hybridprior.stopping.base import STOPPING_RULES, StoppingRule, Verdict, build_stopping_rule
from hybridprior.stopping.fixed import Fixed, FixedConfig
from hybridprior.stopping.heldout import Heldout, HeldoutConfig
from hybridprior.stopping.variance import Variance, VarianceConfig

__all__ = [
    "STOPPING_RULES",
    "Fixed",
    "FixedConfig",
    "Heldout",
    "HeldoutConfig",
    "StoppingRule",
    "Variance",
    "VarianceConfig",
    "Verdict",
    "build_stopping_rule",
]
