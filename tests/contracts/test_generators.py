"""Every registered generator keeps the contract."""

import pytest
import torch

from hybridprior.generators import GENERATORS, Generator, build_generator

SMALL = {
    "skip": {"down": (8, 8), "up": (8, 8), "skip": (2, 2), "input_depth": 4},
    "decoder": {"channels": (16, 16), "input_depth": 8},
    "pixels": {},
}
NAMES = sorted(SMALL)
SKIPS = [
    {"upsample": "nearest"},
    {"downsample": "avg"},
    {"downsample": "max"},
    {"downsample": "lanczos2"},
    {"downsample": "lanczos3"},
    {"padding": "zeros"},
    {"padding": "replicate"},
    {"input": "mesh"},
    {"skip": (0, 0)},
    {"filter_down": 5, "filter_up": 7, "filter_skip": 3},
    {"activation": "elu", "conv1x1_up": False},
    {"activation": "swish", "sigmoid": False},
]
SIZES = [(1, 1), (1, 9), (33, 47), (64, 64), (17, 2)]


def test_every_registered_generator_is_tested() -> None:
    assert set(SMALL) == set(GENERATORS)


def _image(generator: Generator, shape: tuple[int, int, int, int]) -> torch.Tensor:
    z = generator.input(generator.padded(shape), torch.Generator().manual_seed(3))
    return generator(z)


def _middle(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_size_and_channels(name: str, size: tuple[int, int], channels: int) -> None:
    generator = build_generator(name, channels, SMALL[name])
    shape = (1, channels, *size)
    padded = generator.padded(shape)
    assert padded[-2] >= size[0]
    assert padded[-1] >= size[1]
    x = _image(generator, shape)
    assert x.shape == padded
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_weight(name: str) -> None:
    generator = build_generator(name, 3, SMALL[name])
    _image(generator, (1, 3, 32, 32)).square().sum().backward()
    for parameter in generator.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bits_and_the_process_stream_untouched(name: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = (_image(build_generator(name, 3, SMALL[name], seed=7), (1, 3, 32, 32)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(before, torch.get_rng_state())
    if name != "pixels":
        assert not torch.equal(first, _image(build_generator(name, 3, SMALL[name], seed=8), (1, 3, 32, 32)))


@pytest.mark.parametrize("options", SKIPS, ids=lambda options: "-".join(map(str, options)))
def test_every_variant_of_skip(options: dict) -> None:
    generator = build_generator("skip", 3, {**SMALL["skip"], **options})
    x = _image(generator, (1, 3, 37, 50))
    assert x.shape == generator.padded((1, 3, 37, 50))
    x.square().sum().backward()


def test_a_seed_is_the_same_theta_from_revision_to_revision() -> None:
    """Published figures are of a seed, so that layers have to be drawn in the order in which they were."""
    slim = {"down": (8, 16), "up": (8, 16), "skip": (4, 4), "input_depth": 4}
    theta = dict(build_generator("skip", 3, slim, seed=3).named_parameters())
    sums = {name: round(float(p.detach().double().sum()), 4) for name, p in theta.items() if p.ndim > 1}
    assert list(sums.values()) == pytest.approx(
        [-0.6793, 2.2889, -0.4593, 1.3463, 0.4283, 0.1841, 1.2918, -3.8910, -1.1858, 1.1544, -0.5626], abs=2e-4
    )
    theta = dict(build_generator("decoder", 3, {"channels": (8, 8), "input_depth": 4}, seed=3).named_parameters())
    assert [float(p.detach().sum()) for p in theta.values() if p.ndim > 1] == pytest.approx(
        [0.0372, 0.5297, 1.2993, -0.6463], abs=2e-4
    )
