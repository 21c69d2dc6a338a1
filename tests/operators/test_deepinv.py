"""deepinv's physics are operators, and our restoration is a model of deepinv."""

import pytest
import torch

from hybridprior import Component, Gaussian, InputError, Problem, RestoreConfig, SolverConfig, metrics, restore
from hybridprior.errors import ShapeError
from hybridprior.fidelities import Laplace, Poisson
from hybridprior.operators import Operator, PhysicsOperator, as_operator

physics = pytest.importorskip("deepinv.physics")

TINY = RestoreConfig(
    generator=Component("skip", {"down": (8, 16), "up": (8, 16), "skip": (4, 4), "input_depth": 4}),
    stopping=Component("heldout"),
    solver=SolverConfig(max_steps=60, beta2=0.95),
    precision="fp32",
)
SIZE = 24


def _noise(sigma: float):
    return physics.GaussianNoise(sigma, rng=torch.Generator().manual_seed(0))


def tomography(sigma: float = 0.01):
    return physics.Tomography(angles=16, img_width=SIZE, normalize=True, noise_model=_noise(sigma))


def resonance(sigma: float = 0.02):
    mask = (torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(1)) < 0.4).float()
    mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = 1, 1, 1, 1
    mask[SIZE // 2 - 3 : SIZE // 2 + 3, SIZE // 2 - 3 : SIZE // 2 + 3] = 1
    return physics.MRI(mask=mask, noise_model=_noise(sigma))


def blur(sigma: float = 0.02):
    kernel = torch.ones(1, 1, 3, 3) / 9
    return physics.Blur(filter=kernel, padding="valid", noise_model=_noise(sigma))


@pytest.fixture(scope="module")
def image(crop: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(crop.mean(1, keepdim=True), 2)[..., 4 : 4 + SIZE, 4 : 4 + SIZE].contiguous()


@pytest.fixture(scope="module")
def complex_image(image: torch.Tensor) -> torch.Tensor:
    return torch.cat([image, 0.4 * image.flip(-1)], 1)


CASES = {"tomography": (tomography, "image"), "resonance": (resonance, "complex_image"), "blur": (blur, "image")}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest):
    make, name = CASES[request.param]
    made, truth = make(), request.getfixturevalue(name)
    return made, truth, made(truth)


def test_a_physics_is_an_operator_without_its_noise(case) -> None:
    made, truth, y = case
    operator = as_operator(made)
    assert isinstance(operator, PhysicsOperator)
    assert operator.image_shape(tuple(y.shape)) == truth.shape
    torch.testing.assert_close(operator(truth), made.A(truth))
    assert not torch.equal(operator(truth), y)


def test_the_adjoint_is_the_derivative(case) -> None:
    made, truth, y = case
    operator, rng = as_operator(made), torch.Generator().manual_seed(3)
    x, v = torch.randn(truth.shape, generator=rng), torch.randn(y.shape, generator=rng)
    torch.testing.assert_close((operator(x) * v).sum(), (x * operator.adjoint(v)).sum(), rtol=1e-3, atol=1e-3)


def test_the_cheap_estimate_is_better_than_a_flat_image(case) -> None:
    made, truth, y = case
    flat = truth.mean(dim=(-2, -1), keepdim=True).expand_as(truth)
    assert metrics.psnr(as_operator(made).initial_estimate(y), truth) > metrics.psnr(flat, truth) + 2


def test_the_noise_is_the_physics_own(case) -> None:
    made, _, y = case
    problem = Problem.make(y, as_operator(made))
    assert problem.fidelity == Gaussian(float(made.noise_model.sigma))
    assert Problem.make(y, as_operator(made), Gaussian(0.3)).fidelity == Gaussian(0.3)


@pytest.mark.parametrize(
    ("model", "fidelity"),
    [
        (physics.PoissonNoise(gain=0.02), Poisson(50)),
        (physics.PoissonNoise(gain=0.02, normalize=False), None),
        (physics.LaplaceNoise(b=0.05), Laplace(0.05)),
        (physics.UniformNoise(a=0.1), None),
    ],
)
def test_noise_that_is_not_gaussian(model, fidelity) -> None:
    found = as_operator(physics.Denoising(noise_model=model)).noise()
    assert (found is None) == (fidelity is None)
    if fidelity is not None:
        assert type(found) is type(fidelity)
        assert found.sigma == pytest.approx(fidelity.sigma)


def test_only_what_lies_in_the_mask_counts(complex_image: torch.Tensor) -> None:
    made = resonance()
    problem = Problem.make(made(complex_image), as_operator(made))
    assert problem.weights is not None
    torch.testing.assert_close(problem.weights, made.mask.expand(1, 2, -1, -1))
    train, validation = problem.hold_out(0.1, 0)
    assert train.weights is not None and validation.weights is not None
    assert torch.equal(validation.weights[:, 0], validation.weights[:, 1])  # real and imaginary part go together
    assert float((train.filled() * validation.weights).abs().max()) == 0


@pytest.mark.parametrize("route", ["local", "global", "fused"])
def test_every_route_restores_what_others_measure(case, route: str) -> None:
    made, truth, y = case
    options = {
        "local": {"config": TINY},
        "global": {"regulariser": "denoiser", "generator": "pixels", "max_steps": 6},
        "fused": {"config": TINY, "regulariser": "auto"},
    }[route]
    result = restore(y, made, **options)
    assert result.image.shape == truth.shape
    assert result.sigma == pytest.approx(float(made.noise_model.sigma))
    assert (result.fusion is not None) == (route == "fused")
    flat = truth.mean(dim=(-2, -1), keepdim=True).expand_as(truth)
    assert metrics.psnr(result.image, truth) > metrics.psnr(flat, truth) + 2


def test_without_noise_some_measurements_are_held_out(complex_image: torch.Tensor) -> None:
    made = resonance(sigma=0.0)
    result = restore(made(complex_image), made, config=TINY, regulariser="auto", max_steps=20)
    assert result.fusion is not None
    assert result.image.shape == complex_image.shape


def test_measurements_have_units_of_their_own(image: torch.Tensor) -> None:
    made = physics.Tomography(angles=8, img_width=SIZE, normalize=False)
    y = made.A(image)
    assert float(y.max()) > 5
    assert restore(y, made, config=TINY, sigma=0.1, max_steps=2).image.shape == image.shape
    with pytest.raises(InputError, match="NaN"):
        restore(torch.full_like(y, torch.nan), made, config=TINY, sigma=0.1)


def test_a_physics_without_an_adjoint_needs_the_shape() -> None:
    class Sum:
        noise_model = None

        def A(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(dim=-1)

    y = Sum().A(torch.full((1, 1, 4, 6), 0.25))
    assert restore(y, Sum(), shape=(1, 1, 4, 6), config=TINY, sigma=0.1, max_steps=2).image.shape == (1, 1, 4, 6)
    with pytest.raises(ShapeError, match="loop over a batch"):
        restore(y, Sum(), config=TINY, sigma=0.1)


def test_several_measurements_of_a_image_are_refused(image: torch.Tensor) -> None:
    made = physics.StackedLinearPhysics([physics.Denoising(), physics.Denoising()])
    with pytest.raises(ShapeError, match="several"):
        Operator.adjoint(PhysicsOperator(made, tuple(image.shape)), image)


def test_our_restoration_is_a_model_of_deepinv(image: torch.Tensor) -> None:
    from deepinv.models import Reconstructor

    from hybridprior.applications.deepinv import reconstructor

    made = tomography()
    y = made(torch.cat([image, image.flip(-1)]))
    model = reconstructor(config=TINY, max_steps=5, seed=1)
    assert isinstance(model, Reconstructor)
    assert not list(model.parameters())
    with torch.no_grad():
        both = model(y, made)
    assert both.shape == (2, *image.shape[1:])
    assert torch.equal(both[1:], restore(y[1:], made, config=TINY, max_steps=5, seed=1).image)
