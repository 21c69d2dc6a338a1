"""A diffusion network of the diffusers library as a denoiser.

The input of such a network is a noisy image with preserved variance: u_t = sqrt(a_t) u + sqrt(1 - a_t) n with u in
[-1, 1] (Ho et al., NeurIPS 2020, eq. 4). Divided by sqrt(a_t), it is an image with noise of sqrt((1 - a_t) / a_t). This
is twice our sigma, since [-1, 1] is twice as long as [0, 1]. The schedule is inverted to find t, with interpolation
between two steps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from hybridprior.denoisers.base import Denoiser
from hybridprior.errors import ConfigError, WeightsError

__all__ = ["DiffusersDenoiser"]

PREDICTIONS = ("epsilon", "v_prediction", "sample")


class DiffusersDenoiser(Denoiser):
    """A `UNet2DModel` and its noise schedule."""

    precision = "fp32"
    levels: torch.Tensor

    def __init__(self, network: Any, scheduler: Any) -> None:
        """Wrap a network.

        Args:
            network: A `UNet2DModel` with its weights.
            scheduler: A scheduler of diffusers with `alphas_cumprod`: DDPM, DDIM, PNDM, DPM-Solver ...

        Raises:
            ConfigError: The schedule does not preserve the variance, or the type of prediction is unknown.
        """
        super().__init__()
        table = getattr(scheduler, "alphas_cumprod", None)
        self.prediction = getattr(scheduler.config, "prediction_type", "epsilon")
        if table is None or network.config.time_embedding_type == "fourier":
            raise ConfigError(f"{type(scheduler).__name__} does not preserve the variance; use a DDPM or DDIM network.")
        classes = [getattr(network.config, name, None) for name in ("class_embed_type", "num_class_embeds")]
        if network.config.time_embedding_type != "positional" or any(classes):
            raise ConfigError(
                "A diffusion network with class labels or a learned time embedding is not supported; "
                "use an unconditional one with a positional time embedding."
            )
        if self.prediction not in PREDICTIONS:
            raise ConfigError(f"Prediction '{self.prediction}' is not supported; use {', '.join(PREDICTIONS)}.")
        self.network = network.requires_grad_(False).eval()
        self.channels = (int(network.config.in_channels),)
        self.multiple = 2 ** (len(network.config.block_out_channels) - 1)
        levels = ((1 - table) / table).sqrt().double() / 2
        self.register_buffer("levels", levels.float().log())
        self.sigma_range = (float(levels[0]), float(levels[-1]))

    @classmethod
    def read(cls, folder: Path) -> DiffusersDenoiser:
        """Return the denoiser in a folder that diffusers saved: a pipeline, or a network with a scheduler.

        Raises:
            ConfigError: A diffusion model of latents.
            WeightsError: A file is missing or corrupt.
        """
        import diffusers

        if any((folder / part).is_dir() for part in ("vae", "vqvae")):
            raise ConfigError(f"'{folder}' contains a diffusion model of latents; use one of images.")
        nested = (folder / "unet").is_dir()
        network, scheduler = (folder / "unet", folder / "scheduler") if nested else (folder, folder)
        try:
            loaded: Any = diffusers.UNet2DModel.from_pretrained(network)  # type: ignore[no-untyped-call]
            named = json.loads((scheduler / "scheduler_config.json").read_text(encoding="utf-8"))["_class_name"]
            return cls(loaded, getattr(diffusers, named).from_pretrained(scheduler))
        except (ConfigError, KeyboardInterrupt):
            raise
        except Exception as error:  # diffusers raises many types of errors
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"'{folder}' has no valid UNet2DModel with a scheduler ({reason}).") from error

    def time(self, sigma: torch.Tensor) -> torch.Tensor:
        """Return the fractional step of the schedule with noise level sigma.

        Args:
            sigma: `(B, 1, 1, 1)`, in units of intensity.
        """
        wanted = sigma.flatten().log()
        above = torch.searchsorted(self.levels, wanted).clamp(1, len(self.levels) - 1)
        low, high = self.levels[above - 1], self.levels[above]
        return above - 1 + ((wanted - low) / (high - low)).clamp(0, 1)

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the clean images."""
        level = 2 * sigma
        root = (1 + level.square()).rsqrt()  # sqrt(a_t)
        noisy = (2 * x - 1) * root
        output = self.network(noisy, self.time(sigma)).sample[:, : x.shape[1]]
        if self.prediction == "epsilon":
            clean = noisy / root - level * output
        elif self.prediction == "v_prediction":
            clean = root * noisy - root * level * output
        else:
            clean = output
        image: torch.Tensor = (clean + 1) / 2
        return image
