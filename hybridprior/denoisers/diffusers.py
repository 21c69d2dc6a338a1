"""A diffusion network of the diffusers library as a denoiser.

Such a network sees images u in [-1, 1] with noise, scaled to keep the variance: u_t = sqrt(a_t) u + sqrt(1 - a_t) n
(Ho et al., NeurIPS 2020, eq. 4). Divided by sqrt(a_t) that is an image with noise of sqrt((1 - a_t) / a_t), twice our
sigma since [-1, 1] is twice as long as [0, 1]. Inverting the schedule finds t, between two steps if need be.
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
            scheduler: One of diffusers' with `alphas_cumprod`: DDPM, DDIM, PNDM, DPM-Solver ...

        Raises:
            ConfigError: Its noise does not keep the variance, or it predicts something else.
        """
        super().__init__()
        table = getattr(scheduler, "alphas_cumprod", None)
        self.prediction = getattr(scheduler.config, "prediction_type", "epsilon")
        if table is None or network.config.time_embedding_type == "fourier":
            raise ConfigError(f"{type(scheduler).__name__} does not keep the variance; take a DDPM or DDIM network.")
        told = [getattr(network.config, name, None) for name in ("class_embed_type", "num_class_embeds")]
        if network.config.time_embedding_type != "positional" or any(told):
            raise ConfigError(
                "A diffusion network that is told a class, or learned each step by heart, is no denoiser."
            )
        if self.prediction not in PREDICTIONS:
            raise ConfigError(f"'{self.prediction}' is no known prediction; known are {', '.join(PREDICTIONS)}.")
        self.network = network.requires_grad_(False).eval()
        self.channels = (int(network.config.in_channels),)
        self.multiple = 2 ** (len(network.config.block_out_channels) - 1)
        levels = ((1 - table) / table).sqrt().double() / 2
        self.register_buffer("levels", levels.float().log())
        self.sigma_range = (float(levels[0]), float(levels[-1]))

    @classmethod
    def read(cls, folder: Path) -> DiffusersDenoiser:
        """Return the denoiser in a folder as diffusers saves it: a pipeline's, or a bare network beside a scheduler.

        Raises:
            WeightsError: Something is missing or corrupt.
        """
        import diffusers

        if any((folder / part).is_dir() for part in ("vae", "vqvae")):
            raise ConfigError(f"'{folder}' holds a diffusion of latents and not of images; it is no denoiser.")
        nested = (folder / "unet").is_dir()
        network, scheduler = (folder / "unet", folder / "scheduler") if nested else (folder, folder)
        try:
            loaded: Any = diffusers.UNet2DModel.from_pretrained(network)  # type: ignore[no-untyped-call]
            named = json.loads((scheduler / "scheduler_config.json").read_text(encoding="utf-8"))["_class_name"]
            return cls(loaded, getattr(diffusers, named).from_pretrained(scheduler))
        except (ConfigError, KeyboardInterrupt):
            raise
        except Exception as error:  # whatever the library raises over a broken folder
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"'{folder}' holds no UNet2DModel with a scheduler that loads ({reason}).") from error

    def time(self, sigma: torch.Tensor) -> torch.Tensor:
        """Return the schedule's step, fractional, whose noise is sigma.

        Args:
            sigma: `(B, 1, 1, 1)`, in units of intensity.
        """
        wanted = sigma.flatten().log()
        above = torch.searchsorted(self.levels, wanted).clamp(1, len(self.levels) - 1)
        low, high = self.levels[above - 1], self.levels[above]
        return above - 1 + ((wanted - low) / (high - low)).clamp(0, 1)

    def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the clean images by the network's prediction."""
        spread = 2 * sigma
        kept = (1 + spread.square()).rsqrt()
        noisy = (2 * x - 1) * kept
        output = self.network(noisy, self.time(sigma)).sample[:, : x.shape[1]]
        if self.prediction == "epsilon":
            clean = noisy / kept - spread * output
        elif self.prediction == "v_prediction":
            clean = kept * noisy - kept * spread * output
        else:
            clean = output
        image: torch.Tensor = (clean + 1) / 2
        return image
