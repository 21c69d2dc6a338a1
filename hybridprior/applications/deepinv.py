"""The restoration as a `Reconstructor` of deepinv: `model(y, physics)` (extra `physics`).

`restore(y, physics)` in turn accepts physics of deepinv as an operator.
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
    """Return a `deepinv.models.Reconstructor` that restores the images of a batch one by one.

    If `sigma` is not given, the noise is that of the physics. The model has no parameters and no gradient. It runs on
    the device of y. The arguments have the meaning that they have for `restore`.

    Args:
        preset: Name of a preset.
        config: A configuration, in place of a preset.
        sigma: Standard deviation of the noise.
        generator: f_theta.
        regulariser: R.
        weight: lambda.
        max_steps: Maximum number of steps.
        seed: Seed of all random numbers.

    Raises:
        ConfigError: deepinv is not installed.

    Example:
        >>> import torch
        >>> from deepinv.physics import Denoising
        >>> from hybridprior.applications.deepinv import reconstructor
        >>> model = reconstructor(preset="fast", generator="pixels", regulariser="tv", sigma=0.1, max_steps=2)
        >>> model(torch.rand(2, 3, 16, 16), Denoising()).shape
        torch.Size([2, 3, 16, 16])
    """
    overrides = Overrides(generator=generator, regulariser=regulariser, weight=weight, max_steps=max_steps, seed=seed)

    def one(y: torch.Tensor, physics: Any) -> torch.Tensor:
        result = restore_with(y, physics, overrides, preset=preset, config=config, sigma=sigma, device=str(y.device))
        return result.image.to(y)

    return _model()(one)  # type: ignore[no-any-return]


@functools.cache
def _model() -> Any:
    """Return the class, which needs deepinv."""
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
            """Return the restored images `(B, C, H, W)` of the measurements y, whose first axis is the batch."""
            with torch.enable_grad():
                return torch.cat([self.one(each[None], physics) for each in y.detach()])

    return HybridPrior
