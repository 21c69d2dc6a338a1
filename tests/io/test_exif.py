"""What an image's file says beside its pixels: which way is up, its colours' profile, EXIF and TIFF's tags."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from images import SRGB
from PIL import Image

from hybridprior.io.files import ImageData, read_image, write_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((8, 12, 3), np.uint8)
    upright[:3, :4] = 200
    upright[:2, 9:, 0] = 120
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    pil = Image.fromarray(upright)
    if orientation in turn:
        pil = pil.transpose(list(Image.Transpose)[turn[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    pil.save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    assert np.array_equal(image.pixels[0].permute(1, 2, 0).mul(255).round().byte().numpy(), upright)
    write_image(tmp_path / "b.png", image)
    with Image.open(tmp_path / "b.png") as pil:
        assert pil.getexif()[0x0112] == 1
    assert torch.equal(read_image(tmp_path / "b.png").pixels, image.pixels)


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_the_colour_profile_is_kept(tmp_path: Path, depth: str, suffix: str) -> None:
    write_image(tmp_path / f"a.{suffix}", ImageData(torch.rand(1, 3, 4, 4), None, depth, icc=SRGB))
    assert read_image(tmp_path / f"a.{suffix}").icc == SRGB


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tiff_is_turned_upright_once(tmp_path: Path, orientation: int, depth: type) -> None:
    upright = np.zeros((8, 12), depth)
    upright[:3, :4] = 200
    upright[:2, 9:] = 120
    stored = upright.T if orientation in (5, 6, 7, 8) else upright
    if orientation in (6, 7, 3, 4):
        stored = stored[::-1] if orientation in (6, 7, 3, 4) else stored
    if orientation in (2, 3, 7, 8):
        stored = stored[:, ::-1]
    tifffile.imwrite(tmp_path / "a.tif", np.ascontiguousarray(stored), extratags=[(274, "H", 1, orientation, True)])
    pixels = read_image(tmp_path / "a.tif").pixels[0, 0].numpy() * np.iinfo(depth).max
    assert np.array_equal(np.rint(pixels), upright)


def _tagged(path: Path, **options) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(path, exif=exif, **options)


@pytest.mark.parametrize("source", ["jpg", "tif", "png"])
@pytest.mark.parametrize("target", ["jpg", "tif", "png", "webp"])
def test_exif_is_kept(tmp_path: Path, source: str, target: str) -> None:
    _tagged(tmp_path / f"a.{source}")
    write_image(tmp_path / f"b.{target}", read_image(tmp_path / f"a.{source}"))
    with Image.open(tmp_path / f"b.{target}") as pil:
        assert pil.getexif()[0x010F] == "Camera"
        assert pil.getexif().get(0x0112, 1) == 1


def test_exif_is_kept_in_sixteen_bits(tmp_path: Path) -> None:
    _tagged(tmp_path / "a.jpg")
    image = read_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.png", ImageData(image.pixels, None, "uint16", exif=image.exif, icc=SRGB))
    with Image.open(tmp_path / "b.png") as pil:
        assert pil.getexif()[0x010F] == "Camera"
        assert pil.info["icc_profile"] == SRGB
    assert read_image(tmp_path / "b.png").depth == "uint16"


@pytest.mark.parametrize(("tag", "value"), [(262, 6), (284, 2), (338, 1), (339, 3)])
def test_a_jpegs_tags_do_not_change_what_a_tiff_shows(tmp_path: Path, tag: int, value: int) -> None:
    """Cameras write photometry and planes into their JPEG files, which in a TIFF say how it is to be read."""
    exif = Image.Exif()
    exif[0x010F], exif[tag] = "Camera", value
    Image.fromarray(RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    image = read_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.tif", image)
    assert torch.equal(read_image(tmp_path / "b.tif").pixels, image.pixels)
    with Image.open(tmp_path / "b.tif") as pil:
        assert pil.getexif()[0x010F] == "Camera"


def test_an_exif_block_that_nobody_can_read_costs_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _tagged(tmp_path / "a.jpg")

    def stumble(self: Image.Exif, tag: int) -> None:
        raise AttributeError("'Exif' object has no attribute 'fp'")

    monkeypatch.setattr(Image.Exif, "get_ifd", stumble)
    image = read_image(tmp_path / "a.jpg")
    assert image.exif is None and image.pixels.shape == (1, 3, 6, 6)
    assert "EXIF block cannot be read" in caplog.text


def test_an_exif_block_too_long_for_a_jpeg_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    Image.fromarray(RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.jpg", image)
    write_image(tmp_path / "b.webp", image)
    assert read_image(tmp_path / "b.jpg").exif is None and read_image(tmp_path / "b.webp").exif is not None
    assert "too long for a JPEG" in caplog.text


@pytest.mark.parametrize("mode", ["P", "CMYK", "1"])
def test_an_eight_bit_tiff_that_is_turned_has_its_colours(tmp_path: Path, mode: str) -> None:
    colours = Image.fromarray(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    pil = colours.convert(mode)
    for name, orientation in (("up", 1), ("turned", 3)):
        pil.save(tmp_path / f"{name}.tif", tiffinfo={274: orientation})
    up, turned = (read_image(tmp_path / f"{name}.tif").pixels for name in ("up", "turned"))
    assert torch.equal(up.flip(-1, -2), turned)
    assert up.shape[1] == (1 if mode == "1" else 3)
