"""The denoiser that ships with the package, and any other that was trained with `hprior train denoiser`.

A safetensors file contains the weights in fp16; its metadata contains the size of the network and the range of sigma.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from hybridprior._internal.registry import build_config
from hybridprior.denoisers.base import DENOISERS, Denoiser, once
from hybridprior.denoisers.unet import UNet, UNetConfig
from hybridprior.errors import WeightsError

__all__ = ["UNetDenoiser", "describe", "pack"]

KEY = "hybridprior"
"""The only entry of the metadata of the file, since the order of several is not preserved."""

CELL = 8
"""Side of the cells in which the contrast is measured, in pixels."""

FORMAT = "unet.1"
"""Name of the format of the file."""


class UNetDenoiser(Denoiser):
    """D(x; sigma) by the U-Net. A grey image is three equal channels."""

    channels = (3,)
    views = 4

    def __init__(
        self, network: UNet, *, sigma_range: tuple[float, float] = (0.0, 1.0), camera: UNet | None = None
    ) -> None:
        """Wrap a network.

        Args:
            network: The network with its weights.
            sigma_range: Range of sigma in its training, in units of intensity.
            camera: Another network for noise that is not white; by default `network`, if it has conditions.
        """
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        self.sigma_range = sigma_range
        if camera is not None:
            self.camera = camera.requires_grad_(False).eval()
        self.conditioned = (camera or network).config.conditions > 0

    @classmethod
    def read(cls, path: Path) -> UNetDenoiser:
        """Return the denoiser in a safetensors file.

        Raises:
            WeightsError: The file is corrupt or of another kind.
        """
        from safetensors.torch import load_file

        about = describe(path)
        if about is None:
            raise WeightsError(f"'{path}' is not a file of 'hprior train denoiser'.")
        try:
            network = UNet(build_config(UNetConfig, about["network"], part="network"))
            network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
            least, most = about["sigma_range"]
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise WeightsError(f"'{path}' has weights that do not fit its network ({reason}).") from error
        return cls(network.to(memory_format=torch.channels_last), sigma_range=(float(least), float(most)))

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the clean images `(B, 3, H, W)`."""
        return restrained(x, self.network(x, sigma).float())

    def estimate_conditioned(self, x: torch.Tensor, level: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """Return the clean images `(B, 3, H, W)` under noise that is not white."""
        network = getattr(self, "camera", self.network)
        return _without_growth(x, restrained(x, network(x, level, planes).float()))

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the feature maps of the encoder for images `(B, 3, H, W)`, the finest first."""
        return self.network.features(x)


def restrained(x: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Limit the contrast and the range of the denoised images to those of the noisy images.

    A conditional expectation given x has a smaller variance than x. For images with noise the network fulfils this. For
    images without noise it may add contrast, which would grow if the network is applied many times.

    Args:
        x: Noisy images `(B, C, H, W)`.
        clean: The output of the network.
    """
    before, _ = _contrast(x)
    after, mean = _contrast(clean)
    gain = (before / after.clamp_min(1e-12)).clamp(max=1).sqrt()
    gain, mean = (F.interpolate(t, x.shape[-2:], mode="bilinear", align_corners=False) for t in (gain, mean))
    limited = clean - (1 - gain) * (clean - mean)
    return limited.clamp(x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True))


def _without_growth(x: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Return the denoised images with at most the standard deviation of the noisy ones: repetition adds none."""
    mean = clean.mean((2, 3), keepdim=True)
    before = (x - x.mean((2, 3), keepdim=True)).square().mean((1, 2, 3), keepdim=True)
    after = (clean - mean).square().mean((1, 2, 3), keepdim=True)
    return mean + (before / after.clamp_min(1e-12)).clamp(max=1).sqrt() * (clean - mean)


def _contrast(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the variance of each cell, over all channels, and the mean of each cell and channel."""
    rows, columns = (max(1, round(side / CELL)) for side in x.shape[-2:])
    mean = F.adaptive_avg_pool2d(x, (rows, columns))
    rest = x - F.interpolate(mean, x.shape[-2:], mode="bilinear", align_corners=False)
    return F.adaptive_avg_pool2d(rest.square().mean(1, keepdim=True), (rows, columns)), mean


def describe(path: Path) -> dict[str, Any] | None:
    """Return the description of the network in a safetensors file, or None if the file is of another kind.

    Args:
        path: The file.

    Raises:
        WeightsError: The file is corrupt.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(KEY, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(f"'{path}' is corrupt or no safetensors file ({error}); download it again.") from error
    return about if isinstance(about, dict) and about.get("format") == FORMAT else None


def pack(network: UNet, *, sigma_range: tuple[float, float] = (0.0, 1.0), note: str = "") -> bytes:
    """Return a network as the bytes of a safetensors file, in fp16.

    Args:
        network: The network with its weights.
        sigma_range: Range of sigma in its training, in units of intensity.
        note: Description of its origin.

    Example:
        >>> from pathlib import Path
        >>> from hybridprior import load_denoiser
        >>> from hybridprior.denoisers.pretrained import describe, pack
        >>> from hybridprior.denoisers.unet import UNet, UNetConfig
        >>> size = Path("small.safetensors").write_bytes(pack(UNet(UNetConfig(widths=(8, 8), blocks=1))))
        >>> describe(Path("small.safetensors"))["network"]["widths"]
        [8, 8]
        >>> load_denoiser("file:small.safetensors").sigma_range
        (0.0, 1.0)
    """
    from safetensors.torch import save

    weights = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    about = {"format": FORMAT, "network": dataclasses.asdict(network.config), "sigma_range": sigma_range, "note": note}
    return save(weights, {KEY: json.dumps(about)})


@DENOISERS.register("shipped")
def shipped() -> Denoiser:
    """Return the denoiser that ships with the package: one network for white noise, one for all other noise."""
    from hybridprior.denoisers.weights import shipped_file

    return once(_shipped, shipped_file("denoiser").parent)


def _shipped(folder: Path) -> Denoiser:
    from hybridprior.denoisers.weights import shipped_file

    white = UNetDenoiser.read(shipped_file("denoiser"))
    camera = UNetDenoiser.read(shipped_file("camera"))
    return UNetDenoiser(white.network, sigma_range=white.sigma_range, camera=camera.network)
