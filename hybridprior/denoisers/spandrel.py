"""Denoisers that spandrel supports: DRUNet, SCUNet, SwinIR, NAFNet, FDnCNN ... (extra `spandrel`).

A descriptor of spandrel fixes the noise level at 15 / 255 and clips to [0, 1]. Here the network is called directly,
with sigma as its noise level where it has such an input. Networks without it are blind: their result does not depend on
sigma.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from hybridprior.denoisers.base import Denoiser
from hybridprior.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

__all__ = ["SpandrelDenoiser"]


class SpandrelDenoiser(Denoiser):
    """The network of a spandrel descriptor."""

    precision = "fp32"

    def __init__(self, descriptor: ImageModelDescriptor) -> None:
        """Wrap a network.

        Args:
            descriptor: The descriptor that spandrel's `ModelLoader` returns.

        Raises:
            ConfigError: The network is no denoiser: it upsamples, inpaints, or changes the number of channels.
        """
        super().__init__()
        name = descriptor.architecture.name
        if descriptor.scale != 1 or descriptor.purpose != "Restoration":
            raise ConfigError(f"{name} is for {descriptor.purpose} x{descriptor.scale}; use a denoiser.")
        if descriptor.input_channels != descriptor.output_channels:
            raise ConfigError(
                f"{name} maps {descriptor.input_channels} to {descriptor.output_channels} channels; use a denoiser."
            )
        self.network = descriptor.model.requires_grad_(False).eval()
        self.channels = (descriptor.input_channels,)
        self.size = descriptor.size_requirements
        mode = getattr(self.network, "mode", "")
        self.has_level = descriptor.architecture.id == "DRUNet" or mode == "FDnCNN"

    @classmethod
    def read(cls, path: Path) -> SpandrelDenoiser:
        """Return the denoiser in a file of weights. From a pickle only tensors are read.

        Raises:
            ConfigError: spandrel is not installed, or the network is no denoiser.
            WeightsError: The file is corrupt or unsafe, or spandrel does not support the network.
        """
        try:
            from spandrel import ImageModelDescriptor, ModelLoader, canonicalize_state_dict
        except ImportError as error:
            raise ConfigError(f"'{path}' needs spandrel: pip install 'hybridprior[spandrel]'.") from error
        weights = _read_weights(path)
        try:
            descriptor = ModelLoader("cpu").load_from_state_dict(canonicalize_state_dict(weights))
        except Exception as error:  # each architecture raises other errors
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise WeightsError(f"'{path}' contains weights of no supported network ({reason}).") from error
        if not isinstance(descriptor, ImageModelDescriptor):
            raise ConfigError(f"'{path}' contains a network that needs a mask; use a denoiser.")
        return cls(descriptor)

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the clean images."""
        height, width = x.shape[-2:]
        right, below = self.size.get_padding(width, height)
        padded = F.pad(x, (0, right, 0, below), mode="replicate")
        if self.has_level:
            level = sigma.expand(-1, 1, *padded.shape[-2:])
            padded = torch.cat([padded, level], dim=1)
        clean: torch.Tensor = self.network(padded)
        return clean[..., :height, :width]


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in a safetensors file, or in a pickle that contains only tensors."""
    import pickle

    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"'{path}' contains more than weights; convert it to safetensors.") from error
    except Exception as error:  # a broken pickle can raise any error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"'{path}' is corrupt or contains no weights ({reason}).") from error
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise WeightsError(f"'{path}' contains no weights by name.")
    return weights
