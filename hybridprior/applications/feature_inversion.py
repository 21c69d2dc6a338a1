"""Feature inversion: the image with given features in one stage of a network, under a prior.

Mahendran, Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015; with the network's
structure as the prior, the "natural pre-image" of Ulyanov, Vedaldi, Lempitsky, IJCV 2020:

    min over theta of |phi(f_theta(z)) - phi(x0)|^2

This is the equation of restoration with A = phi and y = phi(x0).
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
"""Standard deviation of the features in E, in units of their own standard deviation."""


class Features(Operator):
    """A x = phi_l(x) / s: the features of a stage, divided by their standard deviation s."""

    images = False

    def __init__(self, network: nn.Module, layer: int, shape: Shape, std: float = 1.0) -> None:
        """Make the operator.

        Args:
            network: A function of images `(B, 3, H, W)` that returns a sequence of feature maps.
            layer: Number of the stage; 0 is the finest.
            shape: `(1, C, H, W)` of the image.
            std: s.
        """
        super().__init__()
        self.network, self.layer, self.shape, self.std = network, layer, shape, std

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of the stage, `(B, K, h, w)`.

        Raises:
            ConfigError: The network has no such stage.
        """
        maps: Sequence[torch.Tensor] = self.network(x.expand(-1, 3, -1, -1))
        if not -len(maps) <= self.layer < len(maps):
            raise ConfigError(f"The network has stages 0 to {len(maps) - 1}, not {self.layer}; choose one of them.")
        return maps[self.layer].float() / self.std

    def image_shape(self, shape: Shape) -> Shape:
        """Return the shape of the image."""
        return self.shape


def features_of(
    image: torch.Tensor, network: str | nn.Module, *, layer: int, weights: str | None = None
) -> tuple[torch.Tensor, Features]:
    """Return y = phi(x0) and the operator phi for `restore(y, phi, sigma=0.1, stopping="fixed")`.

    Args:
        image: x0, `(1, 1 or 3, H, W)`, intensity in [0, 1].
        network: Name of a model in timm, or a function of images that returns a sequence of feature maps.
        layer: Number of the stage; 0 is the finest.
        weights: File of the weights of a timm network; if not given, timm loads its own from the hub or the cache.

    Raises:
        ConfigError: The network has no such stage.
        WeightsError: The weights cannot be used.

    Example:
        >>> import torch
        >>> from hybridprior.applications import features_of
        >>> image = torch.rand(1, 3, 8, 8)
        >>> y, phi = features_of(image, lambda x: [x, x[..., ::2, ::2]], layer=1)
        >>> y.shape, bool(torch.equal(phi(image), y))
        (torch.Size([1, 3, 4, 4]), True)
    """
    made = TimmStages(network, weights) if isinstance(network, str) else network
    shape: Shape = (image.shape[0], image.shape[1], image.shape[2], image.shape[3])
    with torch.no_grad():
        std = float(Features(made, layer, shape)(image).std().clamp_min(1e-6))
        phi = Features(made, layer, shape, std)
        return phi(image), phi
