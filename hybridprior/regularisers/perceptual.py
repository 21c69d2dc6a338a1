"""Distance in the feature space of a pretrained network as regulariser.

    R(x) = N/2  sum_l w_l  mean |phi_l(x) - phi_l(g)|^2 / var phi_l(g)

Perceptual losses (Johnson, Alahi, Fei-Fei, ECCV 2016, eq. 2) and the feature inversion of Deep Image Prior (section
"Activation maximization and inversion") have this form. A layer's distance is counted in units of the guide's own
variance and N is the number of intensities in the image, so that features as wrong as a shuffled guide's cost about
as many nats as pixels off by their noise. g is a guide image, or y itself, to which A x is then compared.
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
    """Whose features, of which layers, compared with what."""

    network: str = "shipped"
    """A denoiser's encoder ("shipped", "file:PATH") or a network of timm ("timm:NAME")."""
    weights: str | None = None
    """File of a timm network's weights; timm's own, from its hub or cache, if not given."""
    layers: tuple[int, ...] = ()
    """Numbers of the layers, the finest 0; all if empty."""
    layer_weights: tuple[float, ...] = ()
    """w_l, one for each layer, scaled to sum to 1; all the same if empty."""
    target: str = "guide"
    """"guide" compares x with the guide image, "measurements" A x with y."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for an unknown target, and for weights that do not fit the layers."""
        if self.target not in TARGETS:
            raise unknown_name("target of 'feature'", self.target, TARGETS)
        if self.layer_weights and (len(self.layer_weights) != len(self.layers) or not sum(self.layer_weights) > 0):
            raise ConfigError("feature: give one weight for each of the layers, with a positive sum.")


@REGULARISERS.register("feature")
class Perceptual(Regulariser):
    """R(x) = N/2 times the mean squared distance of features, in units of the guide's variance."""

    Config = PerceptualConfig

    def __init__(self, config: PerceptualConfig | None = None, *, guide: torch.Tensor | None = None) -> None:
        """Load the network.

        Args:
            config: `PerceptualConfig()` if not given.
            guide: Image `(1, C, H, W)` to be like, intensity in [0, 1]; the operator's cheap estimate if not given.

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
        self.wanted: list[torch.Tensor] = []

    def prepare(self, problem: Problem, *, steps: int, seed: int, precision: str = "auto") -> None:
        """Take the features of the guide, or of the measurements.

        Raises:
            ShapeError: The guide has another shape than the image, or the measurements are no image.
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
                raise ShapeError(f"The guide is {tuple(target.shape)}, but the image is {problem.shape}.")
        self.precision = precision
        with torch.no_grad():
            self.wanted = self._features(target)

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Return R(x) in nats, a scalar.

        Raises:
            ConfigError: `prepare` was not called, so that there is no guide.
        """
        if not self.wanted:
            raise ConfigError("The feature regulariser has no guide yet; call prepare(problem) first.")
        if self.operator is not None:
            x = self.operator(x) if self.weights is None else self.operator(x) * self.weights
        seen = self._features(x)
        shares = self.config.layer_weights or (1.0,) * len(seen)
        count, total = x.numel(), x.new_zeros(())
        for share, ours, theirs in zip(shares, seen, self.wanted, strict=True):
            variance = theirs.var(dim=(-2, -1), correction=0).mean().clamp_min(1e-6)
            total = total + share / sum(shares) * (ours - theirs).square().mean() / variance
        return count / 2 * total

    def _features(self, x: torch.Tensor) -> list[torch.Tensor]:
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ShapeError(f"The feature regulariser sees grey and colour images, not {tuple(x.shape)}.")
        precision = choose_precision(x.device, self.precision)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision.bf16):
            maps = self.encoder(x.float().expand(-1, 3, -1, -1))
        try:
            chosen = [maps[layer] for layer in self.config.layers] if self.config.layers else maps
        except IndexError as error:
            raise ConfigError(f"'{self.config.network}' has layers 0 to {len(maps) - 1}.") from error
        return [layer.float() for layer in chosen]


Encoder = Callable[[torch.Tensor], Sequence[torch.Tensor]]


def _encoder(config: PerceptualConfig) -> Encoder:
    scheme, _, name = config.network.partition(":")
    if scheme == "timm":
        return TimmStages(name, config.weights)
    from hybridprior.denoisers import UNetDenoiser, load_denoiser

    denoiser = load_denoiser(config.network)
    if not isinstance(denoiser, UNetDenoiser):
        raise ConfigError(f"'{config.network}' has no encoder to take features from; take 'shipped' or 'timm:NAME'.")
    return _Encoder(denoiser)


class _Encoder(nn.Module):
    """The encoder of a shipped denoiser."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return self.denoiser.features(x)  # type: ignore[no-any-return, operator]
