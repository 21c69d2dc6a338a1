"""Every registered denoiser and every adapter keeps the contract: denoise(x, sigma) -> x0."""

from pathlib import Path

import pytest
import torch
from denoiser_files import SMALL, diffusion, drunet
from torch import nn

from hybridprior.denoisers import DENOISERS, Denoiser, load_denoiser
from hybridprior.denoisers.pretrained import pack
from hybridprior.denoisers.unet import UNet
from hybridprior.errors import ConfigError, ShapeError

REGISTERED = ["shipped"]


ADAPTERS = ["trained", "diffusers", "spandrel", "function", "module"]


def test_every_registered_denoiser_is_tested() -> None:
    assert set(REGISTERED) == set(DENOISERS)


class Halfway(nn.Module):
    """A module as deepinv's denoisers are: forward(x, sigma) with sigma a number or (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate", bias=False)
        nn.init.constant_(self.blur.weight, 1 / 9)

    def forward(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        share = torch.as_tensor(sigma).reshape(-1, 1, 1, 1).clamp(0, 1)
        return x.lerp(self.blur(x.flatten(0, 1)[:, None]).reshape(x.shape), share.expand_as(x))


def make(name: str, folder: Path) -> Denoiser:
    if name in REGISTERED:
        return load_denoiser(name)
    if name == "trained":
        torch.manual_seed(0)
        network = UNet(SMALL)
        nn.init.normal_(network.tail.weight, std=0.05)
        (folder / "d.safetensors").write_bytes(pack(network))
        return load_denoiser(f"file:{folder / 'd.safetensors'}")
    if name == "diffusers":
        return load_denoiser(f"local-dir:{diffusion(folder)}")
    if name == "spandrel":
        return load_denoiser(f"file:{drunet(folder / 'drunet.safetensors')}")
    return load_denoiser(Halfway() if name == "module" else Halfway().requires_grad_(False).forward)


@pytest.fixture(params=[*REGISTERED, *ADAPTERS], scope="module")
def denoiser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    return make(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 7, 5), (2, 3, 16, 16), (1, 2, 1, 9), (1, 4, 33, 40)])
def test_any_size_and_any_number_of_channels(denoiser: Denoiser, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    before = x.clone()
    clean = denoiser.denoise(x, 0.1)
    assert clean.shape == x.shape
    assert clean.dtype == torch.float32
    assert torch.isfinite(clean).all()
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_the_same_twice(denoiser: Denoiser) -> None:
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(denoiser.denoise(x, 0.1), denoiser.denoise(x, 0.1), rtol=0, atol=0)


def test_the_views_are_the_views_of_a_pass(denoiser: Denoiser) -> None:
    x = torch.rand(1, 3, 9, 16)
    views = torch.stack([denoiser.denoise(x, 0.1, view=10 * denoiser.views + turn) for turn in range(denoiser.views)])
    torch.testing.assert_close(views.mean(0), denoiser.denoise(x, 0.1), rtol=0, atol=1e-5)


def test_no_direction_is_preferred_where_all_turns_are_taken(denoiser: Denoiser) -> None:
    if denoiser.views == 1:
        pytest.skip("this denoiser takes images upright only")
    x = torch.rand(1, 3, 9, 16)
    turned = torch.rot90(denoiser.denoise(x, 0.1), 1, (2, 3))
    torch.testing.assert_close(denoiser.denoise(torch.rot90(x, 1, (2, 3)), 0.1), turned, rtol=0, atol=1e-5)


def test_a_sigma_for_each_image(denoiser: Denoiser) -> None:
    x = torch.rand(3, 3, 16, 16)
    sigmas = [0.02, 0.1, 0.4]
    together = denoiser.denoise(x, torch.tensor(sigmas))
    for number, sigma in enumerate(sigmas):
        alone = denoiser.denoise(x[number : number + 1], sigma)
        torch.testing.assert_close(together[number : number + 1], alone, rtol=0, atol=0.01)


def test_the_gradient_reaches_x(denoiser: Denoiser) -> None:
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    denoiser.denoise(x, 0.1).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0
    assert not denoiser.denoise(x.detach(), 0.1).requires_grad


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_a_sigma_that_is_none_is_refused(denoiser: Denoiser, sigma: float) -> None:
    with pytest.raises(ConfigError, match="sigma"):
        denoiser.denoise(torch.rand(1, 3, 8, 8), sigma)


def test_shapes_that_are_none_are_refused(denoiser: Denoiser) -> None:
    with pytest.raises(ShapeError, match="images"):
        denoiser.denoise(torch.rand(3, 8, 8), 0.1)
    with pytest.raises(ShapeError, match="sigma"):
        denoiser.denoise(torch.rand(2, 3, 8, 8), torch.tensor([0.1, 0.1, 0.1]))
