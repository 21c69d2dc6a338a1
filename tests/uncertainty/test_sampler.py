"""Standard deviations tell how far off the image is."""

import dataclasses
from pathlib import Path

import pytest
import torch

from hybridprior import Component, ConfigError, Mask, Poisson, RestoreConfig, ShapeError, SolverConfig, Status
from hybridprior import restore_with_uncertainty as restore
from hybridprior._internal.interrupt import ACTIVE
from hybridprior.uncertainty import Langevin, UncertaintyConfig, calibration, draw_reliability
from hybridprior.uncertainty.calibration import NOMINAL, fit_variance
from hybridprior.uncertainty.config import Moments

TINY = RestoreConfig(
    generator=Component("skip", {"down": (8, 16), "up": (8, 16), "skip": (4, 4), "input_depth": 4}),
    solver=SolverConfig(max_steps=80, beta2=0.95),
    precision="fp32",
)
FEW = UncertaintyConfig(samples=30, burn_in=10, members=3)


@pytest.fixture(scope="module")
def small(crop: torch.Tensor) -> torch.Tensor:
    return crop[..., 16:48, 16:48].contiguous()


def _degraded(truth: torch.Tensor, task: str):
    rng = torch.Generator().manual_seed(5)
    if task == "denoise":
        return truth + 0.1 * torch.randn(truth.shape, generator=rng), None, 0.1
    known = (torch.rand(truth.shape[-2:], generator=rng) < 0.6).float()
    return truth * known, Mask(known), 0.0


def test_langevin_draws_from_the_posterior_of_a_gaussian() -> None:
    """U = N (theta - 3)^2 / 2 has the mean 3 and the variance 1 / N."""
    count, theta = 100.0, torch.nn.Parameter(torch.full((500,), 2.0))
    walk = Langevin([theta], learning_rate=0.01, count=count, rng=torch.Generator().manual_seed(0))
    samples = Moments()
    for step in range(600):
        theta.grad = (theta - 3).detach()
        walk.step()
        if step >= 400:
            samples.add(theta)
    assert float(samples.mean.mean()) == pytest.approx(3, abs=0.02)
    assert float(theta.detach().var()) == pytest.approx(1 / count, rel=0.25)


@pytest.mark.parametrize("scale", [0.4, 1.0])
def test_photons_have_the_noise_of_their_own_number(crop: torch.Tensor, scale: float) -> None:
    truth, peak = scale * crop.mean(1, keepdim=True), 60
    y = torch.poisson(truth * peak, generator=torch.Generator().manual_seed(0)) / peak
    result = restore(y, fidelity=Poisson(peak), config=TINY, max_steps=150, options=FEW)
    error = float((result.image - truth).square().mean())
    assert 0.5 < error / float(result.uncertainty.std.square().mean()) < 3
    assert 0.5 < result.uncertainty.after < 2


def test_moments_are_those_of_all_samples() -> None:
    x = torch.randn(7, 1, 2, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    moments = Moments()
    for each in x:
        moments.add(each)
    torch.testing.assert_close(moments.mean, x.mean(0))
    torch.testing.assert_close(moments.variance, x.var(0))


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_fit_finds_scale_and_floor(noise: float) -> None:
    rng = torch.Generator().manual_seed(0)
    variance = torch.rand(40_000, generator=rng).double() * 0.01
    error = (4 * variance + 0.02**2).sqrt() * torch.randn(40_000, generator=rng)
    seen = error + noise * torch.randn(40_000, generator=rng)
    squared, other = seen.square() - noise**2, torch.full_like(seen, noise**2)
    scale, floor = fit_variance(variance, squared, other, torch.ones_like(variance))
    assert scale == pytest.approx(2, rel=0.05)
    assert floor == pytest.approx(0.02, abs=0.008)


def test_the_fit_is_never_negative() -> None:
    variance = torch.linspace(0, 1, 100).double()
    scale, floor = fit_variance(variance, 1 - variance, torch.zeros(100), torch.ones(100))
    assert scale >= 0 and floor >= 0
    assert fit_variance(torch.zeros(9), torch.ones(9), torch.zeros(9), torch.ones(9)) == pytest.approx((0, 1), abs=1e-6)


def test_a_calibrated_map_has_no_calibration_error() -> None:
    rng = torch.Generator().manual_seed(0)
    std = 0.01 + 0.1 * torch.rand(1, 1, 200, 200, generator=rng)
    truth = torch.rand(std.shape, generator=rng)
    image = truth + std * torch.randn(std.shape, generator=rng)
    right, wrong = calibration(image, std, truth), calibration(image, std / 3, truth)
    assert right.error < 0.01 and right.ence < 0.05 and right.normalised == pytest.approx(1, abs=0.03)
    assert wrong.error > 0.2 and wrong.ence > 1.8 and wrong.normalised == pytest.approx(9, rel=0.03)
    assert len(right.coverage) == len(NOMINAL)
    with pytest.raises(ShapeError, match="same shape"):
        calibration(image, std[..., 1:], truth)


@pytest.fixture(scope="module", params=[("denoise", "langevin"), ("inpaint", "langevin"), ("inpaint", "ensemble")])
def restored(request: pytest.FixtureRequest, small: torch.Tensor):
    task, method = request.param
    y, operator, sigma = _degraded(small, task)
    return small, restore(y, operator, config=TINY, sigma=sigma, options=dataclasses.replace(FEW, method=method))


def test_every_pixel_has_a_standard_deviation(restored) -> None:
    truth, result = restored
    found = result.uncertainty
    assert found is not None
    assert found.std.shape == found.raw.shape == result.image.shape == truth.shape
    assert found.std.dtype == torch.float32
    told = found.std > 0
    expected = (found.scale**2 * found.raw.square() + found.floor**2).sqrt()
    torch.testing.assert_close(found.std[told], expected[told])
    assert found.samples == (FEW.samples if found.method == "langevin" else FEW.members)


def test_what_is_known_without_noise_is_right_and_certain(small: torch.Tensor) -> None:
    y, operator, sigma = _degraded(small, "inpaint")
    result = restore(y, operator, config=TINY, sigma=sigma, options=dataclasses.replace(FEW, samples=3, burn_in=0))
    known = operator.known.expand_as(small) > 0
    assert torch.equal(result.image[known], small[known])
    assert bool((result.uncertainty.std[known] == 0).all()) and bool((result.uncertainty.std[~known] > 0).all())
    assert result.config.stopping.name == "heldout"


def test_what_is_right_and_certain_says_nothing_of_calibration() -> None:
    rng = torch.Generator().manual_seed(0)
    std, truth = 0.1 + 0.1 * torch.rand(1, 1, 80, 80, generator=rng), torch.rand(1, 1, 80, 80, generator=rng)
    image = truth + std * torch.randn(std.shape, generator=rng)
    more = [torch.cat([x, y], dim=-1) for x, y in ((image, truth), (std, torch.zeros_like(std)), (truth, truth))]
    assert calibration(*more) == calibration(image, std, truth)


def test_the_fit_brings_the_map_nearer_to_the_errors(restored) -> None:
    truth, result = restored
    before, after = (calibration(result.image, std, truth) for std in (result.uncertainty.raw, result.uncertainty.std))
    assert after.error < max(before.error, 0.05)
    assert after.error < 0.15


def test_a_map_that_says_nothing_is_said(small: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    y, operator, sigma = _degraded(small, "denoise")
    monkeypatch.setattr("hybridprior.uncertainty.variance_fit.fit_variance", lambda *_: (0.0, 0.05))
    result = restore(
        y, operator, config=dataclasses.replace(TINY, solver=SolverConfig(max_steps=5)), options=FEW, sigma=sigma
    )
    assert result.uncertainty is not None and result.uncertainty.flat
    assert "13/255 at every pixel" in result.message
    assert not dataclasses.replace(result.uncertainty, scale=1.0, raw=result.uncertainty.std).flat


def test_the_same_seed_gives_the_same_map(small: torch.Tensor) -> None:
    y, operator, sigma = _degraded(small, "denoise")
    few = dataclasses.replace(FEW, samples=4, burn_in=1)
    one, two, other = (
        restore(y, operator, config=TINY, sigma=sigma, options=few, max_steps=10, seed=seed).uncertainty
        for seed in (1, 1, 2)
    )
    assert torch.equal(one.std, two.std)
    assert not torch.equal(one.std, other.std)


def test_measurements_need_not_be_images(small: torch.Tensor) -> None:
    def rows(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean(-1), x.mean(-2)], -1)

    y = rows(small)
    result = restore(y, rows, shape=tuple(small.shape), config=TINY, sigma=0.02, options=FEW, max_steps=10)
    assert result.uncertainty.std.shape == small.shape


@pytest.mark.parametrize("after", [5, 13])
def test_an_interrupted_run_is_resumed_to_the_same_bits(small: torch.Tensor, after: int) -> None:
    """Ctrl-C before the samples, and while they are drawn."""
    y, operator, sigma = _degraded(small, "denoise")
    few = dataclasses.replace(FEW, samples=6, burn_in=1)
    options = {"config": TINY, "sigma": sigma, "options": few, "max_steps": 12}
    whole = restore(y, operator, **options)

    class Pressing(torch.nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Pressing.calls += torch.is_grad_enabled()
            if Pressing.calls == after:
                for event in ACTIVE:
                    event.set()
            return x

    broken = restore(y, Pressing(), **options)
    assert broken.status is Status.INTERRUPTED
    assert broken.uncertainty is None
    resumed = restore(y, operator, **options, checkpoint=broken.checkpoint)
    assert torch.equal(resumed.image, whole.image)
    assert torch.equal(resumed.uncertainty.std, whole.uncertainty.std)


@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(TINY, generator=Component("pixels")),
        dataclasses.replace(TINY, regulariser=Component("auto")),
    ],
)
def test_without_a_network_to_sample_there_is_none(small: torch.Tensor, config: RestoreConfig) -> None:
    with pytest.raises(ConfigError, match="samples"):
        restore(small, config=config, sigma=0.1)


@pytest.mark.parametrize("wrong", [{"method": "no"}, {"samples": 1}, {"learning_rate": 0.0}, {"share": 1.0}])
def test_options_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        UncertaintyConfig(**wrong)


def test_the_reliability_is_drawn(tmp_path: Path) -> None:
    from hybridprior import read_image

    rng = torch.Generator().manual_seed(0)
    x, std = torch.rand(2, 1, 1, 30, 30, generator=rng)
    draw_reliability({"one": calibration(x, std, 0.9 * x)}, tmp_path / "reliability.png")
    assert min(read_image(tmp_path / "reliability.png").pixels.shape[-2:]) > 300
