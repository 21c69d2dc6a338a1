"""The regularisers made of networks: their gradients by Tweedie's formula, their schedules, and their features."""

import dataclasses
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from hybridprior import ConfigError, Resample, ShapeError, preset, restore
from hybridprior.choice import configure
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.denoisers.shipped import restrained
from hybridprior.errors import WeightsError
from hybridprior.fidelity import Gaussian
from hybridprior.operators import Identity, as_operator
from hybridprior.problem import Problem
from hybridprior.regularisers import DenoiserRegulariser, FeatureRegulariser, ScoreRegulariser, build_regulariser
from hybridprior.regularisers.denoiser import DenoiserConfig
from hybridprior.regularisers.feature import FeatureConfig
from hybridprior.regularisers.schedule import Schedule
from hybridprior.regularisers.score import ScoreConfig

VARIANCE = 0.04


def _gaussian(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The denoiser of the prior N(1/2, VARIANCE) for each pixel."""
    return 0.5 + VARIANCE / (VARIANCE + sigma.reshape(-1, 1, 1, 1) ** 2) * (x - 0.5)


def _problem(x: torch.Tensor, sigma: float = 0.01) -> Problem:
    return Problem.make(x, Identity(), Gaussian(sigma))


def _slope(regulariser, x: torch.Tensor, step: int = 1) -> torch.Tensor:
    x = x.clone().requires_grad_()
    regulariser(x, step).backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
def test_the_denoisers_gradient_is_the_smoothed_priors(sigma: float) -> None:
    """-grad log N(x; 1/2, VARIANCE + sigma^2), in nats."""
    config = DenoiserConfig(sigma_start=sigma, sigma_end=sigma, look="iterate")
    regulariser = DenoiserRegulariser(config, denoiser=CallableDenoiser(_gaussian))
    x = torch.rand(1, 3, 6, 6)
    regulariser.prepare(_problem(x), steps=10, seed=0)
    torch.testing.assert_close(_slope(regulariser, x), (x - 0.5) / (VARIANCE + sigma**2), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("weighting", ["tweedie", "red-diff"])
def test_the_scores_gradient_is_the_smoothed_priors_on_average(weighting: str) -> None:
    sigma = 0.2
    config = ScoreConfig(sigma_start=sigma, sigma_end=sigma, weighting=weighting)
    regulariser = ScoreRegulariser(config, denoiser=CallableDenoiser(_gaussian))
    x = torch.rand(1, 1, 4, 4)
    regulariser.prepare(_problem(x), steps=4000, seed=0)
    mean = torch.stack([_slope(regulariser, x, step) for step in range(1, 3001)]).mean(0)
    torch.testing.assert_close(mean, (x - 0.5) / (VARIANCE + sigma**2), rtol=0, atol=0.4)
    assert not torch.equal(_slope(regulariser, x, 1), _slope(regulariser, x, 2))
    assert torch.equal(_slope(regulariser, x, 1), _slope(regulariser, x, 1))


def test_the_schedule_falls_evenly_in_its_logarithm() -> None:
    schedule = Schedule(0.2, 0.05, 3)
    assert [schedule(step) for step in (1, 2, 3, 9)] == pytest.approx([0.2, 0.1, 0.05, 0.05])
    assert Schedule(0.2, 0.05, 1)(1) == 0.05
    with pytest.raises(ConfigError):
        Schedule(0.0, 0.1, 3)


def test_the_denoiser_looks_only_every_few_steps() -> None:
    looks = []

    def watch(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        looks.append(float(sigma[0]))
        return x

    config = DenoiserConfig(refresh=4, sigma_start=0.4, sigma_end=0.1, anneal=1.0)
    regulariser = DenoiserRegulariser(config, denoiser=CallableDenoiser(watch))
    x = torch.rand(1, 3, 4, 4)
    regulariser.prepare(_problem(x), steps=16, seed=0)
    for step in range(1, 17):
        regulariser(x, step)
    assert len(looks) == 5
    assert looks == sorted(looks, reverse=True)
    assert looks[-1] == pytest.approx(0.1)


def test_the_schedule_ends_at_the_measurements_noise() -> None:
    regulariser = DenoiserRegulariser(denoiser=CallableDenoiser(_gaussian))
    x = torch.rand(1, 3, 4, 4)
    for sigma in (0.3, 0.05):
        regulariser.prepare(_problem(x, sigma), steps=10, seed=0)
        assert regulariser.schedule(10) == pytest.approx(sigma)


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


def test_the_shipped_denoiser_leaves_a_clean_picture_alone(photograph: torch.Tensor) -> None:
    denoiser = load_denoiser("shipped")
    torch.testing.assert_close(denoiser.denoise(photograph, 0.0), photograph, rtol=0, atol=1e-6)


def test_the_shipped_denoiser_applied_time_and_again_stays_in_range(crop: torch.Tensor) -> None:
    denoiser = load_denoiser("shipped")
    for sigma in (0.004, 0.02, 0.2, 1.0):
        x = crop
        for look in range(300):
            x = denoiser.denoise(x, sigma, look=look)
        assert float(x.std()) < 1.1 * float(crop.std())
        assert crop.min() <= x.min() <= x.max() <= crop.max()


def test_a_picture_without_noise_to_find_gains_no_contrast() -> None:
    """What the network adds is held back; what it takes away is not."""
    x = torch.rand(2, 3, 20, 33)
    torch.testing.assert_close(restrained(x, 0.5 + 0.5 * (x - 0.5)), 0.5 + 0.5 * (x - 0.5), rtol=0, atol=1e-6)
    louder = restrained(x, 0.5 + 3 * (x - 0.5))
    assert float(louder.std()) < 1.1 * float(x.std())
    assert x.min() <= louder.min() <= louder.max() <= x.max()


def test_features_of_the_guide_cost_nothing_and_others_do(crop: torch.Tensor) -> None:
    regulariser = FeatureRegulariser(guide=crop)
    regulariser.prepare(_problem(crop.flip(-1)), steps=1, seed=0)
    assert float(regulariser(crop)) == 0
    assert float(regulariser(crop.flip(-1))) > float(regulariser(0.9 * crop + 0.1 * crop.flip(-1))) > 0
    assert _slope(regulariser, crop.flip(-1)).abs().sum() > 0


def test_features_of_the_measurements_judge_what_the_operator_makes(crop: torch.Tensor) -> None:
    regulariser = FeatureRegulariser(FeatureConfig(target="measurements", layers=(0, 1), layer_weights=(1.0, 3.0)))
    operator = Resample(2)
    regulariser.prepare(Problem.make(operator(crop), operator, Gaussian(0.01)), steps=1, seed=0)
    assert float(regulariser(crop)) == pytest.approx(0, abs=1e-3)
    assert float(regulariser(crop.flip(-2))) > 1


def test_features_that_cannot_be_had(crop: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="guide"):
        FeatureRegulariser()(crop)
    with pytest.raises(ShapeError, match="guide is"):
        FeatureRegulariser(guide=crop[..., 1:]).prepare(_problem(crop), steps=1, seed=0)
    with pytest.raises(ConfigError, match="layers 0 to"):
        FeatureRegulariser(FeatureConfig(layers=(7,))).prepare(_problem(crop), steps=1, seed=0)
    with pytest.raises(ShapeError, match="grey and colour"):
        FeatureRegulariser().prepare(_problem(torch.rand(1, 2, 8, 8)), steps=1, seed=0)
    with pytest.raises(ConfigError, match="one weight for each"):
        FeatureConfig(layers=(0,), layer_weights=(1.0, 2.0))
    with pytest.raises(WeightsError, match="timm"):
        FeatureRegulariser(FeatureConfig(network="timm:no_such_network"))


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

    config = FeatureConfig(network="timm:resnet10t", weights=str(backbone), layers=(1, 2))
    regulariser = FeatureRegulariser(config)
    assert isinstance(regulariser.encoder, nn.Module)
    network = timm.create_model("resnet10t", checkpoint_path=str(backbone)).eval()
    mean, spread = (torch.tensor(network.default_cfg[name])[:, None, None] for name in ("mean", "std"))
    wanted = network.forward_intermediates((crop - mean) / spread, intermediates_only=True)
    for ours, theirs in zip(regulariser.encoder(crop), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    regulariser.prepare(_problem(crop), steps=1, seed=0)
    assert float(regulariser(crop)) == 0
    assert torch.isfinite(_slope(regulariser, crop.flip(-1))).all()


@pytest.mark.parametrize("name", ["denoiser", "score", "feature", "denoiser+tv"])
def test_each_of_them_in_a_restoration(crop: torch.Tensor, name: str) -> None:
    y = Resample(2)(crop)
    options = {"regulariser": name, "preset": "fast", "steps": 3, "stop": "fixed", "sigma": 0.0}
    result = restore(y, Resample(2), **options)
    assert result.picture.shape == crop.shape
    assert result.config.regulariser.name == name
    assert all(point.prior >= 0 for point in result.trace)


def test_a_weight_for_each_term_and_a_denoiser_by_name(crop: torch.Tensor) -> None:
    result = restore(
        crop,
        sigma=0.1,
        preset="fast",
        steps=2,
        regulariser="denoiser+tv",
        weight={"denoiser": 0.5, "tv": 0.01},
        denoiser="shipped",
        denoiser_sigma=(0.3, 0.1),
    )
    assert result.config.weights == {"denoiser": 0.5, "tv": 0.01}
    assert result.config.regulariser.options["denoiser"] == {
        "denoiser": "shipped",
        "sigma_start": 0.3,
        "sigma_end": 0.1,
    }
    assert type(result.config).from_json(result.config.to_json()) == result.config
    with pytest.raises(ConfigError, match="asks no denoiser"):
        restore(crop, sigma=0.1, regulariser="tv", denoiser="shipped")
    with pytest.raises(ConfigError, match="as an object"):
        restore(crop, sigma=0.1, regulariser=DenoiserRegulariser(), denoiser="shipped")


def test_one_name_takes_its_options_flat(crop: torch.Tensor) -> None:
    options = {"sigma": 0.1, "preset": "fast", "steps": 2, "weight": {"denoiser": 0.5}, "denoiser_sigma": (0.3, 0.1)}
    result = restore(crop, regulariser="denoiser", **options)
    assert result.config.regulariser.options == {"sigma_start": 0.3, "sigma_end": 0.1}
    with pytest.raises(ConfigError, match="term to give options to"):
        build_regulariser("tv+none", {"tw": {}})


def test_features_do_not_see_what_is_held_out(crop: torch.Tensor) -> None:
    problem, held = _problem(crop).hold_out(0.1, 0)
    assert held.weights is not None
    other = Problem(
        torch.where(held.weights > 0, 1 - crop, crop), Identity(), Gaussian(0.01), problem.shape, problem.weights
    )
    for target in ("guide", "measurements"):
        regulariser = FeatureRegulariser(FeatureConfig(target=target))
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

    config = FeatureConfig(network="timm:tf_efficientnet_lite0", weights=str(imagenet), layers=(0, 1))
    y = Resample(4)(crop)
    options = {"generator": "pixels", "preset": "paper", "stop": "fixed", "steps": 150, "sigma": 5 / 255}
    alone = restore(y, Resample(4), **options)
    result = restore(y, Resample(4), **options, regulariser=FeatureRegulariser(config, guide=crop), weight=0.3)
    assert result.trace[-1].prior < 0.3 * result.trace[0].prior
    assert psnr(result.picture, crop) > psnr(alone.picture, crop) + 1


@pytest.mark.parametrize("operator", [Identity(), Resample(2)])
def test_the_denoiser_looks_at_what_was_measured(operator) -> None:
    """u = argmin |A u - y|^2 / (2 s^2) + c |u - x|^2 / (2 sigma^2), solved densely."""
    s, sigma = 0.1, 0.2
    config = DenoiserConfig(sigma_start=sigma, sigma_end=sigma)
    seen: list[torch.Tensor] = []

    def remember(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        return x

    regulariser = DenoiserRegulariser(config, denoiser=CallableDenoiser(remember))
    x, y = torch.rand(1, 1, 4, 4), operator(torch.rand(1, 1, 4, 4))
    regulariser.prepare(Problem.make(y, operator, Gaussian(s)), steps=10, seed=0)
    regulariser(x, 1)
    a = torch.stack([operator(row.reshape(1, 1, 4, 4)).flatten() for row in torch.eye(16)], 1)
    mu = config.coupling / sigma**2
    left, right = a.T @ a / s**2 + mu * torch.eye(16), a.T @ y.flatten() / s**2 + mu * x.flatten()
    torch.testing.assert_close(seen[-1].flatten(), torch.linalg.solve(left, right), rtol=1e-3, atol=1e-3)


def test_what_was_held_out_is_not_looked_at() -> None:
    y = torch.rand(1, 3, 16, 16)
    kept, held = _problem(y, 0.1).hold_out(0.2, 0)
    assert held.weights is not None
    spoilt = dataclasses.replace(kept, y=torch.where(held.weights > 0, 7.0, y))
    slopes = []
    for problem in (kept, spoilt):
        regulariser = DenoiserRegulariser(denoiser=CallableDenoiser(_gaussian))
        regulariser.prepare(problem, steps=10, seed=0)
        slopes.append(_slope(regulariser, torch.full_like(y, 0.5)))
    assert torch.equal(*slopes)


def test_without_a_linear_map_the_denoiser_looks_at_the_average() -> None:
    problem = Problem.make(torch.rand(1, 1, 8, 8), as_operator(torch.square), Gaussian(0.1))
    x = torch.rand(1, 1, 8, 8)
    slopes = []
    for look in ("measured", "average"):
        regulariser = DenoiserRegulariser(DenoiserConfig(look=look), denoiser=CallableDenoiser(_gaussian))
        regulariser.prepare(problem, steps=10, seed=0)
        slopes.append(_slope(regulariser, x))
    assert torch.equal(*slopes)


@pytest.mark.parametrize(("height", "width"), [(165, 229), (179, 241)])
def test_borders_of_any_size_show_no_coloured_streaks(photograph: torch.Tensor, height: int, width: int) -> None:
    """Sides that are no multiples are continued; noise that is repeated there is taken for a picture."""
    x = photograph[..., :height, :width]
    noisy = x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    error = load_denoiser("shipped").denoise(noisy, 0.3) - x
    colour = (error - error.mean(1, keepdim=True)).square().mean((0, 1))
    for border in (colour[:2], colour[-2:], colour[:, :2], colour[:, -2:]):
        assert border.mean() < 3 * colour.mean()


def test_a_denoiser_that_loses_its_colours_is_told_so() -> None:
    class Grey(Denoiser):
        def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=1, keepdim=True)

    for grey in (Grey(), CallableDenoiser(lambda x, sigma: x.mean(dim=1, keepdim=True))):
        with pytest.raises(ShapeError, match="of the shape it was given"):
            grey.denoise(torch.rand(1, 3, 8, 8), 0.1)


def test_a_function_serves_as_a_denoiser_where_r_is_built(crop: torch.Tensor) -> None:
    y = crop[..., :32, :32]
    prior = DenoiserRegulariser(denoiser=lambda x, sigma: x.clamp(0, 1))
    options = {"sigma": 0.1, "preset": "fast", "steps": 3}
    named = restore(
        y, regulariser=DenoiserRegulariser(denoiser=load_denoiser(lambda x, sigma: x.clamp(0, 1))), **options
    )
    assert torch.equal(restore(y, regulariser=prior, **options).picture, named.picture)


OWN = """
import torch

def half(x, sigma):
    return 0.5 * x

class Half(torch.nn.Module):
    def forward(self, x, sigma):
        return 0.5 * x

class Blind(torch.nn.Module):
    def forward(self, x):
        return x

made, blind, number = Half, Blind(), 3
"""


def test_a_denoiser_of_ones_own_by_name(crop: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "denoisers_of_mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    options = {"generator": "pixels", "regulariser": "denoiser", "sigma": 0.1}
    for name in ("half", "Half", "made"):
        picture = restore(crop, denoiser=f"denoisers_of_mine:{name}", **options).picture
        torch.testing.assert_close(picture, 0.5 * crop, atol=1e-5, rtol=0)
    refused = {"blind": "lambda x, sigma: network", "number": "not int", "none": "no attribute 'none'"}
    for name, said in refused.items():
        with pytest.raises(ConfigError, match=said):
            restore(crop, denoiser=f"denoisers_of_mine:{name}", **options)


def test_a_network_of_the_callers_stays_as_it_was(crop: torch.Tensor) -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(0.5))

        def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return self.factor * x

    network, shipped = Half(), load_denoiser("shipped")
    y, shipped.precision = crop[..., :16, :16], "auto"
    for regulariser in ("denoiser", "auto"):
        for given in (network, shipped):
            restore(y, sigma=0.1, regulariser=regulariser, denoiser=given, preset="fast", steps=3, dtype="bf16")
    assert network.training and network.factor.requires_grad and network.factor.item() == 0.5
    assert shipped.precision == "auto"


def test_a_denoiser_that_cannot_be_copied_serves(crop: torch.Tensor) -> None:
    """A session or a lock that it holds is shared."""

    class Session:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def denoise(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            with self.lock:
                return 0.5 * x

    y = crop[..., :16, :16]
    for regulariser in ("denoiser", "auto"):
        result = restore(y, sigma=0.1, regulariser=regulariser, denoiser=Session().denoise, preset="fast", steps=3)
        assert "Session.denoise" in result.config.to_json()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"denoiser_sigma": (0.2, 0.1)}, "denoiser"),
        ({"solver": "splitting"}, "denoiser"),
        ({"solver": "gradient"}, "denoiser"),
        ({"generator": "pixels", "denoiser": "shipped"}, "denoiser"),
        ({"generator": "pixels"}, "none"),
        ({"stop": "fixed"}, "none"),
        ({"stop": "fixed", "denoiser": "shipped"}, "denoiser"),
        ({"denoiser": "shipped"}, "auto"),
    ],
)
def test_what_evidence_leaves_no_room_for(asked: dict, name: str) -> None:
    assert configure(preset("balanced", "denoise"), **asked).regulariser.name == name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda x: x, "does not take two arguments"),
        (torch.nn.Identity(), "does not take two arguments"),
        (CallableDenoiser, "is a class and no denoiser yet"),
        ("no_such_module:f", "No module named"),
        ("hub:org/name", "There is no weights named"),
        (3, "not int"),
    ],
)
def test_what_is_no_denoiser_is_said(given: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_denoiser(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [(lambda x: x.sum(), "not a function"), (DenoiserRegulariser, "not the class DenoiserRegulariser")],
)
def test_what_is_no_regulariser_is_said(crop: torch.Tensor, given: object, said: str) -> None:
    with pytest.raises(ConfigError, match=f"A regulariser is a name or a Regulariser, {said}"):
        restore(crop, sigma=0.1, regulariser=given)
