"""Every registered operator keeps the contract, at odd sizes too."""

import pytest
import torch

from hybridprior.operators import (
    OPERATORS,
    BayerMosaic,
    Blur,
    Compose,
    Crop,
    Downsample,
    Identity,
    Jpeg,
    Mask,
    Operator,
    as_operator,
)
from hybridprior.operators.kernels import gaussian


def _mask(height: int, width: int) -> Mask:
    known = (torch.rand(height, width, generator=torch.Generator().manual_seed(1)) > 0.4).float()
    known[0, 0] = 1
    return Mask(known)


def _crooked(height: int, width: int) -> torch.Tensor:
    """A kernel without any symmetry."""
    return torch.rand(height, width, generator=torch.Generator().manual_seed(2)) + 0.1


# name -> [(operator, shape of the image)]
CASES: dict[str, list[tuple[Operator, tuple[int, int, int, int]]]] = {
    "identity": [(Identity(), (1, 3, 7, 5)), (Identity(), (1, 1, 1, 1))],
    "mask": [(_mask(9, 13), (1, 3, 9, 13)), (_mask(1, 2), (1, 1, 1, 2)), (_mask(31, 8), (1, 5, 31, 8))],
    "resample": [
        (Downsample(factor, kernel), (1, 3, factor * 5, factor * 7))
        for factor in (2, 3, 4, 5, 8)
        for kernel in ("lanczos2", "lanczos3", "bicubic", "area")
    ]
    + [(Downsample(4), (1, 2, 4, 4)), (Downsample(3, "bicubic"), (1, 1, 3, 12))],
    "blur": [
        (Blur(_crooked(*size), boundary), (1, 3, 11, 14))
        for size in ((3, 5), (4, 2), (1, 1), (7, 1))
        for boundary in ("valid", "circular", "reflect", "replicate")
    ],
    "demosaic": [(BayerMosaic(pattern), (1, 3, 7, 10)) for pattern in ("RGGB", "BGGR", "GRBG", "GBRG")]
    + [(BayerMosaic(), (1, 3, 1, 1)), (BayerMosaic(), (1, 3, 5, 1))],
    "jpeg": [
        (Jpeg(torch.full((1, 3, 11, 18), 0.25), torch.full((2, 8, 8), 9.0), (2, 2)), (1, 3, 11, 18)),
        (Jpeg(torch.full((1, 1, 3, 8), 0.25), torch.full((1, 8, 8), 9.0)), (1, 1, 3, 8)),
    ],
    "window": [(Crop(3), (1, 3, 9, 12)), (Crop(0), (1, 1, 2, 2)), (Crop(4), (1, 1, 9, 9))],
    "compose": [
        (Compose(Identity()), (1, 3, 4, 5)),
        (Compose(Blur(_crooked(3, 5)), Downsample(2), _mask(4, 6)), (1, 3, 10, 16)),
        (Compose(Blur(gaussian(1.0), "reflect"), BayerMosaic("GRBG")), (1, 3, 13, 10)),
    ],
}
ALL = [(name, operator, shape) for name, cases in CASES.items() for operator, shape in cases]


def test_every_registered_operator_is_tested() -> None:
    assert set(CASES) == set(OPERATORS)


@pytest.mark.parametrize(("name", "operator", "shape"), ALL)
def test_adjoint(name: str, operator: Operator, shape: tuple[int, int, int, int]) -> None:
    rng = torch.Generator().manual_seed(0)
    operator = operator.double()
    x = torch.randn(shape, generator=rng, dtype=torch.float64)
    y = torch.randn(operator(x).shape, generator=rng, dtype=torch.float64)
    left, right = (operator(x) * y).sum(), (x * operator.adjoint(y)).sum()
    torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(operator.adjoint(y), Operator.adjoint(operator, y), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "operator", "shape"), ALL)
def test_shapes_and_first_estimate(name: str, operator: Operator, shape: tuple[int, int, int, int]) -> None:
    operator = operator.float()
    y = operator(torch.full(shape, 0.25))
    assert operator.image_shape(tuple(y.shape)) == shape
    operator.check(y)
    estimate = operator.initial_estimate(y)
    assert estimate.shape == shape
    torch.testing.assert_close(estimate, torch.full(shape, 0.25), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("name", "operator", "shape"), ALL)
def test_gradient_reaches_the_image(name: str, operator: Operator, shape: tuple[int, int, int, int]) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(2), requires_grad=True)
    operator.float()(x).square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "operator", "shape"), ALL)
def test_traits_agree_with_the_operator(name: str, operator: Operator, shape: tuple[int, int, int, int]) -> None:
    operator = operator.float()
    x = torch.rand(shape, generator=torch.Generator().manual_seed(3))
    y = operator(x)
    assert operator.is_identity == (name in ("identity", "jpeg") or operator is CASES["compose"][0][0])
    if operator.is_identity:
        torch.testing.assert_close(y, x)
    if operator.downscale is not None:
        assert tuple(side // operator.downscale for side in shape[2:]) == tuple(y.shape[2:])
    known = operator.known_pixels(y)
    if known is not None:
        torch.testing.assert_close(operator.adjoint(y), x * known)
        torch.testing.assert_close(operator.enforce_consistency(0 * x, y, noisy=False), x * known)
    if name != "jpeg":  # whose file says what is possible
        assert torch.equal(operator.enforce_consistency(x, y + 1, noisy=True), x)


@pytest.mark.parametrize(
    ("operators", "downscale"),
    [
        ((Downsample(3),), 3),
        ((Blur(gaussian(0.8)), Downsample(2)), 2),
        ((Identity(), Downsample(2), Downsample(4), Identity()), 8),
        ((Downsample(2), Blur(gaussian(0.8), "reflect")), None),
        ((Downsample(2), _mask(4, 6)), None),
        ((BayerMosaic(), Downsample(2)), None),
        ((Identity(), Identity()), None),
    ],
)
def test_compose_forwards_the_downscale(operators: tuple[Operator, ...], downscale: int | None) -> None:
    assert Compose(*operators).downscale == downscale
    assert Compose(*operators).is_identity == all(type(a) is Identity for a in operators)


def test_compose_forwards_the_known_pixels() -> None:
    x, mask = torch.rand(1, 3, 9, 12), _mask(5, 8)
    operator = Compose(Crop(2), Identity(), mask)
    y = operator(x)
    known = operator.known_pixels(y)
    assert known is not None
    assert torch.equal(known[..., 2:-2, 2:-2], mask.known) and known.sum() == mask.known.sum()
    assert torch.equal(operator.enforce_consistency(torch.zeros_like(x), y, noisy=False), x * known)
    assert Compose(Blur(gaussian(0.8)), mask).known_pixels(y) is None


def test_a_wrong_adjoint_is_caught() -> None:
    class Wrong(Downsample):
        def adjoint(self, y: torch.Tensor) -> torch.Tensor:
            return super().adjoint(y).roll(1, -1)

    with pytest.raises(AssertionError):
        test_adjoint("wrong", Wrong(3), (1, 1, 9, 15))


def test_any_callable_is_an_operator() -> None:
    operator = as_operator(lambda x: x.mean(dim=1), shape=(1, 3, 5, 7))
    y = operator(torch.full((1, 3, 5, 7), 0.5))
    assert operator.image_shape(tuple(y.shape)) == (1, 3, 5, 7)
    torch.testing.assert_close(operator.adjoint(y), torch.full((1, 3, 5, 7), 0.5 / 3))
    torch.testing.assert_close(operator.initial_estimate(y), torch.full((1, 3, 5, 7), 0.5))
