"""The denoiser: what the global prior is made of.

D(x; sigma) is the expectation of the clean image given x = clean + sigma n. By Tweedie's formula (Robbins 1956;
Efron, JASA 2011) the score of the prior smoothed by sigma is (D(x; sigma) - x) / sigma^2, so that any denoiser is a
prior, and a diffusion network is a denoiser for many sigma.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from hybridprior._internal.device import choose_precision
from hybridprior._internal.random import DRAWING
from hybridprior._internal.registry import Registry
from hybridprior.errors import ConfigError, ShapeError
from hybridprior.noise_model import NoiseModel

__all__ = ["DENOISERS", "Denoiser", "as_sigma", "extend", "once"]

Sigma = torch.Tensor | float


class Denoiser(nn.Module):
    """A map from noisy images and their noise level to clean ones.

    Subclasses write `estimate` for images of `channels` channels; `denoise` sees to everything else.
    """

    channels: tuple[int, ...] = (3,)
    """The numbers of channels that `estimate` takes; other images are denoised channel by channel."""

    sigma_range: tuple[float, float] = (0.0, 1.0)
    """Least and greatest sigma that the network knows, in units of intensity; sigma is clipped to it."""

    multiple: int = 1
    """`estimate` takes images whose sides are multiples of this number."""

    views: int = 1
    """Quarter turns of the image that a pass averages over: 4 for a network that prefers no direction, else 1."""

    precision: str = "auto"
    """Arithmetic of the convolutions: "auto", "fp32" or "bf16"."""

    conditioned: bool = False
    """Whether `estimate_conditioned` is there: the network is given a noise model and not its level only."""

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the clean images.

        Args:
            x: Noisy images `(B, C, H, W)` with C in `channels` and H, W multiples of `multiple`.
            sigma: `(B, 1, 1, 1)`, within `sigma_range`.
        """
        raise NotImplementedError

    def estimate_conditioned(self, x: torch.Tensor, level: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """Return the clean images under noise that is not white.

        Args:
            x: Noisy images, as for `estimate`.
            level: Local standard deviation of the noise, `(B, 1, H, W)`, within `sigma_range`.
            planes: How it is correlated and quantised, `(B, P, H, W)`, see `NoiseModel.planes`.
        """
        raise NotImplementedError

    def denoise(self, x: torch.Tensor, sigma: Sigma | NoiseModel, *, look: int | None = None) -> torch.Tensor:
        """Return the clean images, float32, in the shape and on the device of x; differentiable in x.

        Args:
            x: Noisy images `(B, C, H, W)`, intensity in [0, 1] plus noise, any C, H, W >= 1.
            sigma: Standard deviation of the noise in units of intensity: a number, or one for each image `(B,)`. Or
                a noise model, of which a network that is not `conditioned` is given the level only.
            look: The number of this look, where many come after each other: it then costs one view only, and the
                turns average out over the looks (Terris et al., "Equivariant Plug-and-Play", CVPR 2024).

        Raises:
            ShapeError: x is not a batch of images, or there is not one sigma for each.
            ConfigError: A sigma that is negative or not a number.
        """
        if x.ndim != 4 or min(x.shape) < 1:
            raise ShapeError(f"A denoiser takes images (B, C, H, W), not {tuple(x.shape)}.")
        turns = range(self.views) if look is None else [look % self.views]
        if isinstance(sigma, NoiseModel):
            model, sigma = sigma, sigma.sigma
            if self.conditioned and not (model.is_white and len(model.levels) == 1):
                level = model.level_map(x).expand(-1, -1, *x.shape[-2:])
                return self._by_channel(x, torch.cat([level, model.planes(level)], 1), turns)
        return self._by_channel(x, as_sigma(sigma, x), turns)

    def _by_channel(self, x: torch.Tensor, known: torch.Tensor, turns: Sequence[int]) -> torch.Tensor:
        """Denoise the image, or each of its channels as a grey one where the network does not take them together."""
        if x.shape[1] in self.channels:
            return self._padded(x, known, turns)
        count = self.channels[0]
        grey = x.flatten(0, 1)[:, None].expand(-1, count, -1, -1)
        return self._padded(grey, known.repeat_interleave(x.shape[1], 0), turns).mean(1).reshape(x.shape)

    def _estimated(self, x: torch.Tensor, known: torch.Tensor, turn: int) -> torch.Tensor:
        """Return what the network makes of a turned image: sigma is known of its noise, or level map and planes."""
        sigma = known[:, :1].clamp(*self.sigma_range)
        if known.shape[1] == 1:
            return self.estimate(x, sigma)
        maps = torch.rot90(torch.cat([sigma, known[:, 1:]], 1), turn, (2, 3))
        return self.estimate_conditioned(x, maps[:, :1], maps[:, 1:])

    def _padded(self, x: torch.Tensor, known: torch.Tensor, turns: Sequence[int]) -> torch.Tensor:
        height, width = x.shape[-2:]
        x = extend(x, self.multiple)
        if known.shape[1] > 1:
            known = extend(known, self.multiple)
        precision = choose_precision(x.device, self.precision)
        layout = torch.channels_last if precision.channels_last else torch.contiguous_format
        found = torch.zeros_like(x, dtype=torch.float32)
        for turn in turns:
            turned = torch.rot90(x.float(), turn, (2, 3)).contiguous(memory_format=layout)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=precision.bf16):
                clean = self._estimated(turned, known, turn)
            if clean.shape != turned.shape:
                given, made = tuple(turned.shape), tuple(clean.shape)
                raise ShapeError(f"A denoiser returns an image of the shape it was given, {given}, not {made}.")
            found = found + torch.rot90(clean.float(), -turn, (2, 3))
        return (found / len(turns))[..., :height, :width]


def as_sigma(sigma: Sigma, x: torch.Tensor) -> torch.Tensor:
    """Return sigma as a tensor `(B, 1, 1, 1)` beside x.

    Args:
        sigma: A number, or one for each image `(B,)` or `(B, 1, 1, 1)`.
        x: The images `(B, C, H, W)`.

    Raises:
        ShapeError: There is not one sigma for each image.
        ConfigError: A sigma that is negative or not a number.
    """
    level = torch.as_tensor(sigma, dtype=torch.float32, device=x.device)
    if level.numel() not in (1, len(x)):
        raise ShapeError(f"sigma is one number or one for each of {len(x)} images, not {tuple(level.shape)}.")
    if not bool((torch.isfinite(level) & (level >= 0)).all()):
        raise ConfigError("sigma is a number, 0 or more, in units of intensity, [0, 1].")
    return level.reshape(-1, 1, 1, 1).expand(len(x), -1, -1, -1)


def extend(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Return x with sides that are multiples, mirrored at its last row and column: repeated noise would make streaks.

    Args:
        x: Images `(B, C, H, W)`, any H, W >= 1.
        multiple: What the sides are to be multiples of.
    """
    for side in (-2, -1):
        while missing := -x.shape[side] % multiple:
            step = min(missing, x.shape[side] - 1)
            pad = (0, 0, 0, max(step, 1)) if side == -2 else (0, max(step, 1), 0, 0)
            x = nn.functional.pad(x, pad, mode="reflect" if step else "replicate")
    return x


def once(read: Callable[[Path], Denoiser], path: Path) -> Denoiser:
    """Return the denoiser of a file or a folder, read once a process, and again if it has changed.

    Each call returns a copy, whose weights may be tuned.

    Args:
        read: What reads it.
        path: Where it is.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file())
    key = (path, read.__qualname__)
    with DRAWING:  # the weights are drawn before they are read
        known = READ.get(key)
        if known is None or known[0] != stamps:
            READ.clear()  # of large networks there is room for one
            known = READ[key] = (stamps, read(path))
    return copy.deepcopy(known[1])


READ: dict[tuple[Path, str], tuple[tuple, Denoiser]] = {}
"""What `once` has read."""

DENOISERS: Registry[Callable[[], Denoiser]] = Registry("denoiser")
