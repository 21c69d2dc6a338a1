"""`hprior restore --uncertainty` writes how far off each pixel is."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from hybridprior.io.files import ImageData, read_image, write_image
from hybridprior.uncertainty import UncertaintyConfig, sampler

FAST = ["--preset", "fast", "--steps", "2", "--uncertainty"]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "UncertaintyConfig", lambda: UncertaintyConfig(samples=3, burn_in=0))


def test_the_map_is_written_to_look_at_and_exactly(hprior, small: Path) -> None:
    assert hprior("restore", small, "-o", "out.png", "--sigma", 25, *FAST).code == 0
    record = json.loads(Path("out.png.json").read_text())["uncertainty"]
    exact = tifffile.imread(record["exact"])
    assert exact.shape == (20, 24, 3) and exact.dtype == np.float32
    assert record["std_max"] == pytest.approx(float(exact.max()), rel=1e-5)
    seen = read_image(Path(record["map"]))
    assert seen.depth == "uint16"
    np.testing.assert_allclose(seen.pixels[0].permute(1, 2, 0) * record["map_white"], exact, atol=1e-5)
    assert {"scale", "floor", "normalised_before", "normalised_after", "method", "samples"} <= set(record)


def test_what_the_mask_keeps_is_certain(hprior, small: Path) -> None:
    mask = np.zeros((20, 24), dtype=np.uint8)
    mask[8:12, 8:16] = 255
    tifffile.imwrite("mask.tif", mask)
    assert hprior("restore", small, "-o", "out.png", "--task", "inpaint", "--mask", "mask.tif", *FAST).code == 0
    exact = tifffile.imread("out.png.std.tiff")
    assert (exact[mask == 0] == 0).all()
    assert (exact[mask > 0] > 0).all()


def test_the_default_preset_draws_samples_of_the_network_alone(hprior, small: Path) -> None:
    """`hprior restore noisy.png -o clean.png --uncertainty`, as it is documented, and the page that goes with it."""
    options = ["--uncertainty", "--sigma", 25, "--steps", 2, "--report", "--format", "quiet"]
    assert hprior("restore", small, "-o", "out.png", *options).code == 0
    record = json.loads(Path("out.png.json").read_text())
    assert record["config"]["regulariser"]["name"] == "none"
    assert "Standard deviation of each pixel" in Path("out.png.html").read_text()
    assert hprior("restore", small, "-o", "b.png", *options, "--reg", "auto").code == 2


def test_there_is_none_of_plug_and_play(hprior, small: Path) -> None:
    refused = hprior("restore", small, "-o", "out.png", "--reg", "denoiser", "--generator", "pixels", *FAST)
    assert refused.code == 2
    assert "samples" in refused.err
    assert not Path("out.png").exists()


def test_two_channels_have_a_map_to_look_at_too(hprior) -> None:
    write_image(Path("two.tif"), ImageData(torch.rand(1, 2, 20, 24), depth="float32"))
    outcome = hprior("restore", "two.tif", "-o", "out.tif", "--sigma", 25, "--report", *FAST)
    assert outcome.code == 0, outcome.err
    assert read_image(Path("out.tif.std.png")).pixels.shape == (1, 1, 20, 24)
    assert tifffile.imread("out.tif.std.tiff").shape[:2] == (20, 24) and Path("out.tif.html").exists()
