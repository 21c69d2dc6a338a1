"""Noise, metrics, degradations, configuration and registries."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from hybridprior import Component, ConfigError, RestoreConfig, ShapeError, SolverConfig, estimate_sigma
from hybridprior._internal.registry import Registry
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.fidelities import SIGMA_FLOOR, Gaussian
from hybridprior.generators import build_generator
from hybridprior.metrics import luma, psnr, psnr_for_task, ssim
from hybridprior.operators import Downsample, Mask


@pytest.mark.parametrize("sigma", [5, 15, 25, 50, 100])
def test_the_estimate_of_sigma(photograph: torch.Tensor, sigma: float) -> None:
    noise = torch.randn(photograph.shape, generator=torch.Generator().manual_seed(sigma))
    assert 255 * estimate_sigma(photograph + sigma / 255 * noise) == pytest.approx(sigma, rel=0.1, abs=1)


def test_sigma_of_clean_tiny_and_masked_images(photograph: torch.Tensor) -> None:
    assert estimate_sigma(torch.full((1, 3, 64, 64), 0.3)) == SIGMA_FLOOR
    assert estimate_sigma(torch.rand(1, 3, 5, 5)) == SIGMA_FLOOR
    noisy = photograph + 0.1 * torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0))
    known = torch.ones(1, 1, *photograph.shape[-2:])
    known[..., 40:90, 60:120] = 0
    assert estimate_sigma(noisy * known, known) == pytest.approx(0.1, rel=0.1)
    scattered = (torch.rand(1, 1, *photograph.shape[-2:]) > 0.5).float()
    assert estimate_sigma(noisy * scattered, scattered) == SIGMA_FLOOR


def test_the_energy_is_a_log_likelihood() -> None:
    y, x = torch.tensor([[[[0.2, 0.9]]]]), torch.tensor([[[[0.1, 0.5]]]])
    normal = torch.distributions.Normal(x, 0.1)
    expected = -(normal.log_prob(y) - normal.log_prob(x)).sum()
    torch.testing.assert_close(Gaussian(0.1)(x, y), expected)
    torch.testing.assert_close(Gaussian(0.1)(x, y, torch.tensor([[[[0.0, 1.0]]]])), torch.tensor(0.4**2 / 0.02))


def test_metrics_agree_with_scikit_image(photograph: torch.Tensor) -> None:
    truth = photograph
    x = (truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    a, b = (t[0].permute(1, 2, 0).double().numpy() for t in (x, truth))
    assert psnr(x, truth) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-4)
    theirs = structural_similarity(
        a, b, channel_axis=-1, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(x, truth) == pytest.approx(theirs, abs=0.01)
    assert ssim(x[..., :4, :4], truth[..., :4, :4]) is None
    assert psnr(x + 5, torch.ones_like(x)) > 100  # clipped first
    with pytest.raises(ShapeError, match="different shapes"):
        psnr(x, truth[..., 1:])


def test_luma_and_the_border_of_super_resolution() -> None:
    white = torch.ones(1, 3, 12, 12)
    torch.testing.assert_close(luma(white), torch.full((1, 1, 12, 12), 235 / 255), atol=1e-4, rtol=0)
    torch.testing.assert_close(luma(0 * white), torch.full((1, 1, 12, 12), 16 / 255), atol=1e-4, rtol=0)
    damaged = white.clone()
    damaged[..., :4, :] = 0
    assert psnr_for_task(damaged, white, "sr") > 100
    assert psnr_for_task(damaged, white, "denoise") < 10


def test_degradations_follow_the_protocol(photograph: torch.Tensor) -> None:
    y, _ = degrade(photograph, Degradation("denoise", sigma=25 / 255, seed=3))
    noise = torch.randn(photograph.shape, generator=torch.Generator().manual_seed(3))
    assert torch.equal(y, photograph + 25 / 255 * noise)
    small, operator = degrade(photograph, Degradation("sr", scale=4))
    assert isinstance(operator, Downsample)
    assert small.shape == (1, 3, 48, 64)
    holes, mask = degrade(photograph, Degradation("inpaint", missing=0.8))
    assert isinstance(mask, Mask)
    assert float(mask.known.mean()) == pytest.approx(0.2, abs=0.01)
    assert torch.equal(holes, photograph * mask.known)
    with pytest.raises(ConfigError, match="multiple of 5"):
        degrade(photograph, Degradation("sr", scale=5))


def test_lanczos2_is_the_papers_kernel() -> None:
    """At x4: sixteen taps, distances (i + 1/2) / 4, sinc times sinc of half the argument, normalised."""
    t = (np.arange(16) - 7.5) / 4
    taps = np.sinc(t) * np.sinc(t / 2)
    row = Downsample(4).matrix(64, torch.zeros(1, dtype=torch.float64))[8]
    np.testing.assert_allclose(row[26:42].numpy(), taps / taps.sum(), atol=1e-12)
    assert float(row[:26].abs().sum() + row[42:].abs().sum()) == 0


def test_bicubic_agrees_with_torchs_antialiased_resize(photograph: torch.Tensor) -> None:
    ours = Downsample(4, "bicubic")(photograph)
    theirs = torch.nn.functional.interpolate(photograph, scale_factor=0.25, mode="bicubic", antialias=True)
    torch.testing.assert_close(ours[..., 3:-3, 3:-3], theirs[..., 3:-3, 3:-3], atol=1e-4, rtol=0)


def test_configuration_goes_to_json_and_back() -> None:
    config = RestoreConfig(
        generator=Component("skip", {"down": (8, 8), "up": (8, 8), "skip": (2, 2)}),
        regulariser=Component("tv", {"scale": 0.1}),
        weight=0.3,
        solver=SolverConfig(max_steps=7, input_noise_std=0.1),
        seed=9,
    )
    assert RestoreConfig.from_json(config.to_json()) == config
    assert RestoreConfig.from_dict({"generator": "pixels", "solver": {"max_steps": 3}}).solver.max_steps == 3
    for values, words in (
        ({"sead": 3}, "Did you mean 'seed'"),
        ({"solver": {"step": 3}}, "Did you mean 'max_steps'"),
        ({"solver": {"ema_decay": 1.0}}, "ema_decay"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ConfigError, match=words):
            RestoreConfig.from_dict(values)
    for text in ("{", "3"):
        with pytest.raises(ConfigError, match="JSON"):
            RestoreConfig.from_json(text)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("skip", {"dwn": (8,)}, "Did you mean 'down'"),
        ("skip", {"down": (8,), "up": (8, 8), "skip": (2,)}, "one number for each level"),
        ("skip", {"padding": "zero"}, "Did you mean 'zeros'"),
        ("skip", {"filter_up": 4}, "odd"),
        ("decoder", {"channels": ()}, "at least one layer"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_generator(name, 3, options)


def test_a_registry_refuses_duplicates_and_stays_as_it_was() -> None:
    registry: Registry[type] = Registry("thing")
    registry.register("a")(int)
    with pytest.raises(ConfigError, match="registered already"):
        registry.register("a")(float)
    assert registry == {"a": int}
    with pytest.raises(ConfigError, match="no thing named 'b'"):
        registry.find("b")


def test_entry_points_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "own"

        @staticmethod
        def load() -> type:
            return complex

    monkeypatch.setattr(
        "hybridprior._internal.registry.entry_points", lambda group: [Point] if group == "hybridprior.things" else []
    )
    registry: Registry[type] = Registry("thing")
    assert registry.find("own") is complex


def test_published_figures_stand_only_beside_comparable_ones() -> None:
    from hybridprior.evaluation.bench.published import means, of_image

    assert of_image("house", Degradation("denoise", sigma=25 / 255)) == 32.09
    assert of_image("house", Degradation("denoise", sigma=50 / 255)) is None
    assert of_image("house", Degradation("inpaint", missing=0.5)) == 39.16
    assert of_image("house", Degradation("inpaint", missing=0.8)) is None
    assert {name.split()[-1] for name in means(Degradation("sr", scale=8))} == {"x8"}
    assert means(Degradation("denoise", sigma=0.2)) == {}


def test_the_oracle_remembers_across_an_interrupt() -> None:
    from hybridprior.evaluation.oracle import Oracle
    from hybridprior.result import Step

    def step(number: int, value: float) -> Step:
        x = torch.full((1, 1, 4, 4), value)
        return Step(number, x, x, 0.0, 0.0, None, 0, 0.0)

    first, second = (Oracle(torch.zeros(1, 1, 4, 4), "denoise") for _ in range(2))
    first(step(1, 0.1))
    second.load_state_dict(first.state_dict())
    second(step(2, 0.5))
    assert (second.step, second.psnr) == (1, pytest.approx(20, abs=1e-3))
