"""Every registered generator keeps the contract."""

import math

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


def _picture(generator: Generator, shape: tuple[int, int, int, int]) -> torch.Tensor:
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
    x = _picture(generator, shape)
    assert x.shape == padded
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_weight(name: str) -> None:
    generator = build_generator(name, 3, SMALL[name])
    _picture(generator, (1, 3, 32, 32)).square().sum().backward()
    for parameter in generator.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bits_and_the_process_stream_untouched(name: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = (_picture(build_generator(name, 3, SMALL[name], seed=7), (1, 3, 32, 32)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(before, torch.get_rng_state())
    if name != "pixels":
        assert not torch.equal(first, _picture(build_generator(name, 3, SMALL[name], seed=8), (1, 3, 32, 32)))


@pytest.mark.parametrize("options", SKIPS, ids=lambda options: "-".join(map(str, options)))
def test_every_variant_of_skip(options: dict) -> None:
    generator = build_generator("skip", 3, {**SMALL["skip"], **options})
    x = _picture(generator, (1, 3, 37, 50))
    assert x.shape == generator.padded((1, 3, 37, 50))
    x.square().sum().backward()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 32), (27, 37)])
def test_the_picture_is_not_moved(name: str, size: tuple[int, int]) -> None:
    """Fit a blob and find its centre again: half a pixel off would be seen."""
    assert _displacement(build_generator(name, 1, SMALL[name], seed=1), size) < 0.1


def test_half_a_pixel_would_be_seen() -> None:
    class Moved(GENERATORS["pixels"]):  # type: ignore[misc, name-defined]
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return super().forward(z)

    def move(x: torch.Tensor) -> torch.Tensor:
        return (x + x.roll(1, -1)) / 2

    assert _displacement(Moved(1), (32, 32), after=move) > 0.4


def _displacement(generator: Generator, size: tuple[int, int], after=lambda x: x) -> float:
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    centre = (size[0] * 0.45, size[1] * 0.55)
    blob = torch.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / 18)[None, None]
    z = generator.input(generator.padded((1, 1, *size)), torch.Generator().manual_seed(3))
    optimiser = torch.optim.Adam(generator.parameters(), lr=0.02)
    for _ in range(250):
        optimiser.zero_grad()
        (_middle(generator(z), *size) - blob).square().sum().backward()
        optimiser.step()
    x = after(_middle(generator(z), *size).detach())[0, 0].clamp_min(0)
    x = torch.where(x > 0.1, x, 0.0)
    found = ((x * rows).sum() / x.sum(), (x * columns).sum() / x.sum())
    b = torch.where(blob[0, 0] > 0.1, blob[0, 0], 0.0)
    true = ((b * rows).sum() / b.sum(), (b * columns).sum() / b.sum())
    return math.dist([float(v) for v in found], [float(v) for v in true])
