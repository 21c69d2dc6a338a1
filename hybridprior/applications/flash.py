"""Flash/no-flash pairs: a noisy photograph without flash is restored with one of the same scene with flash as z.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", IJCV 2020, section "Flash-no flash reconstruction": z is the image
with flash instead of noise, and y is the image without flash.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from hybridprior._internal.random import drawn
from hybridprior._internal.registry import build_config
from hybridprior.config import RestoreConfig
from hybridprior.errors import ShapeError
from hybridprior.generators import Skip, SkipConfig
from hybridprior.generators.base import Shape
from hybridprior.overrides import Overrides
from hybridprior.presets import preset as find_preset
from hybridprior.resolve import configure, without_fusion
from hybridprior.restoration import restore
from hybridprior.result import Result
from hybridprior.solvers.gradient import Callback

__all__ = ["Guided", "restore_flash"]


class Guided(Skip):
    """The network of Deep Image Prior with an image as z, to which no noise is added."""

    uses_input_noise = False

    def __init__(self, guide: torch.Tensor, channels: int, config: SkipConfig | None = None, *, seed: int = 0) -> None:
        """Construct the network.

        Args:
            guide: z, `(1, K, H, W)`, in the size of the image.
            channels: Channels of the image.
            config: Architecture; `input` and `input_depth` are set for the guide.
            seed: Seed of the initial theta.
        """
        config = dataclasses.replace(config or SkipConfig(), input="noise", input_depth=guide.shape[1])
        with drawn(seed, "theta"):
            super().__init__(channels, config)
        self.guide = guide

    def input(self, shape: Shape, rng: torch.Generator) -> torch.Tensor:
        """Return the guide in the centre of `shape`, padded by repeating its border.

        Raises:
            ShapeError: The guide is larger than the image, which may be a tile.
        """
        down, across = shape[-2] - self.guide.shape[-2], shape[-1] - self.guide.shape[-1]
        if down < 0 or across < 0:
            wanted, given = (f"{side[-1]} x {side[-2]}" for side in (self.guide.shape, shape))
            raise ShapeError(
                f"The guide is {wanted}, larger than the image that is solved at once, {given}. Tiles have no guide: "
                "crop the images, or scale them down."
            )
        top, left = down // 2, across // 2
        return F.pad(self.guide, (left, across - left, top, down - top), mode="replicate")


def restore_flash(
    dim: torch.Tensor,
    flash: torch.Tensor,
    *,
    preset: str = "balanced",
    config: RestoreConfig | None = None,
    sigma: float | None = None,
    max_steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Restore a photograph without flash, guided by one with flash of the same scene.

    Args:
        dim: The noisy photograph without flash, `(1, C, H, W)`, intensity in [0, 1].
        flash: The photograph with flash, `(1, K, H, W)`.
        preset: Name of the preset; the generator is the network of Deep Image Prior.
        config: A configuration, in place of a preset.
        sigma: Standard deviation of the noise in `dim`; estimated if not given.
        max_steps: Maximum number of steps.
        seed: Seed of all random numbers.
        device: "auto", "cpu", "cuda" ...
        callbacks: Called with each `Step`.

    Raises:
        ShapeError: The photographs have different sizes.

    Example:
        >>> import torch
        >>> from hybridprior.applications import restore_flash
        >>> dim, flash = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
        >>> result = restore_flash(dim, flash, preset="fast", sigma=0.1, max_steps=1, device="cpu")
        >>> result.image.shape
        torch.Size([1, 3, 64, 64])
    """
    if dim.ndim != 4 or flash.ndim != 4 or dim.shape[-2:] != flash.shape[-2:]:
        raise ShapeError(f"The photographs are {tuple(dim.shape)} and {tuple(flash.shape)}; align and crop them first.")
    config = configure(
        config or without_fusion(find_preset(preset, "denoise")), Overrides(max_steps=max_steps, seed=seed)
    )
    options = config.generator.options if config.generator.name == "skip" else {}
    network = Guided(flash.float(), dim.shape[1], build_config(SkipConfig, options, part="skip"), seed=seed)
    return restore(dim, config=config, generator=network, sigma=sigma, device=device, callbacks=callbacks)
