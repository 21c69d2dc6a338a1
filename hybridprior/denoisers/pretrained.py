"""The denoiser that ships with the package, and any other that `hprior train denoiser` made.

One safetensors file holds the weights, in fp16, and in its metadata the size of the network and its range of sigma.
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
"""The entry of the file's metadata; there is one only, since their order is not kept."""

CELL = 8
"""Side of the cells that contrast is measured in, in pixels."""

FORMAT = "unet.1"
"""What the network in such a file is called."""


class UNetDenoiser(Denoiser):
    """D(x; sigma) by the U-Net; grey images are taken as three channels that agree, noise included."""

    channels = (3,)
    views = 4

    def __init__(
        self, network: UNet, *, sigma_range: tuple[float, float] = (0.0, 1.0), camera: UNet | None = None
    ) -> None:
        """Wrap a network.

        Args:
            network: With its weights.
            sigma_range: What it was trained on, in units of intensity.
            camera: Another network, for noise that is not white; the first one if not given and it knows conditions.
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
            WeightsError: The file is corrupt, or holds something else.
        """
        from safetensors.torch import load_file

        about = describe(path)
        if about is None:
            raise WeightsError(f"'{path}' was not made by 'hprior train denoiser'.")
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
        return restrained(x, network(x, level, planes).float())

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the encoder's maps of images `(B, 3, H, W)`, the finest first."""
        return self.network.features(x)


def restrained(x: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Return the denoised images with no more contrast than the noisy ones have, nor any value beyond theirs.

    An expectation given x varies less than x does. A network keeps to that where there is noise, but what it adds to
    images without noise would grow if it were applied time and again.

    Args:
        x: Noisy images `(B, C, H, W)`.
        clean: What the network made of them.
    """
    before, _ = _contrast(x)
    after, mean = _contrast(clean)
    gain = (before / after.clamp_min(1e-12)).clamp(max=1).sqrt()
    gain, mean = (F.interpolate(t, x.shape[-2:], mode="bilinear", align_corners=False) for t in (gain, mean))
    held = clean - (1 - gain) * (clean - mean)
    return held.clamp(x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True))


def _contrast(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the variance over cells of an image, channels taken together, and the channels' means."""
    rows, columns = (max(1, round(side / CELL)) for side in x.shape[-2:])
    mean = F.adaptive_avg_pool2d(x, (rows, columns))
    rest = x - F.interpolate(mean, x.shape[-2:], mode="bilinear", align_corners=False)
    return F.adaptive_avg_pool2d(rest.square().mean(1, keepdim=True), (rows, columns)), mean


def describe(path: Path) -> dict[str, Any] | None:
    """Return what a safetensors file says of the network in it, or None if it is of another kind.

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
        raise WeightsError(f"'{path}' is corrupt or no safetensors file ({error}); fetch it again.") from error
    return about if isinstance(about, dict) and about.get("format") == FORMAT else None


def pack(network: UNet, *, sigma_range: tuple[float, float] = (0.0, 1.0), note: str = "") -> bytes:
    """Return a network as the bytes of a safetensors file, in fp16.

    Args:
        network: With its weights.
        sigma_range: What it was trained on, in units of intensity.
        note: How it came about, for people.
    """
    from safetensors.torch import save

    weights = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    about = {"format": FORMAT, "network": dataclasses.asdict(network.config), "sigma_range": sigma_range, "note": note}
    return save(weights, {KEY: json.dumps(about)})


@DENOISERS.register("shipped")
def shipped() -> Denoiser:
    """Return the denoiser in the package's own weights."""
    from hybridprior.denoisers.weights import shipped_file

    return once(UNetDenoiser.read, shipped_file("denoiser"))
