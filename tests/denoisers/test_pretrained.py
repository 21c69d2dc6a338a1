"""The denoiser that comes with the package: what it takes off, and what it leaves alone."""

import pytest
import torch

from hybridprior.denoisers import load_denoiser
from hybridprior.denoisers.pretrained import restrained
from hybridprior.noise_model import NoiseModel


def test_the_shipped_denoiser_takes_noise_off_in_colour_and_in_grey(photograph: torch.Tensor) -> None:
    """On a photograph that no training saw: half a decibel less than measured."""
    from hybridprior.metrics import psnr

    denoiser = load_denoiser("shipped")
    rng = torch.Generator().manual_seed(0)
    grey = photograph.mean(1, keepdim=True)
    for x, sigma, least in COLOUR + GREY:
        clean = photograph if x == "colour" else grey
        noisy = clean + sigma / 255 * torch.randn(clean.shape, generator=rng)
        assert psnr(denoiser.denoise(noisy, sigma / 255), clean) > least


COLOUR = [("colour", 5, 38.17), ("colour", 25, 28.90), ("colour", 100, 23.19)]


GREY = [("grey", 25, 26.67)]


def test_the_shipped_denoiser_leaves_a_clean_image_alone(photograph: torch.Tensor) -> None:
    denoiser = load_denoiser("shipped")
    torch.testing.assert_close(denoiser.denoise(photograph, 0.0), photograph, rtol=0, atol=1e-6)


def test_the_shipped_denoiser_applied_time_and_again_stays_in_range(crop: torch.Tensor) -> None:
    denoiser = load_denoiser("shipped")
    for sigma in (0.004, 0.02, 0.2, 1.0):
        x = crop
        for step in range(300):
            x = denoiser.denoise(x, sigma, view=step)
        assert float(x.std()) < 1.1 * float(crop.std())
        assert crop.min() <= x.min() <= x.max() <= crop.max()


def test_a_image_without_noise_to_find_gains_no_contrast() -> None:
    """What the network adds is held back; what it takes away is not."""
    x = torch.rand(2, 3, 20, 33)
    torch.testing.assert_close(restrained(x, 0.5 + 0.5 * (x - 0.5)), 0.5 + 0.5 * (x - 0.5), rtol=0, atol=1e-6)
    louder = restrained(x, 0.5 + 3 * (x - 0.5))
    assert float(louder.std()) < 1.1 * float(x.std())
    assert x.min() <= louder.min() <= louder.max() <= x.max()


@pytest.mark.parametrize(("height", "width"), [(165, 229), (179, 241)])
def test_borders_of_any_size_show_no_coloured_streaks(photograph: torch.Tensor, height: int, width: int) -> None:
    """Sides that are no multiples are continued; noise that is repeated there is taken for an image."""
    x = photograph[..., :height, :width]
    noisy = x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    error = load_denoiser("shipped").denoise(noisy, 0.3) - x
    colour = (error - error.mean(1, keepdim=True)).square().mean((0, 1))
    for border in (colour[:2], colour[-2:], colour[:, :2], colour[:, -2:]):
        assert border.mean() < 3 * colour.mean()


CAMERA = NoiseModel((0.2, 0.8), (0.03, 0.06), correlation=(0.5, 0.2, 0.05), channel_correlation=0.3, sigma=0.05)


@pytest.mark.parametrize("level", [1, 2, 5, 25])
def test_noise_that_is_not_white_removed_time_and_again_stays_in_range(crop: torch.Tensor, level: int) -> None:
    denoiser, x = load_denoiser("shipped"), crop
    for view in range(200):
        x = denoiser.denoise(x, CAMERA.scaled(level / 255 / CAMERA.sigma), view=view)
    assert float(x.std()) < 1.1 * float(crop.std())
    assert crop.min() <= x.min() <= x.max() <= crop.max()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 1, 7), (2, 4, 9, 5), (1, 1, 33, 20)])
def test_a_noise_model_is_taken_with_images_of_any_size(shape: tuple[int, ...]) -> None:
    clean = load_denoiser("shipped").denoise(torch.rand(shape), CAMERA)
    assert clean.shape == shape
    assert bool(torch.isfinite(clean).all())


def test_white_noise_as_a_model_is_white_noise_as_a_level(crop: torch.Tensor) -> None:
    denoiser = load_denoiser("shipped")
    assert torch.equal(denoiser.denoise(crop, NoiseModel.white(0.05)), denoiser.denoise(crop, 0.05))
