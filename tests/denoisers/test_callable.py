"""A denoiser of the caller's own: a function, a module or `module:function`, and what is none."""

import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from hybridprior import ConfigError, ShapeError, restore
from hybridprior.denoisers import Denoiser, load_denoiser
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.regularisers import RED


def test_a_denoiser_that_loses_its_colours_is_told_so() -> None:
    class Grey(Denoiser):
        def estimate(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=1, keepdim=True)

    for grey in (Grey(), CallableDenoiser(lambda x, sigma: x.mean(dim=1, keepdim=True))):
        with pytest.raises(ShapeError, match="of the shape of its input"):
            grey.denoise(torch.rand(1, 3, 8, 8), 0.1)


def test_a_function_serves_as_a_denoiser_where_r_is_built(crop: torch.Tensor) -> None:
    y = crop[..., :32, :32]
    prior = RED(denoiser=lambda x, sigma: x.clamp(0, 1))
    options = {"sigma": 0.1, "preset": "fast", "max_steps": 3}
    named = restore(y, regulariser=RED(denoiser=load_denoiser(lambda x, sigma: x.clamp(0, 1))), **options)
    assert torch.equal(restore(y, regulariser=prior, **options).image, named.image)


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
        image = restore(crop, denoiser=f"denoisers_of_mine:{name}", **options).image
        torch.testing.assert_close(image, 0.5 * crop, atol=1e-5, rtol=0)
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
            restore(y, sigma=0.1, regulariser=regulariser, denoiser=given, preset="fast", max_steps=3, precision="bf16")
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
        result = restore(y, sigma=0.1, regulariser=regulariser, denoiser=Session().denoise, preset="fast", max_steps=3)
        assert "Session.denoise" in result.config.to_json()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda x: x, "does not take two arguments"),
        (torch.nn.Identity(), "does not take two arguments"),
        (CallableDenoiser, "is a class; pass an instance"),
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
    [(lambda x: x.sum(), "not a function"), (RED, "not the class RED")],
)
def test_what_is_no_regulariser_is_said(crop: torch.Tensor, given: object, said: str) -> None:
    with pytest.raises(ConfigError, match=f"A regulariser is a name or a Regulariser, {said}"):
        restore(crop, sigma=0.1, regulariser=given)
