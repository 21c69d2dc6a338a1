"""What `hprior` makes of each task's files: kernels, mosaics, margins, noise, operators of somebody's own."""

import json
from pathlib import Path

import pytest
import torch

from hybridprior.data import demo_image
from hybridprior.io.files import ImageData, read_image, write_image
from hybridprior.operators.external import load_operator

FAST = ["--preset", "fast", "--steps", "2", "--stop", "fixed", "--format", "json"]


def _sidecar(name: str) -> dict:
    return json.loads(Path(f"{name}.json").read_text())


def test_a_blurred_image_comes_back_sharper_and_of_its_size(hprior, tmp_path: Path) -> None:
    image = read_image(demo_image()).pixels[..., 8:56, 8:64].contiguous()
    write_image(tmp_path / "clean.png", ImageData(image))
    made = hprior("degrade", "clean.png", "-o", "blurred.png", "--task", "deblur", "--blur", "motion:7:20")
    assert json.loads(made.out)["sigma"] == 2.55
    plugged = ["--generator", "pixels", "--reg", "denoiser", "--steps", 8, "--sigma", 2.55, "--boundary", "circular"]
    asked = ["--task", "deblur", "--blur", "motion:7:20", "--reference", "clean.png", "--format", "json"]
    outcome = hprior("restore", "blurred.png", "-o", "out.png", *asked, *plugged)
    assert outcome.code == 0, outcome.err
    before = torch.nn.functional.mse_loss(read_image("blurred.png").pixels, image)
    assert json.loads(outcome.out)["psnr"] > -10 * torch.log10(before) + 3
    valid = hprior("restore", "blurred.png", "-o", "valid.png", *asked, *FAST)
    assert valid.code == 0, valid.err
    assert read_image("valid.png").pixels.shape == image.shape
    assert _sidecar("valid.png")["request"]["boundary"] == "valid"


def test_a_mosaic_becomes_an_image(hprior, small: Path) -> None:
    assert hprior("degrade", small, "-o", "raw.png", "--task", "demosaic", "--bayer", "GRBG").code == 0
    (raw,), truth = read_image("raw.png").pixels[0], read_image(small).pixels[0]
    assert (raw[0, 0], raw[0, 1], raw[1, 0]) == (truth[1, 0, 0], truth[0, 0, 1], truth[2, 1, 0])
    options = ["--task", "demosaic", "--bayer", "GRBG", "--reference", small, *FAST]
    outcome = hprior("restore", "raw.png", "-o", "out.png", *options)
    assert outcome.code == 0, outcome.err
    assert read_image("out.png").pixels.shape == (1, 3, 20, 24)
    refused = hprior("restore", small, "-o", "no.png", *options)
    assert (refused.code, "is in colour" in refused.err) == (2, True)


def test_a_margin_is_made_up_around_what_stays_as_it_was(hprior, small: Path) -> None:
    assert hprior("restore", small, "-o", "out.png", "--task", "inpaint", "--outpaint", 6, *FAST).code == 0
    out, inner = read_image("out.png").pixels, read_image(small).pixels
    assert out.shape == (1, 3, 32, 36)
    assert torch.equal(out[..., 6:-6, 6:-6], inner)


@pytest.mark.parametrize(
    ("noise", "sigma"),
    [(["poisson", "--peak", 50], 25.5), (["laplace", "--sigma", 20], 20), (["huber", "--sigma", 9], 9)],
)
def test_noise_by_name(hprior, small: Path, noise: list, sigma: float) -> None:
    assert hprior("restore", small, "-o", "out.png", "--noise", *noise, *FAST).code == 0
    assert _sidecar("out.png")["sigma"] == pytest.approx(sigma)


OWN = """
import torch
from hybridprior.operators import Operator, Downsample

def mirror(x):
    return x.flip(-1)

def halved():
    return Downsample(2, "area")

class Negative(Operator):
    def forward(self, x):
        return 1 - x

number = 3

pool = torch.nn.AvgPool2d(2)

def wrapped(*arguments):
    return mirror(*arguments)

def nothing():
    pass

def broken():
    raise RuntimeError("no such camera")
"""


def test_an_operator_of_ones_own(hprior, small: Path, tmp_path: Path) -> None:
    (tmp_path / "cameras_of_mine.py").write_text(OWN)
    sizes = {"mirror": (20, 24), "halved": (40, 48), "Negative": (20, 24), "wrapped": (20, 24)}
    for name, size in sizes.items():
        outcome = hprior("restore", small, "-o", f"{name}.png", "--operator", f"cameras_of_mine:{name}", *FAST)
        assert outcome.code == 0, outcome.err
        assert read_image(f"{name}.png").pixels.shape[-2:] == size


def test_a_module_of_torch_is_an_operator_and_no_maker_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more_cameras_of_mine.py").write_text(OWN)
    assert load_operator("more_cameras_of_mine:pool")(torch.ones(1, 1, 4, 6)).shape == (1, 1, 2, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--operator", "no_such_module:f"], "No module named"),
        (["--operator", "os"], "module:function"),
        (["--operator", "cameras_of_mine:number"], "not int"),
        (["--operator", "cameras_of_mine:broken"], "no such camera"),
        (["--operator", "cameras_of_mine:nothing"], "it returns nothing"),
        (["--operator", "cameras_of_mine:missing"], "missing"),
        (["--task", "deblur"], "needs a kernel"),
        (["--task", "deblur", "--blur", "gaussian:-1"], "lies between"),
        (["--task", "deblur", "--blur", "k.png"], "no kernel file"),
        (["--task", "deblur", "--blur", "gaussian:1", "--boundary", "wrap"], "no boundary named 'wrap'"),
        (["--blur", "gaussian:1"], "--blur goes with --task deblur"),
        (["--outpaint", "3"], "--outpaint goes with --task inpaint"),
        (["--scale", "4"], "--scale goes with --task sr"),
        (["--task", "srr", "--scale", "4"], "Did you mean 'sr'"),
        (["--task", "sr", "--bayer", "RGGB"], "--bayer goes with --task demosaic"),
        (["--task", "auto", "--mask-white", "fill"], "--mask-white goes with --task inpaint"),
        (["--task", "demosaic", "--bayer", "RGBG"], "no Bayer pattern"),
        (["--noise", "poison"], "Did you mean 'poisson'"),
        (["--peak", "30"], "--peak goes with --noise poisson"),
        (["--noise", "poisson", "--peak", "0"], "positive"),
    ],
)
def test_what_does_not_go_together_is_said(hprior, small: Path, tmp_path: Path, options: list, words: str) -> None:
    (tmp_path / "cameras_of_mine.py").write_text(OWN)
    outcome = hprior("restore", small, "-o", "out.png", *options)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert words in outcome.err
    assert not Path("out.png").exists()
