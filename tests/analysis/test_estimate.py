"""The noise of an image, estimated from the image: white, of a camera, after JPEG, and none at all."""

from __future__ import annotations

import pytest
import torch

from hybridprior import diagnose, restore
from hybridprior.analysis.estimate import estimate_noise, flattest_level
from hybridprior.denoisers import load_denoiser
from hybridprior.metrics import psnr
from hybridprior.training.camera import Camera, CameraConfig
from hybridprior.training.degradations import jpeg

QUIET = CameraConfig(shot=(0.012, 0.0121), read_spread=0.0, resized=0.0, sharpened=0.0, denoised=0.0, bilinear=0.0)


@pytest.fixture(scope="module")
def pair(photograph: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The photograph as a camera takes it, without and with noise."""
    rng = torch.Generator().manual_seed(5)
    clean, noisy = Camera(1, rng, QUIET).photograph(photograph, rng)
    return clean, (255 * noisy).round() / 255


@pytest.mark.parametrize("sigma", [5, 15, 40])
def test_white_noise_is_white_and_of_its_level(photograph: torch.Tensor, sigma: int) -> None:
    y = photograph + sigma / 255 * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(1))
    model = estimate_noise(y)
    assert model.is_white
    assert 255 * model.sigma == pytest.approx(sigma, rel=0.2)


def test_the_noise_of_a_camera_is_correlated_and_of_its_level(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noisy = pair
    model = estimate_noise(noisy)
    assert not model.is_white
    assert model.sigma == pytest.approx(float((noisy - clean).std()), rel=0.35)
    assert 0.3 < model.correlation[0] < 0.8
    assert model.correlation[0] > model.correlation[1] > model.correlation[2] - 0.05


def test_the_whole_image_and_its_parts_agree(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, noisy = pair
    whole = estimate_noise(noisy).sigma
    for part in (noisy[..., :128], noisy[..., 128:], noisy[..., 32:160, 64:192]):
        assert estimate_noise(part).sigma == pytest.approx(whole, rel=0.3)


def test_drawings_and_tiny_images_have_no_noise() -> None:
    drawing = torch.ones(1, 3, 96, 128)
    drawing[..., 20:30, 10:90] = 0.2
    drawing[:, 0, 40:70, 60:64] = 0.6
    assert estimate_noise(drawing).sigma < 0.5 / 255
    assert flattest_level(drawing) < 1e-3
    assert diagnose(drawing).task == "leave"
    assert estimate_noise(torch.rand(1, 3, 9, 40)).sigma == 0


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_any_number_of_channels_has_an_estimate(photograph: torch.Tensor, channels: int) -> None:
    x = photograph[:, :1].expand(-1, channels, -1, -1)
    model = estimate_noise(x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2)))
    assert 0.07 < model.sigma < 0.13


def test_the_noise_of_a_camera_is_removed_at_once(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Half a decibel less than measured, and better than by the level alone."""
    clean, noisy = pair
    denoiser, model = load_denoiser("shipped"), estimate_noise(noisy)
    known, level = denoiser.denoise(noisy, model), denoiser.denoise(noisy, model.sigma)
    assert psnr(known, clean) > psnr(level, clean) + 0.3
    found = restore(noisy)
    assert "correlated" in found.message
    assert found.step == 0
    assert psnr(found.image, clean) > psnr(noisy, clean) + CAMERA_GAIN - 0.5
    assert diagnose(noisy).task == "denoise"


@pytest.mark.parametrize(("quality", "gain"), [(10, 0.74), (40, 0.66)])
def test_jpeg_is_improved(photograph: torch.Tensor, quality: int, gain: float) -> None:
    """A third of a decibel less than measured; the photograph has little but texture."""
    y = jpeg(photograph[0], quality, subsampled=True)[None]
    clean = load_denoiser("shipped").denoise(y, estimate_noise(y, jpeg_quality=quality))
    assert psnr(clean, photograph) > psnr(y, photograph) + gain - 0.33


CAMERA_GAIN = 6.86
