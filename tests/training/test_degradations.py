"""Degradations for training: what the camera and JPEG do, what is said of it, and that it covers real cameras' noise."""

from __future__ import annotations

import math

import pytest
import torch

from hybridprior.data import demo_image
from hybridprior.io.files import read_image
from hybridprior.noise_model import quantisation
from hybridprior.training import TrainConfig
from hybridprior.training.camera import Camera, CameraConfig, demosaic, mosaic
from hybridprior.training.degradations import (
    PLANES,
    DegradationConfig,
    add_white_noise,
    conditions,
    correlations,
    degrade,
    jpeg,
)

REAL = {
    "smartphone": {"level": (10.6, 32.0), "lags": ((0.40, 0.51), (0.06, 0.12), (0.03, 0.07)), "channels": (0.24, 0.42)},
    "camera": {"level": (2.8, 4.8), "lags": ((0.59, 0.80), (0.28, 0.59), (0.16, 0.46)), "channels": (0.53, 0.82)},
}
"""10th and 90th percentile over 40 pairs of SIDD and 20 of PolyU: level of 255, correlation at lags 1, 2 and 4 and of
the channels."""


@pytest.fixture(scope="module")
def photograph() -> torch.Tensor:
    return read_image(demo_image()).pixels.float()


def draws(photograph: torch.Tensor, rng: torch.Generator):
    def draw(count: int, size: int) -> torch.Tensor:
        height, width = photograph.shape[-2:]
        scale = max(1.0, (size + 1) / min(height, width))
        source = photograph
        if scale > 1:
            source = torch.nn.functional.interpolate(photograph, scale_factor=scale, mode="bilinear")
        tops = [int(v * (source.shape[-2] - size)) for v in torch.rand(count, generator=rng).tolist()]
        lefts = [int(v * (source.shape[-1] - size)) for v in torch.rand(count, generator=rng).tolist()]
        return torch.cat(
            [source[..., top : top + size, left : left + size] for top, left in zip(tops, lefts, strict=True)]
        )

    return draw


def test_a_batch_has_the_shares_that_were_asked_for(photograph: torch.Tensor) -> None:
    rng = torch.Generator().manual_seed(0)
    config = DegradationConfig(camera=0.4, jpeg=0.2)
    white = 0
    for _ in range(10):
        sample = degrade(draws(photograph, rng), 10, 32, rng, config)
        assert sample.clean.shape == sample.noisy.shape == (10, 3, 32, 32)
        assert sample.level.shape == (10, 1, 32, 32)
        assert sample.planes.shape == (10, PLANES, 32, 32)
        assert all(bool(torch.isfinite(part).all()) for part in (sample.noisy, sample.level, sample.planes))
        white += int((sample.planes == 0).flatten(1).all(1).sum())
    assert 35 <= white <= 45


def test_white_noise_has_the_level_that_is_said_and_grey_stays_grey() -> None:
    rng = torch.Generator().manual_seed(1)
    clean = torch.full((6, 3, 128, 128), 0.5)
    clean[3:, 0] = 0.4
    sample = add_white_noise(clean, rng, median=0.1, spread=0.5)
    noise = sample.noisy - sample.clean
    torch.testing.assert_close(noise.std((1, 2, 3)), sample.level.flatten(), rtol=0.05, atol=0)
    assert bool((noise[:3] == noise[:3, :1]).all())
    assert not bool((noise[3:, 1] == noise[3:, 0]).any())


def test_a_camera_without_noise_gives_nearly_the_photograph_back(photograph: torch.Tensor) -> None:
    config = CameraConfig(shot=(1e-12, 1e-11), read_offset=-40, denoised=0, sharpened=0, resized=0, bilinear=0)
    for seed in range(3):
        rng = torch.Generator().manual_seed(seed)
        clean, noisy = Camera(1, rng, config).photograph(photograph, rng)
        assert float((clean - noisy).abs().mean()) < 1e-4
        error = (clean - photograph)[..., 12:-12, 12:-12].square().mean().sqrt()
        assert float(error) < 0.06


@pytest.mark.parametrize("bilinear", [True, False])
@pytest.mark.parametrize("phase", [[0, 0], [0, 1], [1, 0], [1, 1]])
def test_demosaicking_keeps_what_was_measured_and_finds_planes(phase: list[int], bilinear: bool) -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 24), torch.linspace(0, 1, 26), indexing="ij")
    plane = torch.stack([0.3 + 0.2 * rows, 0.2 + 0.3 * columns, 0.6 - 0.1 * rows])[None]
    raw = mosaic(plane, phase)
    found = demosaic(raw, phase, bilinear=bilinear)
    torch.testing.assert_close(found[..., 3:-3, 3:-3], plane[..., 3:-3, 3:-3], rtol=0, atol=1e-5)
    torch.testing.assert_close(mosaic(found, phase)[..., 3:-3, 3:-3], raw[..., 3:-3, 3:-3], rtol=0, atol=1e-5)


def test_directional_demosaicking_follows_edges_better_than_the_bilinear_one(photograph: torch.Tensor) -> None:
    raw = mosaic(photograph, [0, 1])
    errors = [
        float((demosaic(raw, [0, 1], bilinear=bilinear) - photograph)[..., 4:-4, 4:-4].square().mean())
        for bilinear in (True, False)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_shot_noise_grows_with_intensity_and_the_level_map_says_so() -> None:
    rng = torch.Generator().manual_seed(2)
    ramp = torch.linspace(0.1, 0.9, 128).expand(1, 3, 128, 128)
    noise = torch.randn(ramp.shape, generator=rng) * (0.001 + 0.01 * ramp).sqrt()
    level, planes = conditions(ramp + noise, noise)
    assert 1.15 < float(level[..., 100:].mean() / level[..., :28].mean()) < 2.5
    torch.testing.assert_close(level.square().mean(), noise.square().mean(), rtol=0.05, atol=0)
    assert float(planes.abs().max()) < 0.2 * float(level.max())


def test_correlations_of_known_noise_are_found() -> None:
    noise = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(3)).expand(1, 3, -1, -1)
    smooth = torch.nn.functional.avg_pool2d(noise, 2, 1)
    found = [float(value) for value in correlations(smooth)]
    assert found == pytest.approx([0.5, 0.0, 0.0, 1.0], abs=0.03)


def test_jpeg_is_worse_at_less_quality_and_grey_stays_grey(photograph: torch.Tensor) -> None:
    errors = [float((jpeg(photograph[0], q, subsampled=True) - photograph[0]).square().mean()) for q in (10, 40, 90)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    grey = jpeg(photograph[0, :1].expand(3, -1, -1), 30, subsampled=True)
    assert bool((grey == grey[:1]).all())
    assert quantisation(10) > 4 * quantisation(50) > 4 * quantisation(95) > 0


def test_synthetic_camera_noise_covers_that_of_real_cameras(photograph: torch.Tensor) -> None:
    rng = torch.Generator().manual_seed(4)
    config = DegradationConfig(camera=1.0, uncertainty=0.0)
    rows = []
    for _ in range(40):
        sample = degrade(draws(photograph, rng), 4, 96, rng, config)
        noise = sample.noisy - sample.clean
        level = noise.square().mean((1, 2, 3)).sqrt() * 255
        rows.append(torch.stack([level, *(value.flatten() for value in correlations(noise))], 1))
    found = torch.cat(rows)
    for name, real in REAL.items():
        bounds = [real["level"], *real["lags"], real["channels"]]
        for column, (low, high) in zip(found.T, bounds, strict=True):
            inside = ((column >= low) & (column <= high)).float().mean()
            assert float(inside) > 0.03, (name, low, high, float(inside))
            assert float((column < high).float().mean()) > 0.1
            assert float((column > low).float().mean()) > 0.1
        # One sample like them all at once, within a quarter of the ranges' widths.
        slack = [0.5 * (high - low) + 0.05 * high for low, high in bounds]
        close = torch.stack(
            [
                (column > low - more) & (column < high + more)
                for column, (low, high), more in zip(found.T, bounds, slack, strict=True)
            ]
        ).all(0)
        assert int(close.sum()) >= 2, (name, int(close.sum()))


def test_shares_are_checked() -> None:
    from hybridprior.errors import ConfigError

    with pytest.raises(ConfigError, match="fractions"):
        TrainConfig(camera=0.7, jpeg=0.5)
    assert math.isclose(TrainConfig(camera=0.4, jpeg=0.2).camera, 0.4)
