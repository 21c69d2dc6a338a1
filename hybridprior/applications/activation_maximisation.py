"""Activation maximisation: the image that a class of a network answers to most, seen through a prior.

Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks", ICLR Workshops 2014, eq. (1); with the network's
structure as the prior, Ulyanov, Vedaldi, Lempitsky, IJCV 2020, section "Activation maximization":

    max over theta of S_c(f_theta(z)),  S_c the number of class c before the softmax
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
    """E = softplus(ceiling - S): as good as -S below the ceiling, and never negative, as the solver needs it."""

    ceiling: float = 1000.0
    """No class answers as much as this."""
    sigma: float = 1.0
    """Without a meaning here; a fidelity has one."""

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
        """Take a class of a network.

        Args:
            network: A function of images `(B, 3, H, W)` that returns numbers `(B, K)`.
            unit: c.
            shape: `(1, C, H, W)` of the image to make.
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
            raise ConfigError(f"The network has classes 0 to {scores.shape[1] - 1}, and no {self.unit}.")
        return scores[:, self.unit : self.unit + 1].float()

    def image_shape(self, shape: Shape) -> Shape:
        """Return the image's shape."""
        return self.shape


def score_of(
    unit: int, network: str | nn.Module, *, shape: Shape = (1, 3, 224, 224), weights: str | None = None
) -> tuple[torch.Tensor, Score]:
    """Return a y and the operator S_c, for `restore(y, score, fidelity=Activation(), stopping="fixed")` to maximise.

    Args:
        unit: c.
        network: timm's name, or a function of images that returns numbers `(B, K)`.
        shape: `(1, C, H, W)` of the image to make.
        weights: File of a timm network's weights; timm's own, from its hub or cache, if not given.

    Raises:
        WeightsError: Weights that cannot be used.
    """
    made = TimmClasses(network, weights) if isinstance(network, str) else network
    return torch.zeros(1, 1), Score(made, unit, shape)
