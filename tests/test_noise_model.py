"""The noise model: levels, correlation, samples with what it says."""

from __future__ import annotations

import pytest
import torch

from hybridprior.errors import ConfigError
from hybridprior.noise_model import LAGS, NoiseModel, quantisation

CAMERA = NoiseModel((0.2, 0.8), (0.02, 0.08), correlation=(0.6, 0.3, 0.1), channel_correlation=0.5, sigma=0.05)


def test_white_noise_is_one_level_and_planes_of_zeros() -> None:
    model = NoiseModel.white(0.1)
    y = torch.rand(2, 3, 16, 16)
    assert model.is_white
    assert not CAMERA.is_white
    assert model.level_map(y).flatten().tolist() == pytest.approx([0.1, 0.1])
    assert float(model.planes(model.level_map(y)).abs().max()) == 0


def test_the_level_follows_the_intensity_and_is_constant_beyond_the_known_range() -> None:
    y = torch.linspace(0, 1, 64).expand(1, 1, 8, 64)
    level = CAMERA.level_map(y)
    assert level.shape == (1, 1, 8, 64)
    assert float(level[0, 0, 4, 0]) == pytest.approx(0.02)
    assert float(level[0, 0, 4, -1]) == pytest.approx(0.08)
    assert float(level[0, 0, 4, 32]) == pytest.approx(0.05, abs=2e-3)


@pytest.mark.parametrize("model", [NoiseModel.white(0.07), CAMERA])
def test_samples_have_the_level_and_the_correlation_of_the_model(model: NoiseModel) -> None:
    x = torch.full((1, 3, 256, 256), 0.5)
    noise = model.sample(x, torch.Generator().manual_seed(0))
    square = noise.square().mean()
    assert float(square.sqrt()) == pytest.approx(float(model.level_map(x).mean()), rel=0.05)
    for lag, share in zip(LAGS, model.correlation, strict=True):
        found = (noise[..., lag:] * noise[..., :-lag]).mean() / square
        assert float(found) == pytest.approx(share, abs=0.06)
    channels = (noise[:, 0] * noise[:, 1]).mean() / square
    assert float(channels) == pytest.approx(model.channel_correlation, abs=0.06)
    again = model.sample(x, torch.Generator().manual_seed(0))
    assert torch.equal(noise, again)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 3, 40), (2, 4, 9, 7)])
def test_any_shape_has_a_sample(shape: tuple[int, ...]) -> None:
    noise = CAMERA.sample(torch.rand(shape), torch.Generator().manual_seed(0))
    assert noise.shape == shape
    assert bool(torch.isfinite(noise).all())


def test_numbers_out_of_their_range_are_refused() -> None:
    for wrong in ({"levels": (-1.0,)}, {"levels": (0.1, 0.2)}, {"correlation": (0.1,)}, {"sigma": float("nan")}):
        with pytest.raises(ConfigError, match="NoiseModel"):
            NoiseModel(**wrong)
    with pytest.raises(ConfigError, match="ascend"):
        NoiseModel((0.5, 0.2), (0.1, 0.1))


def test_quantisation_falls_with_quality() -> None:
    values = [quantisation(quality) for quality in (5, 10, 50, 90, 100)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0
