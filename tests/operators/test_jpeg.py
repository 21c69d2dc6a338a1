"""JPEG: what a file says of its image, and decibels that come back."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from hybridprior import InputError, Jpeg, ShapeError, restore
from hybridprior.evaluation.bench import measure
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.io.files import read_image, write_image
from hybridprior.io.image import ImageData, from_pillow, to_pil
from hybridprior.metrics import psnr
from hybridprior.operators import Identity
from hybridprior.overrides import Overrides
from hybridprior.presets import preset
from hybridprior.resolve import configure

GAIN = 0.48
"""Decibels that the denoiser gained when this was written."""


def _file(x: torch.Tensor, **options: object) -> tuple[io.BytesIO, torch.Tensor]:
    file = io.BytesIO()
    to_pil(x).save(file, "JPEG", **options)
    return file, from_pillow(Image.open(file)).pixels


@pytest.mark.parametrize(
    "options", [{"quality": 20}, {"quality": 50, "subsampling": 0}, {"quality": 30, "subsampling": 1}]
)
@pytest.mark.parametrize("grey", [False, True])
def test_the_file_allows_its_own_image_and_pulls_others_towards_it(
    photograph: torch.Tensor, options: dict, grey: bool
) -> None:
    x = photograph[..., 5:66, 7:80]
    x = x.mean(dim=1, keepdim=True) if grey else x
    file, y = _file(x, **options)
    jpeg = Jpeg.of_file(file, y)
    torch.testing.assert_close(jpeg.enforce_consistency(y, y, noisy=False), y, atol=1e-4, rtol=0)
    smooth = torch.nn.functional.avg_pool2d(y, 5, 1, 2, count_include_pad=False)
    allowed = jpeg.enforce_consistency(smooth, y, noisy=False)
    assert psnr(allowed, x) > psnr(smooth, x) + 1
    # What hangs over the border is not the file's.
    again, whole = jpeg.enforce_consistency(allowed, y, noisy=False), (..., slice(48), slice(64))
    torch.testing.assert_close(again[whole], allowed[whole], atol=1e-3, rtol=0)


@pytest.mark.parametrize("quality", [10, 40, 80])
def test_the_error_of_rounding_is_foreseen(photograph: torch.Tensor, quality: int) -> None:
    y, jpeg = degrade(photograph, Degradation("dejpeg", quality=quality))
    error = float((y - photograph).square().mean().sqrt())
    assert jpeg.noise().sigma == pytest.approx(error, rel=0.6)


def test_the_denoiser_alone_takes_blocks_off(photograph: torch.Tensor) -> None:
    truth = photograph[..., 16:112, 96:208]
    y, jpeg = degrade(truth, Degradation("dejpeg", quality=15))
    plugged = {"generator": "pixels", "regulariser": "denoiser", "precision": "fp32"}
    ours = restore(y, jpeg, **plugged)
    plain = restore(y, Identity(), sigma=ours.sigma, **plugged)
    assert psnr(ours.image, truth) > psnr(plain.image, truth) + 0.2
    assert psnr(ours.image, truth) > psnr(y, truth) + GAIN - 0.2


def test_files_that_are_no_jpeg_of_the_image_are_refused(tmp_path: Path, crop: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", ImageData(crop))
    with pytest.raises(InputError, match="not the JPEG file of this image"):
        Jpeg.of_file(tmp_path / "a.png", crop)
    file, y = _file(crop, quality=30)
    with pytest.raises(InputError, match="not the JPEG file of this image"):
        Jpeg.of_file(file, y[..., 1:])
    with pytest.raises(ShapeError, match="tables"):
        Jpeg(crop, torch.ones(8, 8))
    with pytest.raises(ShapeError, match="The JPEG file's image"):
        restore(crop[..., 1:], Jpeg.of_file(file, y), max_steps=1)


def test_dejpeg_reads_the_tables_of_the_file(hprior, tmp_path: Path, photograph: torch.Tensor) -> None:
    truth = photograph[..., 16:80, 96:160].contiguous()
    write_image(tmp_path / "clean.png", ImageData(truth))
    to_pil(truth).save("a.jpg", quality=15)
    plugged = ["--task", "dejpeg", "--generator", "pixels", "--reg", "denoiser", "--reference", "clean.png"]
    outcome = hprior("restore", "a.jpg", "-o", "out.png", *plugged)
    assert outcome.code == 0, outcome.err
    y = read_image("a.jpg").pixels
    assert psnr(read_image("out.png").pixels, truth) > psnr(y, truth) + 0.05
    to_pil(y).save("a.png")
    assert hprior("restore", "a.png", "-o", "b.png", *plugged).code == 0
    made = hprior("degrade", "clean.png", "-o", "made.png", "--task", "dejpeg", "--quality", 15)
    assert made.code == 0
    torch.testing.assert_close(read_image("made.png").pixels, y)


def test_the_oracle_sees_what_is_shown(crop: torch.Tensor) -> None:
    """A network that is still far off is projected onto the file, at the oracle's steps as in the result."""
    config = configure(preset("fast", "dejpeg"), Overrides(max_steps=20, stopping="fixed"))
    row = measure("otter", crop, Degradation("dejpeg", quality=20), config).row
    assert row.chosen_step == 20
    assert row.oracle_psnr >= row.psnr - 1e-3


def test_a_jpeg_gets_the_denoiser_alone_unless_something_else_is_asked_for(crop: torch.Tensor) -> None:
    y, jpeg = degrade(crop, Degradation("dejpeg", quality=15))
    ours = restore(y, jpeg)
    assert (ours.config.generator.name, ours.config.regulariser.name) == ("pixels", "denoiser")
    assert "denoiser alone restored" in ours.message
    assert psnr(ours.image, crop) > psnr(y, crop) + 0.5
    alone = restore(y, jpeg, preset="fast", generator="pixels", regulariser="denoiser")
    assert torch.equal(ours.image, alone.image)
    network = restore(y, jpeg, preset="fast", regulariser="none", max_steps=2).config
    assert (network.generator.name, network.regulariser.name) == ("skip", "none")
    assert configure(preset("balanced", "dejpeg"), Overrides(generator="decoder")).regulariser.name == "none"
    weighed = restore(y, jpeg, preset="fast", regulariser="auto", max_steps=3)
    assert weighed.fusion is not None
    mine = restore(y, jpeg, denoiser="shipped").config.regulariser
    assert mine.options["denoiser"] == "shipped"
