"""The message of a fusion: the stacking weights in words."""

from __future__ import annotations

from hybridprior.fusion.config import StackingConfig
from hybridprior.fusion.strategy import FusionStrategy, NoiseCheck
from hybridprior.fusion_weights import FusionWeights

__all__ = ["describe"]


def describe(
    fusion_weights: FusionWeights,
    strategy: FusionStrategy,
    noise: NoiseCheck,
    config: StackingConfig,
    *,
    nominal_sigma: float,
) -> str:
    """Return the weights in words, and the noise level where it is not the nominal one.

    Args:
        fusion_weights: The weights.
        strategy: How the image was fused.
        noise: What the measurements show of their noise.
        config: The thresholds of the weights.
        nominal_sigma: The nominal noise level, in units of intensity.

    Example:
        >>> from hybridprior.fusion.strategy import SITUATIONS
        >>> from hybridprior.fusion_weights import uniform_weights
        >>> weights, noise = uniform_weights(["local", "global"], (1, 3, 8, 8)), NoiseCheck(True, None, True)
        >>> describe(weights, SITUATIONS["correlated"], noise, StackingConfig(), nominal_sigma=0.1)
        'The noise of neighbouring pixels is correlated...equal weights, network 50 %, denoiser 50 %.'
    """
    level, estimated = "", noise.estimated_sigma
    if estimated is not None:
        level = f" The estimated noise level is {255 * estimated:.3g}/255, not {255 * nominal_sigma:.3g}/255."
    if fusion_weights.kind == "none":
        return (
            "The noise of neighbouring pixels is correlated, so that no measurements are independent: equal weights, "
            f"{fusion_weights.shares}.{level}"
        )
    kind = " and ".join(strategy.preferred) if fusion_weights.kind == "few" else fusion_weights.kind
    network = fusion_weights.max_weight("local") >= config.min_weight
    refitted = fusion_weights.max_weight("local", "warm_started") >= config.min_refit_weight
    but = ", in the network's part all but the validation measurements" if network and not refitted else ""
    return f"Stacking weights: {fusion_weights.shares} ({kind}). All measurements are in the image{but}.{level}"
