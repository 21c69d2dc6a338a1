"""Perceptual loss: the distance in the feature space of a pretrained network.

    R(x) = N/2  sum_l w_l  mean |phi_l(x) - phi_l(g)|^2 / var phi_l(g)

Perceptual losses (Johnson, Alahi, Fei-Fei, ECCV 2016, eq. 2) and the feature inversion of Deep Image Prior (section
"Activation maximization and inversion") have this form. The distance of the features phi_l of layer l is divided by
their variance. N is the number of intensities in the image, so that R is in the order of the NLL of the pixels when the
features differ as those of a shuffled guide. g is a guide image, or y, which is then compared with A x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from hybridprior._internal.device import choose_precision
from hybridprior.errors import ConfigError, ShapeError, unknown_name
from hybridprior.regularisers.backbone import TimmStages
from hybridprior.regularisers.base import REGULARISERS, Regulariser

if TYPE_CHECKING:
    from hybridprior.operators import Operator
    from hybridprior.problem import Problem

__all__ = ["PerceptualConfig", "Perceptual"]

TARGETS = ("guide", "measurements")


@dataclass(frozen=True)
class PerceptualConfig:
    """The network, its layers, and the target of the comparison."""

    network: str = "shipped"
    """The encoder of a denoiser ("shipped", "file:PATH") or a network of timm ("timm:NAME")."""
    weights: str | None = None
    """File of the weights of a timm network; if not given, timm loads its own from the hub or the cache."""
    layers: tuple[int, ...] = ()
    """Numbers of the layers; 0 is the finest. Empty for all."""
    layer_weights: tuple[float, ...] = ()
    """w_l, one for each layer, normalised to the sum 1. Empty for equal weights."""
    target: str = "guide"
    """"guide" compares x with the guide image, "measurements" A x with y."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for an unknown target, and for weights that do not fit the layers."""
        if self.target not in TARGETS:
            raise unknown_name("target of 'feature'", self.target, TARGETS)
        if self.layer_weights and (len(self.layer_weights) != len(self.layers) or not sum(self.layer_weights) > 0):
            raise ConfigError("feature: give one weight for each layer, with a positive sum.")


@REGULARISERS.register("feature")
class Perceptual(Regulariser):
    """R(x) = N/2 times the mean squared distance of the features, divided by the variance of the guide's features."""

    Config = PerceptualConfig

    def __init__(self, config: PerceptualConfig | None = None, *, guide: torch.Tensor | None = None) -> None:
        """Load the network.

        Args:
            config: `PerceptualConfig()` if not given.
            guide: The guide image `(1, C, H, W)`, intensity in [0, 1]; by default the operator's initial estimate.

        Raises:
            ConfigError: An unknown network or layer.
            WeightsError: Weights that cannot be used.
        """
        super().__init__()
        self.config = config or PerceptualConfig()
        self.encoder = _encoder(self.config)
        self.guide = guide
        self.operator: Operator | None = None
        self.weights: torch.Tensor | None = None
        self.precision = "auto"
        self.target: list[torch.Tensor] = []

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Compute the features of the guide or of the measurements.

        Raises:
            ShapeError: The shape of the guide differs from that of the image, or the measurements are no image.
        """
        if self.config.target == "measurements":
            self.operator, self.weights, target = problem.operator, problem.weights, problem.y
            target = target if self.weights is None else target * self.weights
        else:
            self.operator = None
            target = (
                problem.operator.initial_estimate(problem.filled()) if self.guide is None else self.guide.to(problem.y)
            )
            if target.shape != problem.shape:
                raise ShapeError(
                    f"The guide is {tuple(target.shape)}, but the image is {problem.shape}; resize the guide."
                )
        self.precision = precision
        with torch.no_grad():
            self.target = self._features(target)

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return R(x) in nats, a scalar.

        Raises:
            ConfigError: `prepare` was not called.
        """
        if not self.target:
            raise ConfigError("The feature regulariser has no guide yet; call prepare(problem) first.")
        if self.operator is not None:
            x = self.operator(x) if self.weights is None else self.operator(x) * self.weights
        features = self._features(x)
        shares = self.config.layer_weights or (1.0,) * len(features)
        count, total = x.numel(), x.new_zeros(())
        for share, ours, theirs in zip(shares, features, self.target, strict=True):
            variance = theirs.var(dim=(-2, -1), correction=0).mean().clamp_min(1e-6)
            total = total + share / sum(shares) * (ours - theirs).square().mean() / variance
        return count / 2 * total

    def _features(self, x: torch.Tensor) -> list[torch.Tensor]:
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ShapeError(f"The feature regulariser needs images (B, 1 or 3, H, W), not {tuple(x.shape)}.")
        precision = choose_precision(x.device, self.precision)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision.bf16):
            maps = self.encoder(x.float().expand(-1, 3, -1, -1))
        try:
            chosen = [maps[layer] for layer in self.config.layers] if self.config.layers else maps
        except IndexError as error:
            raise ConfigError(
                f"'{self.config.network}' has layers 0 to {len(maps) - 1}; choose layers among them."
            ) from error
        return [layer.float() for layer in chosen]


Encoder = Callable[[torch.Tensor], Sequence[torch.Tensor]]


def _encoder(config: PerceptualConfig) -> Encoder:
    scheme, _, name = config.network.partition(":")
    if scheme == "timm":
        return TimmStages(name, config.weights)
    from hybridprior.denoisers import UNetDenoiser, load_denoiser

    denoiser = load_denoiser(config.network)
    if not isinstance(denoiser, UNetDenoiser):
        raise ConfigError(f"'{config.network}' has no encoder for features; use 'shipped' or 'timm:NAME'.")
    return _Encoder(denoiser)


class _Encoder(nn.Module):
    """The encoder of a shipped denoiser."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return self.denoiser.features(x)  # type: ignore[no-any-return, operator]
