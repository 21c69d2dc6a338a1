"""Networks of diffusers and spandrel, and functions, as denoisers."""

from pathlib import Path

import pytest
import torch
from denoiser_files import diffusion, drunet
from torch import nn

from hybridprior.denoisers import load_denoiser
from hybridprior.denoisers.diffusers import DiffusersDenoiser
from hybridprior.denoisers.spandrel import SpandrelDenoiser
from hybridprior.errors import ConfigError, ShapeError


class Ideal(nn.Module):
    """The network that a diffusion training would end with if every pixel were drawn from N(mean, spread^2)."""

    mean, spread = 0.2, 0.3

    def __init__(self, table: torch.Tensor, prediction: str) -> None:
        super().__init__()
        from types import SimpleNamespace

        self.table, self.prediction = table, prediction
        self.config = SimpleNamespace(in_channels=3, block_out_channels=(8,), time_embedding_type="positional")

    def forward(self, x: torch.Tensor, t: torch.Tensor):
        from types import SimpleNamespace

        # Between two steps the noise is interpolated as the schedule's logarithm is.
        levels = ((1 - self.table) / self.table).sqrt().log()
        low = t.floor().long().clamp(0, len(levels) - 2)
        level = (levels[low] + (t - low) * (levels[low + 1] - levels[low])).exp().reshape(-1, 1, 1, 1)
        train = (1 + level.square()).rsqrt()
        gain = self.spread**2 / (self.spread**2 + level.square())
        clean = self.mean + gain * (x / train - self.mean)
        noise = (x / train - clean) / level
        output = {"epsilon": noise, "sample": clean, "v_prediction": train * noise - train * level * clean}
        return SimpleNamespace(sample=output[self.prediction])


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_a_diffusion_network_is_asked_in_its_own_units(prediction: str) -> None:
    """The expectation of a Gaussian pixel is known: with [-1, 1] for [0, 1], sigma counts twice."""
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(prediction_type=prediction)
    denoiser = DiffusersDenoiser(Ideal(scheduler.alphas_cumprod, prediction), scheduler)
    x = torch.rand(4, 3, 8, 8)
    for sigma in (0.02, 0.13, 0.5, 3.0):
        gain = Ideal.spread**2 / (Ideal.spread**2 + 4 * sigma**2)
        expected = (Ideal.mean + gain * (2 * x - 1 - Ideal.mean) + 1) / 2
        torch.testing.assert_close(denoiser.denoise(x, sigma), expected, rtol=1e-3, atol=1e-3)


def test_a_schedule_that_does_not_keep_the_variance_is_refused(tmp_path: Path) -> None:
    from diffusers import ScoreSdeVeScheduler

    network = DiffusersDenoiser.read(diffusion(tmp_path)).network
    with pytest.raises(ConfigError, match="variance"):
        DiffusersDenoiser(network, ScoreSdeVeScheduler())
    ScoreSdeVeScheduler().save_pretrained(tmp_path / "scheduler")
    with pytest.raises(ConfigError, match="variance"):
        load_denoiser(f"local-dir:{tmp_path}")
    (tmp_path / "vqvae").mkdir()
    with pytest.raises(ConfigError, match="latents"):
        load_denoiser(f"local-dir:{tmp_path}")


def test_a_diffusion_network_that_is_told_a_class_is_refused(tmp_path: Path) -> None:
    from diffusers import DDPMScheduler, UNet2DModel

    given = {"block_out_channels": (8,), "norm_num_groups": 4, "layers_per_block": 1, "num_class_embeds": 3}
    network = UNet2DModel(down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), **given)
    with pytest.raises(ConfigError, match="class"):
        DiffusersDenoiser(network, DDPMScheduler())


def test_drunet_gets_our_noise_level(tmp_path: Path) -> None:
    """spandrel's own call would take 15 / 255 whatever is asked."""
    denoiser = load_denoiser(f"file:{drunet(tmp_path / 'd.safetensors')}")
    x = torch.rand(1, 3, 16, 16)
    level = torch.full((1, 1, 16, 16), 0.3)
    torch.testing.assert_close(denoiser.denoise(x, 0.3), denoiser.network(torch.cat([x, level], 1)))
    assert (denoiser.denoise(x, 0.3) - denoiser.denoise(x, 15 / 255)).abs().max() > 1e-4


def test_a_network_that_enlarges_is_no_denoiser(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from spandrel.architectures.Compact import Compact

    save_file(Compact(num_feat=8, num_conv=16, upscale=2).state_dict(), tmp_path / "sr.safetensors")
    with pytest.raises(ConfigError, match="use a denoiser"):
        load_denoiser(f"file:{tmp_path / 'sr.safetensors'}")


def test_a_grey_drunet_sees_colours_one_by_one(tmp_path: Path) -> None:
    denoiser = load_denoiser(f"file:{drunet(tmp_path / 'grey.safetensors', channels=1)}")
    assert isinstance(denoiser, SpandrelDenoiser)
    x = torch.rand(1, 3, 16, 16)
    each = torch.cat([denoiser.denoise(x[:, c : c + 1], 0.1) for c in range(3)], 1)
    torch.testing.assert_close(denoiser.denoise(x, 0.1), each)


def test_a_function_that_returns_no_image_is_refused() -> None:
    with pytest.raises(ShapeError, match="must return an image"):
        load_denoiser(lambda x, sigma: x[..., 1:]).denoise(torch.rand(1, 3, 8, 8), 0.1)
