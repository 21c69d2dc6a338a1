"""Activation maximisation: the image with the largest score of a class of a network, under a prior.

Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks", ICLR Workshops 2014, eq. (1); with the network's
structure as the prior, Ulyanov, Vedaldi, Lempitsky, IJCV 2020, section "Activation maximization":

    max over theta of S_c(f_theta(z)),  S_c the score of class c before the softmax
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from hybridprior.errors import ConfigError
from hybridprior.operators import Operator
from hybridprior.operators.base import Shape
from hybridprior.regularisers.backbone import TimmClasses

__all__ = ["Activation", "Score", "score_of"]


@dataclass(frozen=True)
class Activation:
    """E = softplus(ceiling - S). Its gradient is that of -S below the ceiling, and it is not negative.

    Example:
        >>> import torch
        >>> from hybridprior.applications import Activation
        >>> float(Activation(ceiling=100.0)(torch.tensor([[30.0]]), torch.zeros(1, 1)))
        70.0
    """

    ceiling: float = 1000.0
    """A number above all scores."""
    sigma: float = 1.0
    """Not used; every fidelity has a sigma."""

    def __call__(self, prediction: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return E, a scalar.

        Args:
            prediction: S, `(1, 1)`.
            y: Not used.
            weights: Not used.
        """
        return F.softplus(self.ceiling - prediction).sum()


class Score(Operator):
    """A x = S_c(x)."""

    images = False

    def __init__(self, network: nn.Module, unit: int, shape: Shape) -> None:
        """Make the operator.

        Args:
            network: A function of images `(B, 3, H, W)` that returns scores `(B, K)`.
            unit: c.
            shape: `(1, C, H, W)` of the image.
        """
        super().__init__()
        self.network, self.unit, self.shape = network, unit, shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return S_c, `(B, 1)`.

        Raises:
            ConfigError: The network has no such class.
        """
        scores: torch.Tensor = self.network(x.expand(-1, 3, -1, -1))
        if not 0 <= self.unit < scores.shape[1]:
            raise ConfigError(f"There is no class {self.unit}; choose one from 0 to {scores.shape[1] - 1}.")
        return scores[:, self.unit : self.unit + 1].float()

    def image_shape(self, shape: Shape) -> Shape:
        """Return the shape of the image."""
        return self.shape


def score_of(
    unit: int, network: str | nn.Module, *, shape: Shape = (1, 3, 224, 224), weights: str | None = None
) -> tuple[torch.Tensor, Score]:
    """Return y and the operator S_c for `restore(y, score, fidelity=Activation(), stopping="fixed")`.

    Args:
        unit: c.
        network: Name of a model in timm, or a function of images that returns scores `(B, K)`.
        shape: `(1, C, H, W)` of the image.
        weights: File of the weights of a timm network; if not given, timm loads its own from the hub or the cache.

    Raises:
        WeightsError: The weights cannot be used.

    Example:
        >>> import torch
        >>> from hybridprior.applications import score_of
        >>> y, score = score_of(2, lambda x: x.mean((2, 3)), shape=(1, 3, 8, 8))
        >>> score(torch.ones(1, 3, 8, 8))
        tensor([[1.]])
    """
    made = TimmClasses(network, weights) if isinstance(network, str) else network
    return torch.zeros(1, 1), Score(made, unit, shape)
