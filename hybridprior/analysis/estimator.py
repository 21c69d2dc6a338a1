"""A small network that estimates the noise of an image: level, correlation and quantisation, cell by cell.

The first layer is a bank of learned filters; the logarithm of their energy in a cell of 8 x 8 pixels is what the
following layers are given, so that a level twice as high shifts all features by the same amount. It is trained on the
degradations of the denoiser (`hybridprior.training.estimator`). Each cell gives a location and a scale of a Laplace
distribution (Kendall and Gal, "What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?", NeurIPS
2017, eq. 8), so that flat regions, where noise is seen clearly, count more than texture.
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


CELL = 8
"""Side of a cell, in pixels."""

TINY = 2e-3
"""Energy, in squared grey levels of 255, below which filters see nothing."""


@dataclass(frozen=True)
class NoiseNetworkConfig:
    """The size of the network."""

    filters: int = 48
    """Filters of the bank."""
    side: int = 9
    """Side of a filter, in pixels."""
    width: int = 96
    """Channels of the layers behind it."""
    depth: int = 3
    """Layers behind it: one of 1 x 1, the others of 3 x 3 cells."""


class NoiseNetwork(nn.Module):
    """Noise parameters of each cell, with their uncertainty."""

    def __init__(self, config: NoiseNetworkConfig | None = None) -> None:
        """Build the network with weights drawn from torch's own stream.

        Args:
            config: `NoiseNetworkConfig()` if not given.
        """
        super().__init__()
        self.config = config = config or NoiseNetworkConfig()
        self.bank = nn.Conv2d(3, config.filters, config.side, bias=False)
        layers: list[nn.Module] = [nn.Conv2d(2 * config.filters + 6, config.width, 1), nn.SiLU()]
        for _ in range(config.depth - 1):
            layers += [nn.Conv2d(config.width, config.width, 3, padding=1), nn.SiLU()]
        self.head = nn.Sequential(*layers, nn.Conv2d(config.width, 2 * OUTPUTS, 1))

    def forward(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return locations and logarithms of scales, each `(B, OUTPUTS, H / 8, W / 8)`.

        Args:
            y: `(B, 3, H, W)`, intensity in [0, 1], H and W multiples of 8.
        """
        reach = self.config.side // 2
        kernels = self.bank.weight - self.bank.weight.mean((2, 3), keepdim=True)
        padded = F.pad(255 * y, (reach,) * 4, mode="replicate")
        energy = F.conv2d(padded, kernels).square()
        fine = (F.avg_pool2d(energy, CELL) + TINY).log() / 2
        # A quarter of a cell: where even the emptiest quarter is rough, the roughness is likely noise.
        least = (-F.max_pool2d(-F.avg_pool2d(energy, CELL // 2), 2) + TINY).log() / 2
        clipped = ((y <= 0) | (y >= 1)).float()
        parts = [fine, least, F.avg_pool2d(y, CELL), F.avg_pool2d(clipped, CELL)]
        location, scale = self.head(torch.cat(parts, 1)).chunk(2, 1)
        return location, scale.clamp(-4, 3)


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
