"""Our restoration as a `Reconstructor` of deepinv: `model(y, physics)` (extra `physics`).

The other way round needs nothing: `restore(y, physics)` takes deepinv's physics as an operator.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from hybridprior.config import RestoreConfig
from hybridprior.errors import ConfigError
from hybridprior.generators import Generator
from hybridprior.overrides import Overrides
from hybridprior.regularisers import Regulariser
from hybridprior.restoration import restore_with

if TYPE_CHECKING:
    from deepinv.models import Reconstructor

__all__ = ["reconstructor"]


def reconstructor(
    *,
    preset: str = "balanced",
    config: RestoreConfig | None = None,
    sigma: float | None = None,
    generator: str | Generator | None = None,
    regulariser: str | Regulariser | None = None,
    weight: float | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
) -> Reconstructor:
    """Return a `deepinv.models.Reconstructor` that restores each image of a batch by itself.

    The noise is the physics' own where `sigma` is not given. Nothing is learned: the model has no parameters, and no
    gradient goes through it. It runs where y is.

    Args:
        preset: As of `restore`, and so are the others.
        config: The whole configuration, in place of a preset.
        sigma: Standard deviation of the noise.
        generator: f_theta.
        regulariser: R.
        weight: lambda.
        max_steps: The most steps.
        seed: Seed of everything that is drawn.

    Raises:
        ConfigError: deepinv is not installed.
    """
    overrides = Overrides(generator=generator, regulariser=regulariser, weight=weight, max_steps=max_steps, seed=seed)

    def one(y: torch.Tensor, physics: Any) -> torch.Tensor:
        result = restore_with(y, physics, overrides, preset=preset, config=config, sigma=sigma, device=str(y.device))
        return result.image.to(y)

    return _model()(one)  # type: ignore[no-any-return]


@functools.cache
def _model() -> Any:
    """Return the class, which can be made only where deepinv is."""
    try:
        from deepinv.models import Reconstructor
    except ImportError as error:
        raise ConfigError("deepinv is not installed; pip install 'hybridprior[physics]'.") from error

    class HybridPrior(Reconstructor):
        """min over theta of E(A f_theta(z); y) + lambda R(f_theta(z)) for each image."""

        def __init__(self, one: Any) -> None:
            super().__init__()
            self.one = one

        def forward(self, y: torch.Tensor, physics: Any) -> torch.Tensor:
            """Return the images `(B, C, H, W)` behind the measurements y, whose first axis is the batch."""
            with torch.enable_grad():
                return torch.cat([self.one(each[None], physics) for each in y.detach()])

    return HybridPrior
