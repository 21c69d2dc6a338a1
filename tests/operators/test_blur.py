"""Blur: kernels from everywhere, borders that nobody has seen, and decibels that come back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from hybridprior import (
    Blur,
    Component,
    ConfigError,
    InputError,
    RestoreConfig,
    ShapeError,
    SolverConfig,
    make_psf,
    restore,
)
from hybridprior.config import TileConfig
from hybridprior.metrics import psnr
from hybridprior.operators.base import Box
from hybridprior.operators.kernels import gaussian, motion, normalised
from hybridprior.solvers.tiled import lay_out

SIGMA = 2.55 / 255

ALONE, BORDER, LOCAL, FUSED = 2.6, 1.5, 1.6, 5.0
"""Decibels gained by the denoiser alone (and at the border), by the network alone, and by both, when this was written."""


def _crooked(height: int, width: int) -> torch.Tensor:
    return torch.rand(height, width, generator=torch.Generator().manual_seed(1))


def _blurred(x: torch.Tensor, operator: Blur) -> torch.Tensor:
    y = operator(x)
    return y + SIGMA * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(3, 5), (4, 6), (1, 2), (7, 7)])
@pytest.mark.parametrize(
    ("boundary", "theirs"), [("circular", "wrap"), ("reflect", "mirror"), ("replicate", "nearest")]
)
def test_blur_is_scipys_convolution(crop: torch.Tensor, size: tuple[int, int], boundary: str, theirs: str) -> None:
    kernel = normalised(_crooked(*size))
    ours = Blur(kernel, boundary)(crop.double())
    expected = np.stack(
        [ndimage.convolve(plane.double().numpy(), kernel.double().numpy(), mode=theirs) for plane in crop[0]]
    )
    np.testing.assert_allclose(ours[0].numpy(), expected, atol=1e-9)
    valid = Blur(kernel)
    inner = valid.crop_to_observed(torch.from_numpy(expected)[None])
    torch.testing.assert_close(valid(crop.double()), inner, atol=1e-9, rtol=0)


def test_a_tile_of_a_blurred_image_is_the_blur_of_a_tile(crop: torch.Tensor) -> None:
    blur = Blur(_crooked(5, 8))
    y = blur(crop)
    for box in lay_out(crop.shape, TileConfig(side=40, overlap=16), blur.tile_multiple or 1):
        part, place = blur.crop(box)
        torch.testing.assert_close(part(box.of(crop)), place.of(y), atol=1e-5, rtol=0)
    with pytest.raises(ShapeError, match="larger than a tile"):
        blur.crop(Box(0, 0, 4, 40))


def test_kernels_are_found_everywhere(tmp_path: Path) -> None:
    kernel = np.outer([1, 2, 1], [1, 3, 1, 1]).astype(np.uint8)
    Image.fromarray(kernel).save(tmp_path / "k.png")
    np.save(tmp_path / "k.npy", kernel.astype(np.float32))
    np.savez(tmp_path / "one.npz", kernel)
    np.savez(tmp_path / "two.npz", k0=np.ones((2, 2)), k1=kernel)
    expected = torch.from_numpy(kernel / kernel.sum()).float()
    for name in ("k.png", "k.npy", "one.npz", "two.npz:k1"):
        torch.testing.assert_close(make_psf(str(tmp_path / name)), expected)
    with pytest.raises(InputError, match=r"kernels k0, k1; name one"):
        make_psf(str(tmp_path / "two.npz"))


def test_gaussians_and_motions_have_the_moments_they_say() -> None:
    taps = gaussian(2.0)
    places = torch.arange(len(taps)) - len(taps) // 2
    assert float((taps.sum(0) * places.square()).sum()) == pytest.approx(4.0, rel=0.01)
    line = motion(9, 90)
    assert line.shape == (9, 1)
    assert float(motion(7, 0).max()) == pytest.approx(1 / 7)
    upward = motion(11, 45)
    assert float(upward[0, -1]) > 0 == float(upward[0, 0])
    assert motion(1, 30).shape == (1, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gaussian:0", "sigma of a Gaussian lies between"),
        ("gaussian:two", "gaussian:SIGMA"),
        ("motion:15", "motion:LENGTH:ANGLE"),
        ("motion:0.5:3", "length of 1"),
        ("nowhere.png", "no kernel file"),
    ],
)
def test_what_is_no_kernel_is_said(text: str, words: str) -> None:
    with pytest.raises((ConfigError, InputError), match=words):
        make_psf(text)


def test_bad_kernels_are_refused(tmp_path: Path) -> None:
    for array in (np.zeros((3, 3)), -np.ones((3, 3)), np.full((2, 2), np.nan), np.ones(4), np.ones((1, 300))):
        np.save(tmp_path / "k.npy", array)
        with pytest.raises(InputError, match="is not a kernel"):
            make_psf(str(tmp_path / "k.npy"))
    (tmp_path / "k.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="cannot be read as an array"):
        make_psf(str(tmp_path / "k.npz"))
    with pytest.raises(ShapeError, match="use boundary 'valid'"):
        restore(torch.rand(1, 3, 8, 8), Blur(torch.ones(9, 9), "circular"), sigma=0.1)


def test_the_denoiser_alone_deblurs_a_photograph_up_to_its_border(photograph: torch.Tensor) -> None:
    blur = Blur(motion(9, 30))
    x = photograph[..., 40:112, 60:140]
    y, truth = _blurred(x, blur), blur.crop_to_observed(x)
    result = restore(y, blur, sigma=SIGMA, generator="pixels", regulariser="denoiser", max_steps=8, precision="fp32")
    assert result.image.shape == x.shape
    restored = blur.crop_to_observed(result.image)
    assert psnr(restored, truth) > psnr(y, truth) + ALONE - 0.4
    border = torch.ones_like(truth, dtype=torch.bool)
    border[..., 4:-4, 4:-4] = False
    assert psnr(restored[border], truth[border]) > psnr(y[border], truth[border]) + BORDER - 0.4


def test_the_network_alone_and_auto_deblur(photograph: torch.Tensor) -> None:
    blur = Blur(motion(9, 30))
    x = photograph[..., 8:56, 8:64]
    y, truth = _blurred(x, blur), blur.crop_to_observed(x)
    network = Component(
        "skip", {"down": (32,) * 3, "up": (32,) * 3, "skip": (4,) * 3, "input_depth": 8, "padding": "zeros"}
    )
    loop = SolverConfig(max_steps=120, input_noise_std=0.015, optimiser="muon")
    config = RestoreConfig(network, stopping=Component("auto"), solver=loop, precision="fp32")
    for reg, gain in (("none", LOCAL), ("auto", FUSED)):
        result = restore(y, blur, config=config, sigma=SIGMA, regulariser=reg)
        assert psnr(blur.crop_to_observed(result.image), truth) > psnr(y, truth) + gain - 0.4


def test_only_what_cannot_be_padded_is_refused() -> None:
    x = torch.rand(1, 1, 6, 6)
    for boundary, side in (("replicate", 31), ("circular", 13), ("reflect", 11)):
        assert Blur(torch.ones(side, side), boundary)(x).shape == x.shape
    for boundary, side in (("circular", 15), ("reflect", 13)):
        with pytest.raises(ShapeError, match="too large"):
            Blur(torch.ones(side, side), boundary)(x)
