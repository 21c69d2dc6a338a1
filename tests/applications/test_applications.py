"""The paper's other uses: flash and no flash, feature inversion, activation maximisation, and what a prior does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hybridprior import Component, ConfigError, RestoreConfig, ShapeError, SolverConfig, restore
from hybridprior.applications import (
    PRIORS,
    Activation,
    Features,
    Guided,
    Score,
    compare_priors,
    features_of,
    restore_flash,
    score_of,
)
from hybridprior.config import TileConfig
from hybridprior.generators import Pixels, PixelsConfig
from hybridprior.metrics import psnr

TINY = RestoreConfig(
    generator=Component("skip", {"down": (8, 16), "up": (8, 16), "skip": (4, 4)}),
    solver=SolverConfig(max_steps=60, beta2=0.95),
    precision="fp32",
)


class Stages(nn.Module):
    """Two stages with drawn weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 24, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        fine = self.first(x).tanh()
        return [fine, self.second(fine)]


class Classes(nn.Module):
    """Two classes: how red an image is, and how blue."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = 10 * x.mean(dim=(-2, -1))
        return torch.stack([means[:, 0] - means[:, 2], means[:, 2] - means[:, 0]], 1)


@pytest.fixture(scope="module")
def small(crop: torch.Tensor) -> torch.Tensor:
    return crop[..., 16:45, 16:41].contiguous()


def test_a_flash_lends_its_detail(small: torch.Tensor) -> None:
    truth = small * torch.tensor([0.9, 0.6, 0.4])[:, None, None]
    dim = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    guided = restore_flash(dim, small, config=TINY, sigma=0.1)
    assert psnr(guided.image, truth) > psnr(restore(dim, config=TINY, sigma=0.1).image, truth) + 1


def test_the_guide_lies_where_the_image_will(small: torch.Tensor) -> None:
    network = Guided(small, 1, seed=3)
    shape = network.padded((1, 1, *small.shape[-2:]))
    z = network.input(shape, torch.Generator())
    top, left = ((shape[k] - small.shape[k]) // 2 for k in (-2, -1))
    assert torch.equal(z[..., top : top + small.shape[-2], left : left + small.shape[-1]], small)
    assert network(z).shape == shape
    before = torch.get_rng_state()
    twin = Guided(small, 1, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True))


def test_photographs_of_different_sizes_are_refused(small: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="align"):
        restore_flash(small, small[..., 1:], config=TINY)
    with pytest.raises(ShapeError, match="larger"):
        Guided(small, 3).input((1, 3, 8, 8), torch.Generator())
    with pytest.raises(ShapeError, match="Tiles have no guide"):
        restore_flash(
            small.repeat(1, 1, 4, 4), small.repeat(1, 1, 4, 4), config=replace(TINY, tiles=TileConfig(64, 16))
        )


def test_features_lead_back_to_the_image(small: torch.Tensor) -> None:
    y, phi = features_of(small, Stages(), layer=0)
    assert isinstance(phi, Features)
    assert float(y.std()) == pytest.approx(1, abs=0.01)
    result = restore(y, phi, config=TINY, sigma=0.1, stopping="fixed")
    assert result.image.shape == small.shape
    assert psnr(result.image, small) > 20
    with pytest.raises(ConfigError, match="stages 0 to 1"):
        features_of(small, Stages(), layer=2)


def test_the_priors_differ_and_nothing_else(small: torch.Tensor) -> None:
    y, phi = features_of(small, Stages(), layer=1)
    results = compare_priors(y, phi, sigma=0.1, weight=0.1, max_steps=5)
    assert list(results) == list(PRIORS)
    assert {each.config.stopping.name for each in results.values()} == {"fixed"}
    assert {each.config.method for each in results.values()} == {"gradient"}
    assert {each.config.solver.max_steps for each in results.values()} == {5}
    assert [each.config.generator.name for each in results.values()] == ["pixels", "pixels", "skip"]
    assert results["pixels + tv"].config.regulariser.name == "tv"


def test_a_class_is_maximised() -> None:
    y, score = score_of(1, Classes(), shape=(1, 3, 16, 12))
    assert isinstance(score, Score)
    result = restore(y, score, config=TINY, fidelity=Activation(), stopping="fixed")
    assert float(result.image[:, 2].mean()) > 0.9
    assert float(result.image[:, 0].mean()) < 0.1
    with pytest.raises(ConfigError, match="from 0 to 1"):
        score_of(2, Classes())[1](torch.zeros(1, 3, 4, 4))


def test_the_activation_falls_as_the_score_grows() -> None:
    energy, score = Activation(), torch.tensor([[-5.0], [0.0], [40.0]], requires_grad=True)
    values = torch.stack([energy(each[None], each[None]) for each in score])
    assert (values > 0).all() and (values.diff() < 0).all()
    (gradient,) = torch.autograd.grad(values.sum(), score)
    torch.testing.assert_close(gradient, torch.full_like(gradient, -1))


def test_a_network_of_timm_is_inverted_and_asked(imagenet: Path, photograph: torch.Tensor) -> None:
    name, weights = "tf_efficientnet_lite0", str(imagenet)
    y, _ = features_of(photograph[..., 8:72, 8:72], name, layer=1, weights=weights)
    assert y.shape == (1, 24, 16, 16)
    _, otter = score_of(360, name, weights=weights, shape=(1, 3, 192, 192))
    _, fish = score_of(1, name, weights=weights, shape=(1, 3, 192, 192))
    assert float(otter(photograph[..., :192])) > float(fish(photograph[..., :192])) + 3
    y, score = score_of(360, name, weights=weights, shape=(1, 3, 64, 64))
    pixels = Pixels(3, PixelsConfig(noise_std=0.2))  # a flat grey image has no gradient
    result = restore(
        y,
        score,
        preset="fast",
        generator=pixels,
        solver="gradient",
        fidelity=Activation(),
        stopping="fixed",
        max_steps=12,
    )
    assert result.trace[-1].energy < result.trace[0].energy - 1
