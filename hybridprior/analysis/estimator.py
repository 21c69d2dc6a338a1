"""A small network that estimates the noise of an image: level, correlation and quantisation at every position.

It is trained on the same degradations as the denoiser (`hybridprior.training.estimator`). Each position gives a
location and a scale of a Laplace distribution (Kendall and Gal, "What Uncertainties Do We Need in Bayesian Deep
Learning for Computer Vision?", NeurIPS 2017, eq. 8), so that flat regions, where noise is seen clearly, count more than
texture.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from hybridprior.errors import WeightsError
from hybridprior.noise_model import LAGS

__all__ = ["NoiseNetwork", "NoiseNetworkConfig", "load_noise_network", "pack"]

KEY = "hybridprior"
FORMAT = "noise.1"

OUTPUTS = len(LAGS) + 3
"""Logarithm of the level, correlation at each lag, correlation of the channels, logarithm of the quantisation."""


@dataclass(frozen=True)
class NoiseNetworkConfig:
    """The size of the network."""

    width: int = 40
    """Channels of each layer."""
    depth: int = 6
    """3 x 3 convolutions before the last one."""


class NoiseNetwork(nn.Module):
    """Noise parameters at every second pixel, each with its uncertainty."""

    def __init__(self, config: NoiseNetworkConfig | None = None) -> None:
        """Build the network with weights drawn from torch's own stream.

        Args:
            config: `NoiseNetworkConfig()` if not given.
        """
        super().__init__()
        self.config = config = config or NoiseNetworkConfig()
        widths = [24, *[config.width] * config.depth]
        layers: list[nn.Module] = []
        for inward, outward in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(inward, outward, 3, padding=1, padding_mode="replicate"), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Conv2d(config.width, 2 * OUTPUTS, 1))

    def forward(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return locations and logarithms of scales, each `(B, OUTPUTS, H / 2, W / 2)`.

        Args:
            y: `(B, 3, H, W)`, intensity in [0, 1], H and W even and 6 or more.
        """
        fine = y - F.avg_pool2d(F.pad(y, (2,) * 4, mode="reflect"), 5, 1)
        # The logarithm shows noise of 0.3 and of 60 grey levels at a similar scale.
        fine = fine.sign() * torch.log1p(255 * fine.abs())
        both = torch.cat([F.pixel_unshuffle(y, 2) - 0.5, F.pixel_unshuffle(fine, 2)], 1)
        location, scale = self.body(both).float().chunk(2, 1)
        return location, scale.clamp(-6, 3)


def pack(network: NoiseNetwork, *, note: str = "") -> bytes:
    """Return a network as the bytes of a safetensors file, in fp16.

    Args:
        network: With its weights.
        note: How it was made, for people.
    """
    from safetensors.torch import save

    weights = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    return save(weights, {KEY: json.dumps({"format": FORMAT, "network": asdict(network.config), "note": note})})


@cache
def load_noise_network(path: Path) -> NoiseNetwork:
    """Return the network in a safetensors file, ready to run.

    Args:
        path: The file.

    Raises:
        WeightsError: The file is corrupt, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(KEY, "{}"))
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        if about.get("format") != FORMAT:
            raise ValueError("not a noise estimator")
        network = NoiseNetwork(NoiseNetworkConfig(**about["network"]))
        network.load_state_dict(weights)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"'{path}' holds no noise estimator ({reason}); install the package again.") from error
    return network.requires_grad_(False).eval()
