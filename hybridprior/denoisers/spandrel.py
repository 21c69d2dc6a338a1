"""The networks that spandrel knows as denoisers: DRUNet, SCUNet, SwinIR, NAFNet, FDnCNN ... (extra `spandrel`).

spandrel's own call fixes the noise level at 15 / 255 and clips to [0, 1]; here the bare network is called, with our
noise level where it has one. Networks without one are blind: they do what they were trained for, whatever sigma is.
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
            descriptor: As spandrel's `ModelLoader` returns it.

        Raises:
            ConfigError: The network is no denoiser: it enlarges, fills in, or changes the number of channels.
        """
        super().__init__()
        name = descriptor.architecture.name
        if descriptor.scale != 1 or descriptor.purpose != "Restoration":
            raise ConfigError(f"{name} is made for {descriptor.purpose} x{descriptor.scale}, not for denoising.")
        if descriptor.input_channels != descriptor.output_channels:
            raise ConfigError(f"{name} makes {descriptor.output_channels} channels of {descriptor.input_channels}.")
        self.network = descriptor.model.requires_grad_(False).eval()
        self.channels = (descriptor.input_channels,)
        self.size = descriptor.size_requirements
        mode = getattr(self.network, "mode", "")
        self.has_level = descriptor.architecture.id == "DRUNet" or mode == "FDnCNN"

    @classmethod
    def read(cls, path: Path) -> SpandrelDenoiser:
        """Return the denoiser in a file of weights; a pickle is read only as far as tensors go.

        Raises:
            ConfigError: spandrel is not installed, or the network is no denoiser.
            WeightsError: The file is corrupt, unsafe, or of a network that spandrel does not know.
        """
        try:
            from spandrel import ImageModelDescriptor, ModelLoader, canonicalize_state_dict
        except ImportError as error:
            raise ConfigError(f"'{path}' needs spandrel: pip install 'hybridprior[spandrel]'.") from error
        weights = _read_weights(path)
        try:
            descriptor = ModelLoader("cpu").load_from_state_dict(canonicalize_state_dict(weights))
        except Exception as error:  # what is found to be wrong with weights depends on whose they are taken for
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise WeightsError(f"'{path}' holds weights of no network that is known ({reason}).") from error
        if not isinstance(descriptor, ImageModelDescriptor):
            raise ConfigError(f"'{path}' holds a network that needs a mask; it is no denoiser.")
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
    """Return the tensors in a safetensors file, or in a pickle that holds nothing but tensors."""
    import pickle

    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"'{path}' holds more than weights and is not opened; convert it to safetensors.") from error
    except Exception as error:  # an unpickler trips over broken files in every way there is
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"'{path}' is corrupt or holds no weights ({reason}).") from error
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise WeightsError(f"'{path}' holds no weights by name.")
    return weights
