"""The feature loss: what a network of timm sees in the guide, and what it sees in the image."""

from pathlib import Path

import pytest
import torch
from priors import measured, slope
from torch import nn

from hybridprior import ConfigError, Downsample, ShapeError, restore
from hybridprior.errors import WeightsError
from hybridprior.fidelities import Gaussian
from hybridprior.operators import Identity
from hybridprior.problem import Problem
from hybridprior.regularisers import Perceptual
from hybridprior.regularisers.perceptual import PerceptualConfig


def test_features_of_the_guide_cost_nothing_and_others_do(crop: torch.Tensor) -> None:
    regulariser = Perceptual(guide=crop)
    regulariser.prepare(measured(crop.flip(-1)), steps=1, seed=0)
    assert float(regulariser(crop)) == 0
    assert float(regulariser(crop.flip(-1))) > float(regulariser(0.9 * crop + 0.1 * crop.flip(-1))) > 0
    assert slope(regulariser, crop.flip(-1)).abs().sum() > 0


def test_features_of_the_measurements_judge_what_the_operator_makes(crop: torch.Tensor) -> None:
    regulariser = Perceptual(PerceptualConfig(target="measurements", layers=(0, 1), layer_weights=(1.0, 3.0)))
    operator = Downsample(2)
    regulariser.prepare(Problem.make(operator(crop), operator, Gaussian(0.01)), steps=1, seed=0)
    assert float(regulariser(crop)) == pytest.approx(0, abs=1e-3)
    assert float(regulariser(crop.flip(-2))) > 1


def test_features_that_cannot_be_had(crop: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="guide"):
        Perceptual()(crop)
    with pytest.raises(ShapeError, match="guide is"):
        Perceptual(guide=crop[..., 1:]).prepare(measured(crop), steps=1, seed=0)
    with pytest.raises(ConfigError, match="layers 0 to"):
        Perceptual(PerceptualConfig(layers=(7,))).prepare(measured(crop), steps=1, seed=0)
    with pytest.raises(ShapeError, match="needs images"):
        Perceptual().prepare(measured(torch.rand(1, 2, 8, 8)), steps=1, seed=0)
    with pytest.raises(ConfigError, match="one weight for each"):
        PerceptualConfig(layers=(0,), layer_weights=(1.0, 2.0))
    with pytest.raises(WeightsError, match="timm"):
        Perceptual(PerceptualConfig(network="timm:no_such_network"))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of timm with drawn weights, in a file as its hub would have it."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("timm") / "resnet10t.safetensors"
    save_file(timm.create_model("resnet10t", pretrained=False).state_dict(), path)
    return path


def test_a_network_of_timm_sees_its_own_mean_and_spread(backbone: Path, crop: torch.Tensor) -> None:
    import timm

    config = PerceptualConfig(network="timm:resnet10t", weights=str(backbone), layers=(1, 2))
    regulariser = Perceptual(config)
    assert isinstance(regulariser.encoder, nn.Module)
    network = timm.create_model("resnet10t", checkpoint_path=str(backbone)).eval()
    mean, spread = (torch.tensor(network.default_cfg[name])[:, None, None] for name in ("mean", "std"))
    wanted = network.forward_intermediates((crop - mean) / spread, intermediates_only=True)
    for ours, theirs in zip(regulariser.encoder(crop), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    regulariser.prepare(measured(crop), steps=1, seed=0)
    assert float(regulariser(crop)) == 0
    assert torch.isfinite(slope(regulariser, crop.flip(-1))).all()


def test_features_do_not_see_what_is_held_out(crop: torch.Tensor) -> None:
    problem, validation = measured(crop).hold_out(0.1, 0)
    assert validation.weights is not None
    other = Problem(
        torch.where(validation.weights > 0, 1 - crop, crop), Identity(), Gaussian(0.01), problem.shape, problem.weights
    )
    for target in ("guide", "measurements"):
        regulariser = Perceptual(PerceptualConfig(target=target))
        seen = []
        for known in (problem, other):
            regulariser.prepare(known, steps=1, seed=0)
            seen.append(float(regulariser(crop)))
        assert seen[0] == seen[1]


def test_the_imagenet_network_knows_an_otter(imagenet: Path, photograph: torch.Tensor) -> None:
    """The weights went where they belong: 360 is the otter among ImageNet's classes."""
    import timm

    network = timm.create_model("tf_efficientnet_lite0", checkpoint_path=str(imagenet)).eval()
    mean, spread = (torch.tensor(network.default_cfg[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        classes = network((photograph[..., :192] - mean) / spread)[0]
    assert 360 in classes.topk(5).indices


def test_imagenets_features_lead_back_to_a_photograph(imagenet: Path, crop: torch.Tensor) -> None:
    """Pixels that know only the features of a photograph, and a blurred view of it, come nearer to it than the view."""
    from hybridprior.metrics import psnr

    config = PerceptualConfig(network="timm:tf_efficientnet_lite0", weights=str(imagenet), layers=(0, 1))
    y = Downsample(4)(crop)
    options = {"generator": "pixels", "preset": "paper", "stopping": "fixed", "max_steps": 150, "sigma": 5 / 255}
    alone = restore(y, Downsample(4), **options)
    result = restore(y, Downsample(4), **options, regulariser=Perceptual(config, guide=crop), weight=0.3)
    assert result.trace[-1].prior < 0.3 * result.trace[0].prior
    assert psnr(result.image, crop) > psnr(alone.image, crop) + 1
