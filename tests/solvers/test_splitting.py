"""Splitting: the exact solution where there is one, and the global prior alone as a serious baseline."""

import signal

import pytest
import torch

from hybridprior import Component, ConfigError, Downsample, Mask, RestoreConfig, SolverConfig, Status, Step, restore
from hybridprior.config import SplittingConfig
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.fidelities import Gaussian
from hybridprior.fidelities.proximal import conjugate_gradients
from hybridprior.metrics import psnr
from hybridprior.problem import Problem
from hybridprior.regularisers import RED, TotalVariation
from hybridprior.regularisers.red import REDConfig
from hybridprior.stopping import Heldout

SIGMA = 0.1


def _shrink(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """What the prior N(1/2, 0.2^2) for each pixel makes of a noisy one: a denoiser whose fixed points are known."""
    gain = 0.04 / (0.04 + sigma.reshape(-1, 1, 1, 1) ** 2)
    return 0.5 + gain * (x - 0.5)


def _prior(**options) -> RED:
    return RED(REDConfig(**options), denoiser=CallableDenoiser(_shrink))


def _constant(sigma: float, **options) -> RED:
    return _prior(sigma_start=sigma, sigma_end=sigma, **options)


def _matrix(operator, shape) -> torch.Tensor:
    basis = torch.eye(shape[1] * shape[2] * shape[3]).reshape(-1, *shape[1:])
    return torch.stack([operator(b[None]).flatten() for b in basis], 1)


def test_conjugate_gradients_solve_a_dense_system() -> None:
    rng = torch.Generator().manual_seed(0)
    root = torch.randn(12, 12, generator=rng)
    matrix, right = root @ root.T + torch.eye(12), torch.randn(12, generator=rng)
    found = conjugate_gradients(lambda p: matrix @ p, right, torch.zeros(12))
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right), rtol=1e-2, atol=1e-3)
    assert conjugate_gradients(lambda p: matrix @ p, torch.zeros(12), torch.zeros(12)).abs().sum() == 0


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("operator", [Downsample(2), Mask(torch.tensor([[1.0, 0.0, 1.0, 1.0]] * 4))])
def test_the_fixed_point_is_the_one_of_the_equations(operator, dual: bool) -> None:
    """v = D(x + u), (A'A / s^2 + c lambda / t^2) x = A'y / s^2 + c lambda (v - u) / t^2; u = 0, or x = v."""
    shape, level, weight = (1, 1, 4, 4), 0.15, 0.7
    y = operator(torch.rand(shape, generator=torch.Generator().manual_seed(1)))
    config = RestoreConfig(
        generator=Component("pixels"),
        solver=SolverConfig(max_steps=300, ema_decay=0.0),
        weight=weight,
        method="splitting",
        splitting=SplittingConfig(admm=dual),
    )
    result = restore(y, operator, config=config, sigma=SIGMA, regulariser=_constant(level))
    assert len(result.trace) == 300
    x = result.image.flatten()
    a = _matrix(operator, shape)
    gain = 0.04 / (0.04 + level**2)
    data, pull = a.T @ a / SIGMA**2, weight * SplittingConfig.penalty / level**2
    right = a.T @ y.flatten() / SIGMA**2
    if dual:  # x = v: the prior's own precision (1 - gain) / gain, in units of the coupling
        stiff = pull * (1 - gain) / gain
        expected = torch.linalg.solve(data + stiff * torch.eye(16), right + stiff * 0.5)
    else:
        inner = torch.linalg.solve(data + pull * (1 - gain) * torch.eye(16), right + pull * (1 - gain) * 0.5)
        expected = 0.5 + gain * (inner - 0.5)
    torch.testing.assert_close(x, expected, rtol=1e-2, atol=2e-3)


def test_where_the_coupling_falls_only_the_last_counts_in_the_end() -> None:
    falling = SplittingConfig(penalty=4.0, penalty_end=0.04)
    y = Downsample(2)(torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(1)))
    images = []
    for splitting in (falling, SplittingConfig(penalty=0.04), SplittingConfig(penalty=4.0)):
        loop = SolverConfig(max_steps=200, ema_decay=0.0)
        config = RestoreConfig(generator=Component("pixels"), solver=loop, method="splitting", splitting=splitting)
        result = restore(y, Downsample(2), config=config, sigma=SIGMA, regulariser=_constant(0.15))
        images.append(result.image)
    near, far = ((images[0] - other).abs().max() for other in images[1:])
    assert near < 0.005 < 0.05 < far


@pytest.mark.parametrize(
    "wrong", [{"penalty_end": 0.0}, {"penalty_end": -0.1}, {"penalty": 0.0}, {"penalty_end": float("nan")}]
)
def test_a_coupling_is_positive(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="penalty"):
        SplittingConfig(**wrong)


def test_denoising_by_pixels_is_the_denoiser_alone(crop: torch.Tensor) -> None:
    y, _ = degrade(crop, Degradation("denoise", sigma=SIGMA))
    prior = _prior()
    for weight in (1.0, 0.25):
        result = restore(y, sigma=SIGMA, generator="pixels", regulariser=prior, weight=weight)
        alone = prior.denoiser.denoise(y, SIGMA * weight**0.5)
        torch.testing.assert_close(result.image, alone, rtol=0, atol=1e-5)
        assert len(result.trace) == 1


def test_pixels_with_a_denoiser_are_plug_and_play_unless_asked_otherwise(crop: torch.Tensor) -> None:
    y, operator = degrade(crop, Degradation("sr", scale=2))
    result = restore(y, operator, generator="pixels", regulariser=_prior(), sigma=0.0)
    assert result.config.method == "pnp"
    assert result.config.stopping.name == "fixed"
    assert len(result.trace) == result.config.splitting.iterations
    other = restore(y, operator, generator="pixels", regulariser=_prior(), sigma=0.0, solver="gradient", max_steps=3)
    assert other.config.method == "gradient"
    assert len(other.trace) == 3
    named = restore(y, operator, generator="pixels", regulariser="denoiser", sigma=0.0, solver="gradient", max_steps=3)
    assert restore(y, operator, config=named.config, sigma=0.0).config == named.config


def test_held_out_pixels_take_no_part_in_plug_and_play(crop: torch.Tensor) -> None:
    """Whatever the held-out pixels hold, the image is the same: they are in neither the fit nor the start."""
    y, operator = degrade(crop, Degradation("denoise", sigma=SIGMA))
    problem = Problem.make(y, operator, Gaussian(SIGMA))
    validation = problem.hold_out(Heldout().validation_fraction(problem.pixels), 0).validation.weights
    assert validation is not None
    options = {"generator": "pixels", "regulariser": _prior(), "stopping": "heldout", "sigma": SIGMA, "max_steps": 4}
    for a in (operator, Mask((torch.rand(64, 64) > 0.3).float())):
        one, other = (restore(z, a, **options) for z in (y, torch.where(validation > 0, 1 - y, y)))
        if a is operator:
            torch.testing.assert_close(one.trace[-1].energy, other.trace[-1].energy)
        assert len(one.trace) > 1


def test_the_weight_of_a_single_term_counts(crop: torch.Tensor) -> None:
    y, operator = degrade(crop, Degradation("sr", scale=2))
    options = {"generator": "pixels", "sigma": SIGMA, "max_steps": 3}
    whole = restore(y, operator, **options, regulariser=_prior(), weight=0.5)
    part = restore(y, operator, **options, regulariser=0.5 * _prior())
    assert part.config.method == "pnp"
    assert not torch.equal(whole.image, restore(y, operator, **options, regulariser=_prior()).image)
    named = restore(y, operator, **options, regulariser="denoiser", weight={"denoiser": 0.5})
    assert named.config.method == "pnp"
    assert named.image.shape == part.image.shape


def test_what_does_not_split_is_refused(crop: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="gradient"):
        restore(crop, sigma=SIGMA, generator="pixels", regulariser="tv", solver="splitting")
    with pytest.raises(ConfigError, match="gradient"):
        restore(crop, sigma=SIGMA, regulariser=_prior() + TotalVariation(), solver="splitting", max_steps=2)
    with pytest.raises(ConfigError, match="linear"):
        restore(crop, lambda x: x.square(), sigma=SIGMA, generator="pixels", regulariser=_prior())


def test_a_network_follows_the_denoised(crop: torch.Tensor) -> None:
    """With E of no weight beside R's, f_theta is drawn to v; with both, the image is nearer the truth than y."""
    y, _ = degrade(crop, Degradation("denoise", sigma=SIGMA))
    config = RestoreConfig(
        generator=Component("skip", {"down": (16, 32), "up": (16, 32), "skip": (4, 4), "input_depth": 8}),
        solver=SolverConfig(max_steps=150, ema_decay=0.9),
        precision="fp32",
    )
    for dual in (False, True):
        changed = {"config": RestoreConfig(**{**vars(config), "splitting": SplittingConfig(admm=dual)})}
        result = restore(y, sigma=SIGMA, regulariser="denoiser", solver="splitting", **changed)
        assert result.config.method == "splitting"
        assert psnr(result.image, crop) > psnr(y, crop) + 3


def test_noise_before_each_look_is_drawn_by_the_seed_and_is_what_the_denoiser_takes_off(crop: torch.Tensor) -> None:
    """The constant image's D sees noise of just the level that it is told, but at the last step."""
    seen = []

    def listen(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        seen.append((float((x - 0.5).std()), float(sigma.max())))
        return torch.full_like(x, 0.5)

    flat, operator = torch.full((1, 3, 48, 48), 0.5), Downsample(2)
    noisy = RED(REDConfig(noise=1.0), denoiser=CallableDenoiser(listen))
    restore(operator(flat), operator, sigma=0.0, generator="pixels", regulariser=noisy)
    assert all(spread == pytest.approx(sigma, rel=0.05) for spread, sigma in seen[:-1])
    assert len(seen) > 10 and seen[-1][0] < 0.1 * seen[-1][1]
    y = operator(crop)
    once, again, other, plain = (
        restore(y, operator, sigma=0.0, generator="pixels", regulariser=_prior(noise=noise), seed=seed).image
        for noise, seed in ((1.0, 0), (1.0, 0), (1.0, 1), (0.0, 0))
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other) and not torch.equal(once, plain)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_noise_that_is_no_level_is_refused(noise: float) -> None:
    with pytest.raises(ConfigError, match="noise"):
        REDConfig(noise=noise)


@pytest.mark.parametrize("generator", ["pixels", "skip"])
def test_a_run_that_was_broken_off_goes_on_to_the_same_bits(crop: torch.Tensor, generator: str) -> None:
    options = {} if generator == "pixels" else {"down": (8, 8), "up": (8, 8), "skip": (2, 2), "input_depth": 4}
    config = RestoreConfig(
        generator=Component(generator, options),
        solver=SolverConfig(max_steps=8, ema_decay=0.5),
        method="splitting",
        splitting=SplittingConfig(inner_steps=3, admm=True),
        precision="fp32",
    )
    y = Downsample(2)(crop)

    def press_ctrl_c(step: Step) -> None:
        if step.number == 5:
            signal.raise_signal(signal.SIGINT)

    prior = _prior(noise=1.0)
    whole = restore(y, Downsample(2), sigma=0.05, config=config, regulariser=prior)
    part = restore(y, Downsample(2), sigma=0.05, config=config, regulariser=prior, callbacks=[press_ctrl_c])
    assert part.status is Status.INTERRUPTED
    assert part.checkpoint is not None
    rest = restore(y, Downsample(2), sigma=0.05, config=config, regulariser=prior, checkpoint=part.checkpoint)
    assert torch.equal(whole.image, rest.image)
    assert whole.trace == rest.trace
