"""Small networks in files, as their libraries save them, for the tests of denoisers."""

from pathlib import Path

import torch

from hybridprior.denoisers.unet import UNetConfig

SMALL = UNetConfig(widths=(8, 8), blocks=1)


def diffusion(folder: Path, prediction: str = "epsilon") -> Path:
    """A small diffusion network in a folder, as diffusers saves it."""
    from diffusers import DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    network = UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    network.save_pretrained(folder / "unet")
    DDPMScheduler(prediction_type=prediction).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    return folder


def drunet(path: Path, channels: int = 3) -> Path:
    """A small DRUNet in a safetensors file."""
    from safetensors.torch import save_file
    from spandrel.architectures.DRUNet import DRUNet

    torch.manual_seed(0)
    network = DRUNet(in_nc=channels + 1, out_nc=channels, nc=[4, 4, 4, 4], nb=2)
    save_file(network.state_dict(), path)
    return path
