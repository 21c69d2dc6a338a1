"""The denoiser, from which the global prior is made.

D(x; sigma) is the expectation of the clean image given x = clean + sigma n. By Tweedie's formula (Robbins 1956;
Efron, JASA 2011) the score of the prior smoothed by sigma is (D(x; sigma) - x) / sigma^2, so that every denoiser
defines a prior. A diffusion network is a denoiser for many sigma.
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
    """Base class of the denoisers: a map from noisy images and their noise level to clean images.

    Subclasses implement `estimate` for images with `channels` channels. `denoise` handles other numbers of channels,
    any size, precision and views.
    """

    channels: tuple[int, ...] = (3,)
    """Numbers of channels that `estimate` accepts; other images are denoised channel by channel."""

    sigma_range: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest sigma of the network, in units of intensity, to which sigma is clipped."""

    multiple: int = 1
    """The sides of the images of `estimate` are multiples of this number."""

    views: int = 1
    """Number of rotations by 90 degrees that are averaged: 4 for a network without a preferred direction, else 1."""

    precision: str = "auto"
    """Precision of the convolutions: "auto", "fp32" or "bf16"."""

    conditioned: bool = False
    """Whether `estimate_conditioned` is implemented: the network uses a noise model, and not only its level."""

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the clean images.

        Args:
            x: Noisy images `(B, C, H, W)` with C in `channels` and H, W multiples of `multiple`.
            sigma: Standard deviation of the noise, `(B, 1, 1, 1)`, within `sigma_range`.
        """
        raise NotImplementedError

    def estimate_conditioned(self, x: torch.Tensor, level: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """Return the clean images under noise that is not white.

        Args:
            x: Noisy images, as for `estimate`.
            level: Local standard deviation of the noise, `(B, 1, H, W)`, within `sigma_range`.
            planes: Its correlation and quantisation, `(B, P, H, W)`, see `NoiseModel.planes`.
        """
        raise NotImplementedError

    def denoise(self, x: torch.Tensor, sigma: Sigma | NoiseModel, *, view: int | None = None) -> torch.Tensor:
        """Return the clean images, float32, in the shape and on the device of x. It is differentiable in x.

        Args:
            x: Noisy images `(B, C, H, W)`, intensity in [0, 1] plus noise, any C, H, W >= 1.
            sigma: Standard deviation of the noise in units of intensity: a number, or one for each image `(B,)`. Or a
                noise model; a network that is not `conditioned` uses only its level.
            view: Number of the view, modulo `views`; by default the mean of all views is returned. An iteration that
                passes the number of its step evaluates one view in each step, and the rotations average out over the
                steps (Terris et al., "Equivariant Plug-and-Play", CVPR 2024).

        Raises:
            ShapeError: x is not a batch of images, or sigma has another length.
            ConfigError: A sigma that is negative or not finite.
        """
        if x.ndim != 4 or min(x.shape) < 1:
            raise ShapeError(f"A denoiser needs images (B, C, H, W), not {tuple(x.shape)}.")
        turns = range(self.views) if view is None else [view % self.views]
        if isinstance(sigma, NoiseModel):
            model, sigma = sigma, sigma.sigma
            if self.conditioned and not model.is_uniform_white:
                level = model.level_map(x).expand(-1, -1, *x.shape[-2:])
                return self._by_channel(x, torch.cat([level, model.planes(level)], 1), turns)
        return self._by_channel(x, as_sigma(sigma, x), turns)

    def _by_channel(self, x: torch.Tensor, known: torch.Tensor, turns: Sequence[int]) -> torch.Tensor:
        """Denoise the image, or each channel as a grey image if the network does not accept this number of channels."""
        if x.shape[1] in self.channels:
            return self._padded(x, known, turns)
        count = self.channels[0]
        grey = x.flatten(0, 1)[:, None].expand(-1, count, -1, -1)
        return self._padded(grey, known.repeat_interleave(x.shape[1], 0), turns).mean(1).reshape(x.shape)

    def _estimated(self, x: torch.Tensor, known: torch.Tensor, turn: int) -> torch.Tensor:
        """Return the estimate for a rotated image; `known` is sigma, or the level map and the planes."""
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
                raise ShapeError(f"A denoiser must return an image of the shape of its input, {given}, not {made}.")
            found = found + torch.rot90(clean.float(), -turn, (2, 3))
        return (found / len(turns))[..., :height, :width]


def as_sigma(sigma: Sigma, x: torch.Tensor) -> torch.Tensor:
    """Return sigma as a tensor `(B, 1, 1, 1)` on the device of x.

    Args:
        sigma: A number, or one for each image `(B,)` or `(B, 1, 1, 1)`.
        x: The images `(B, C, H, W)`.

    Raises:
        ShapeError: sigma has another length.
        ConfigError: A sigma that is negative or not finite.

    Example:
        >>> import torch
        >>> from hybridprior.denoisers.base import as_sigma
        >>> as_sigma(0.1, torch.rand(2, 3, 4, 4)).shape
        torch.Size([2, 1, 1, 1])
    """
    level = torch.as_tensor(sigma, dtype=torch.float32, device=x.device)
    if level.numel() not in (1, len(x)):
        raise ShapeError(f"sigma must be one number or one for each of {len(x)} images, not {tuple(level.shape)}.")
    if not bool((torch.isfinite(level) & (level >= 0)).all()):
        raise ConfigError("sigma must be a number of at least 0, in units of intensity, [0, 1].")
    return level.reshape(-1, 1, 1, 1).expand(len(x), -1, -1, -1)


def extend(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Return x padded to sides that are multiples of a number.

    The padding mirrors x at the last row and column; repeated noise would form streaks.

    Args:
        x: Images `(B, C, H, W)`, any H, W >= 1.
        multiple: The number.

    Example:
        >>> import torch
        >>> from hybridprior.denoisers.base import extend
        >>> extend(torch.rand(1, 3, 5, 8), 4).shape
        torch.Size([1, 3, 8, 8])
    """
    for side in (-2, -1):
        while missing := -x.shape[side] % multiple:
            step = min(missing, x.shape[side] - 1)
            pad = (0, 0, 0, max(step, 1)) if side == -2 else (0, max(step, 1), 0, 0)
            x = nn.functional.pad(x, pad, mode="reflect" if step else "replicate")
    return x


def once(read: Callable[[Path], Denoiser], path: Path) -> Denoiser:
    """Return the denoiser of a file or a folder. It is read once in a process, and again if it has changed.

    Each call returns a copy, so that its weights can be fine-tuned.

    Args:
        read: The function that reads it.
        path: The file or folder.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file())
    key = (path, read.__qualname__)
    with DRAWING:  # random weights are drawn before the file is read
        known = READ.get(key)
        if known is None or known[0] != stamps:
            READ.clear()  # keep only one network in memory
            known = READ[key] = (stamps, read(path))
    return copy.deepcopy(known[1])


READ: dict[tuple[Path, str], tuple[tuple, Denoiser]] = {}
"""The cache of `once`."""

DENOISERS: Registry[Callable[[], Denoiser]] = Registry("denoiser")
