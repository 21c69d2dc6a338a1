"""Nothing moves the image: what is restored lies over the truth, at odd sizes too.

The small images are made by plain sums of numpy, not by the operators under test.
"""

import math

import numpy as np
import pytest
import torch

from hybridprior import Component, RestoreConfig, SolverConfig, restore
from hybridprior.fidelities import Gaussian
from hybridprior.operators import CallableOperator, Downsample, Identity, Mask, Operator
from hybridprior.problem import Problem

PARTS = {
    "skip": Component("skip", {"down": (8, 8), "up": (8, 8), "skip": (2, 2), "input_depth": 4}),
    "decoder": Component("decoder", {"channels": (16, 16), "input_depth": 8}),
    "pixels": Component("pixels"),
}


def _blob(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.exp(-((rows - 0.45 * height) ** 2 + (columns - 0.55 * width) ** 2) / 40)


def _centre(x: np.ndarray) -> tuple[float, float]:
    x = np.where(x > 0.2, x, 0)
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]]
    return float((x * rows).sum() / x.sum()), float((x * columns).sum() / x.sum())


def _moved(y: np.ndarray, operator: Operator, truth: np.ndarray, part: Component) -> float:
    config = RestoreConfig(
        part, solver=SolverConfig(max_steps=400, learning_rate=0.02, input_noise_std=0.01), precision="fp32"
    )
    result = restore(torch.from_numpy(y).float(), operator, config=config, sigma=0.0)
    return math.dist(_centre(result.to_array()), _centre(truth))


def _blocks(x: np.ndarray, factor: int) -> np.ndarray:
    height, width = x.shape[0] // factor, x.shape[1] // factor
    return x.reshape(height, factor, width, factor).mean(axis=(1, 3))


@pytest.mark.parametrize("name", sorted(PARTS))
def test_each_generator_at_an_odd_size(name: str) -> None:
    truth = _blob(29, 37)
    assert _moved(truth, Identity(), truth, PARTS[name]) < 0.1


@pytest.mark.parametrize("name", sorted(PARTS))
def test_each_generator_with_a_mask(name: str) -> None:
    truth = _blob(27, 38)
    known = torch.ones(27, 38)
    known[::3, ::2] = 0
    if name == "pixels":
        known[:] = 1
    assert _moved(truth, Mask(known), truth, PARTS[name]) < 0.1


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("name", ["skip", "decoder"])
def test_super_resolution(name: str, factor: int) -> None:
    truth = _blob(30, 42)  # a phase that is wrong moves it by half a pixel at least
    assert _moved(_blocks(truth, factor), Downsample(factor, "area"), truth, PARTS[name]) < 0.3


@pytest.mark.parametrize("kernel", ["lanczos2", "lanczos3", "bicubic", "area"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_operators_and_their_enlargement_keep_the_centre(kernel: str, factor: int) -> None:
    truth = _blob(36, 48)
    operator = Downsample(factor, kernel)
    x = torch.from_numpy(truth)[None, None]
    small = operator(x)[0, 0].numpy()
    expected = [(place + 0.5) / factor - 0.5 for place in _centre(truth)]
    assert math.dist(_centre(small), expected) < 0.1
    assert math.dist(_centre(operator.initial_estimate(operator(x))[0, 0].numpy()), _centre(truth)) < 0.1


def test_half_a_pixel_would_be_seen() -> None:
    truth = _blob(29, 37)
    y = torch.from_numpy(truth).float()[None, None]

    def between(x: torch.Tensor) -> torch.Tensor:
        return (x + x.roll(1, -1)) / 2

    for part in PARTS.values():
        assert _moved(y[0, 0].numpy(), CallableOperator(between), truth, part) > 0.4


@pytest.mark.parametrize("padded", [(32, 40), (29, 64), (64, 37)])
def test_what_is_cropped_is_what_is_measured(padded: tuple[int, int]) -> None:
    """E sees the same part of a generator's image that the result shows."""
    y = torch.rand(1, 1, 29, 37)
    problem = Problem.make(y, Identity(), Gaussian(0.1))
    large = torch.zeros(1, 1, *padded)
    top, left = (padded[0] - 29) // 2, (padded[1] - 37) // 2
    large[..., top : top + 29, left : left + 37] = y
    assert torch.equal(problem.crop(large), y)
    assert float(problem.energy(problem.crop(large))) == 0
