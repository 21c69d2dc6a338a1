"""`restore` and bad input: each is named in a sentence, as is what may look like an accident and is none."""

import numpy as np
import pytest
import torch
from PIL import Image
from restoring import quick

from hybridprior import ConfigError, HybridPriorError, InputError, Mask, Poisson, ShapeError, restore


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"y": torch.full((1, 3, 4, 4), float("nan"))}, InputError, "NaN"),
        ({"y": torch.zeros(2, 3, 4, 4)}, ShapeError, "one image"),
        ({"y": torch.zeros(1, 3, 0, 4)}, ShapeError, "no pixels"),
        ({"y": torch.zeros(1, 3, 4, 4, dtype=torch.uint8)}, InputError, "floating"),
        ({"y": "image.png"}, InputError, "not str"),
        ({"y": Image.new("RGBA", (4, 4))}, InputError, "transparency"),
        ({"sigma": -1.0}, ConfigError, "sigma"),
        ({"sigma": float("nan")}, ConfigError, "sigma"),
        ({"generator": "skipp"}, ConfigError, "Did you mean 'skip'"),
        ({"regulariser": "tvv"}, ConfigError, "Did you mean 'tv'"),
        ({"stopping": "held"}, ConfigError, "Did you mean 'heldout'"),
        ({"config": None, "preset": "balance"}, ConfigError, "Did you mean 'balanced'"),
        ({"precision": "fp64"}, ConfigError, "precision"),
        ({"device": "gpu"}, ConfigError, "device"),
        ({"max_steps": 0}, ConfigError, "max_steps"),
        ({"weight": -0.5}, ConfigError, "weight"),
        ({"operator": Mask(torch.ones(5, 5))}, ShapeError, "same size"),
        ({"operator": 3}, ShapeError, "callable"),
        ({"y": torch.zeros(1, 1, 1, 1), "stopping": "heldout"}, InputError, "two measured pixels"),
    ],
)
def test_bad_input_is_named(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        quick(**{"y": torch.zeros(1, 3, 4, 4), **arguments})


def test_a_mask_without_measured_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="every pixel as missing"):
        Mask(torch.zeros(4, 4))


def test_an_operator_of_another_shape_is_named() -> None:
    with pytest.raises(ShapeError, match="the image's shape="):
        quick(torch.rand(1, 3, 8, 8), lambda x: x.mean(dim=1, keepdim=True))


def test_strong_noise_and_what_a_mask_hides_are_no_accidents() -> None:
    rng = torch.Generator().manual_seed(0)
    x, options = torch.rand(1, 3, 48, 48, generator=rng), {"preset": "fast", "regulariser": "none", "max_steps": 2}
    noisy = x + 1.5 * torch.randn(x.shape, generator=rng)
    assert restore(noisy, sigma=1.5, **options).image.isfinite().all()
    known = torch.ones(48, 48)
    known[5:9] = 0
    nodata = torch.where(known.expand_as(x) > 0, x, torch.tensor(-9999.0))
    filled = restore(nodata, Mask(known), sigma=0.0, **options).image
    assert -1 < float(filled.min()) <= float(filled.max()) < 2
    for wrong, operator, sigma in ((255 * x, None, None), (noisy * 2, None, 0.1), (nodata, None, 0.1)):
        with pytest.raises(InputError, match="have intensity in"):
            restore(wrong, operator, sigma=sigma, **options)


def test_a_mask_of_other_channels_says_so_and_may_run_backwards() -> None:
    with pytest.raises(ShapeError, match="mask has 3 channels and the image 1"):
        restore(torch.rand(1, 1, 32, 32), Mask(torch.ones(3, 32, 32)), sigma=0.0)
    known = np.ones((32, 32))
    known[:4] = 0
    assert torch.equal(Mask(known[::-1]).known[0, 0, -4:], torch.zeros(4, 32))


def test_axes_in_another_order_are_noticed() -> None:
    with pytest.raises(ShapeError, match="have 48 channels; are the axes in another order"):
        restore(np.zeros((3, 40, 48), np.float32), sigma=0.1)
    with pytest.raises(ShapeError, match="have 40 channels; are the axes in another order"):
        restore(torch.zeros(40, 48, 3), sigma=0.1)
    assert quick(torch.rand(1, 40, 3), sigma=0.1).image.shape == (1, 1, 40, 3)


class _Half(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (lambda x: torch.from_numpy(x.detach().numpy().copy()), "The operator is not differentiable"),
        (lambda x: x.detach().numpy(), "The operator is not differentiable"),
        (_Half, "_Half is a class"),
    ],
)
def test_an_operator_that_cannot_be_one_is_refused(operator, said: str) -> None:
    with pytest.raises(HybridPriorError, match=said):
        quick(torch.rand(1, 3, 20, 24), operator, sigma=0.1)
    assert quick(torch.rand(1, 3, 20, 24) / 2, _Half(), sigma=0.1).image.shape == (1, 3, 20, 24)


def test_photon_noise_is_told_where_it_was_measured() -> None:
    y = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) / 5
    assert quick(y, sigma=0.04, fidelity="poisson").sigma == pytest.approx(0.04)
    assert quick(y, fidelity=Poisson(50)).sigma == pytest.approx(0.1)
    with pytest.raises(ConfigError, match="level is an intensity"):
        Poisson(50, 0.0)
