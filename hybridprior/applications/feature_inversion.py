"""Feature inversion: what a network still knows of an image in one of its stages, seen through a prior.

Mahendran, Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015; with the network's
structure as the prior, the "natural pre-image" of Ulyanov, Vedaldi, Lempitsky, IJCV 2020:

    min over theta of |phi(f_theta(z)) - phi(x0)|^2

which is the equation of restoration with A = phi and y = phi(x0).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from hybridprior.errors import ConfigError
from hybridprior.operators import Operator
from hybridprior.operators.base import Shape
from hybridprior.regularisers.backbone import TimmStages

__all__ = ["Features", "features_of"]

SIGMA = 0.1
"""How exactly the features are to be met, in units of their own spread."""


class Features(Operator):
    """A x = phi_l(x) / s, a stage of a network in units of its spread s."""

    images = False

    def __init__(self, network: nn.Module, layer: int, shape: Shape, spread: float = 1.0) -> None:
        """Take a stage of a network.

        Args:
            network: A function of images `(B, 3, H, W)` that returns a sequence of feature maps.
            layer: Number of the stage, the finest 0.
            shape: `(1, C, H, W)` of the image.
            spread: s.
        """
        super().__init__()
        self.network, self.layer, self.shape, self.spread = network, layer, shape, spread

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stage's features `(B, K, h, w)`.

        Raises:
            ConfigError: The network has no such stage.
        """
        maps: Sequence[torch.Tensor] = self.network(x.expand(-1, 3, -1, -1))
        if not -len(maps) <= self.layer < len(maps):
            raise ConfigError(f"The network has stages 0 to {len(maps) - 1}, and no {self.layer}.")
        return maps[self.layer].float() / self.spread

    def image_shape(self, shape: Shape) -> Shape:
        """Return the image's shape."""
        return self.shape


def features_of(
    image: torch.Tensor, network: str | nn.Module, *, layer: int, weights: str | None = None
) -> tuple[torch.Tensor, Features]:
    """Return y = phi(x0) and the operator phi, for `restore(y, phi, sigma=0.1, stopping="fixed")` to invert.

    Args:
        image: x0, `(1, 1 or 3, H, W)`, intensity in [0, 1].
        network: timm's name, or a function of images that returns a sequence of feature maps.
        layer: Number of the stage, the finest 0.
        weights: File of a timm network's weights; timm's own, from its hub or cache, if not given.

    Raises:
        ConfigError: The network has no such stage.
        WeightsError: Weights that cannot be used.
    """
    made = TimmStages(network, weights) if isinstance(network, str) else network
    shape: Shape = (image.shape[0], image.shape[1], image.shape[2], image.shape[3])
    with torch.no_grad():
        spread = float(Features(made, layer, shape)(image).std().clamp_min(1e-6))
        phi = Features(made, layer, shape, spread)
        return phi(image), phi
