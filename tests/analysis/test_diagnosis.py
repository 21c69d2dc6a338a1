"""What is wrong with an image is found without being told, and a clean one is left alone."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from hybridprior import Diagnosis, InputError, diagnose
from hybridprior.analysis.diagnosis import LEAVE, _decide
from hybridprior.analysis.jpeg import blockiness, file_steps, losses, pixel_quality, quality_of, steps_of
from hybridprior.analysis.noise import channel_sigmas, estimate_sigma, grain, noise_correlation
from hybridprior.data import demo_image
from hybridprior.io.image import to_pil


def _through_jpeg(x: torch.Tensor, quality: int) -> torch.Tensor:
    buffer = io.BytesIO()
    to_pil(x).save(buffer, "JPEG", quality=quality)
    return torch.from_numpy(np.asarray(Image.open(buffer)).copy()).permute(2, 0, 1)[None] / 255


def _noisy(x: torch.Tensor, sigma: float) -> torch.Tensor:
    y = x + sigma / 255 * torch.randn(x.shape, generator=torch.Generator().manual_seed(7))
    return (255 * y.clamp(0, 1)).round() / 255


@pytest.fixture(scope="module")
def clean(photograph: torch.Tensor) -> torch.Tensor:
    """The photograph at half its size, (1, 3, 96, 128): whatever noise it had is gone."""
    return (255 * F.avg_pool2d(photograph, 2)).round() / 255


def test_a_clean_image_is_left_alone(clean: torch.Tensor) -> None:
    found = diagnose(clean)
    assert (found.task, found.jpeg_quality, found.jpeg_error, found.warnings) == ("leave", None, 0.0, ())
    assert "clean" in found.reason


@pytest.mark.parametrize("sigma", [5, 25])
def test_noise_is_measured_and_named(clean: torch.Tensor, sigma: float) -> None:
    found = diagnose(_noisy(clean, sigma))
    assert found.task == "denoise"
    assert 255 * found.sigma == pytest.approx(sigma, rel=0.2)
    assert abs(found.correlation) < 0.15
    assert f"sigma {255 * found.sigma:.1f}" in found.reason


@pytest.mark.parametrize("quality", [10, 50, 80])
def test_pixels_remember_the_quality_of_their_jpeg(clean: torch.Tensor, quality: int) -> None:
    found = diagnose(_through_jpeg(clean, quality))
    assert (found.task, found.jpeg_quality) == ("dejpeg", quality)
    assert f"quality {quality}" in found.reason
    assert found.jpeg_error > 0


def test_a_part_of_a_jpeg_is_on_a_shifted_grid(clean: torch.Tensor) -> None:
    assert pixel_quality(_through_jpeg(clean, 60)[..., 3:, 5:]) == 60


def test_a_good_jpeg_is_left_alone(clean: torch.Tensor) -> None:
    found = diagnose(_through_jpeg(clean, 95))
    assert (found.task, found.jpeg_quality) == ("leave", 95)


def test_the_larger_error_is_named(clean: torch.Tensor) -> None:
    assert diagnose(_through_jpeg(_noisy(clean, 25), 85)).task == "denoise"
    assert diagnose(_through_jpeg(_noisy(clean, 5), 20)).task == "dejpeg"


def test_noise_from_before_a_jpeg_is_measured_though_most_of_it_is_gone(clean: torch.Tensor) -> None:
    y = _through_jpeg(_noisy(clean, 25), 80)
    assert estimate_sigma(y) < 0.5 * 25 / 255
    assert diagnose(y).sigma == pytest.approx(25 / 255, rel=0.3)
    before, error = losses(y, steps_of(80))
    assert before > error > 0


def test_noise_that_neighbours_share_is_found_and_warned_of(clean: torch.Tensor) -> None:
    white = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    smooth = F.avg_pool2d(white, 3, 1, 1)
    found = diagnose((clean + 15 / 255 * smooth / smooth.std()).clamp(0, 1))
    assert found.task == "denoise"
    assert found.correlation > 0.4
    assert any("not white" in warning for warning in found.warnings)


def test_channels_are_measured_one_by_one(photograph: torch.Tensor, clean: torch.Tensor) -> None:
    levels = torch.tensor([20.0, 40.0, 80.0])[None, :, None, None] / 255
    y = photograph + levels * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(2))
    assert channel_sigmas(y) == pytest.approx(levels.flatten().tolist(), rel=0.1)
    assert any("channels" in warning for warning in diagnose(y).warnings)
    assert diagnose(_noisy(clean, 25)).warnings == ()


def test_block_edges_outlive_a_change_of_the_pixels(clean: torch.Tensor) -> None:
    changed = _noisy(_through_jpeg(clean, 15), 5)
    assert blockiness(changed) > 3 * blockiness(clean)
    found = diagnose(changed)
    assert found.jpeg_quality is None
    assert any("blocks" in warning for warning in found.warnings)


@pytest.mark.parametrize("quality", [5, 49, 50, 75, 95])
def test_a_files_tables_name_its_quality(clean: torch.Tensor, tmp_path: Path, quality: int) -> None:
    path = tmp_path / "a.jpg"
    to_pil(clean).save(path, quality=quality)
    steps = file_steps(path)
    assert steps is not None
    assert torch.equal(steps, steps_of(quality))
    assert quality_of(steps) == quality
    assert file_steps(demo_image()) is None


def test_a_file_and_its_pixels_are_diagnosed_alike(clean: torch.Tensor, tmp_path: Path) -> None:
    to_pil(clean).save(tmp_path / "a.jpg", quality=40)
    pixels = torch.from_numpy(np.asarray(Image.open(tmp_path / "a.jpg")).copy()).permute(2, 0, 1)[None] / 255
    assert diagnose(tmp_path / "a.jpg") == diagnose(pixels) == diagnose(pixels, file=tmp_path / "a.jpg")
    with pytest.raises(InputError, match="no file"):
        diagnose(tmp_path / "missing.png")


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 5, 40), (1, 1, 33, 47), (1, 4, 40, 40)])
def test_any_shape_has_a_diagnosis(shape: tuple[int, ...]) -> None:
    found = diagnose(torch.full(shape, 0.5))
    assert isinstance(found, Diagnosis)
    assert found.task == "leave"
    assert len(found.sigmas) == shape[1]
    assert json.loads(json.dumps(found.to_dict()))["task"] == "leave"
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.task = "denoise"


def test_grain_tells_noise_from_texture(clean: torch.Tensor) -> None:
    assert grain(_noisy(clean, 10)).evenness > 0.75 > grain(clean).evenness
    assert abs(noise_correlation(_noisy(clean, 10), 10 / 255)) < 0.1


def test_noise_that_a_good_jpeg_outweighs_is_said() -> None:
    """It was called less than what is worth taking off, which it is not."""
    task, reason = _decide(3 / 255, False, 4 / 255, 92)
    assert task == LEAVE
    assert "3.0" in reason and "below" not in reason
