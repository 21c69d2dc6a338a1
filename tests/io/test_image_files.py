"""Files of every kind and depth go in and come out as they were; damaged ones are named."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from images import saved
from PIL import Image

from hybridprior.errors import InputError, OutputError, ShapeError
from hybridprior.io.files import ImageData, read_image, write_atomically, write_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "bmp", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_eight_bits_come_back_exactly(tmp_path: Path, suffix: str, channels: int) -> None:
    array = RNG.integers(0, 256, (7, 5, channels), dtype=np.uint8)
    source = saved(tmp_path / "a.png", array.squeeze())
    image = read_image(source)
    assert image.pixels.shape == (1, channels, 7, 5)
    assert image.depth == "uint8"
    write_image(tmp_path / f"b.{suffix}", image)
    again = read_image(tmp_path / f"b.{suffix}").pixels
    again = again[:, :1] if suffix == "webp" and channels == 1 else again  # WebP has no grey
    assert torch.equal(again, image.pixels)
    with Image.open(source) as pil:  # the input is as it was
        assert np.array_equal(np.asarray(pil), array.squeeze())


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_come_back_exactly(tmp_path: Path, suffix: str, channels: int) -> None:
    array = RNG.integers(0, 900, (6, 9, channels), dtype=np.uint16)  # dark: the depth must not be guessed
    source = tmp_path / f"a.{suffix}"
    if suffix == "png":
        source.write_bytes(imagecodecs.png_encode(array))
    else:
        tifffile.imwrite(source, array.squeeze(), photometric="rgb" if channels == 3 else "minisblack")
    image = read_image(source)
    assert image.depth == "uint16"
    assert float(image.pixels.max()) == pytest.approx(array.max() / 65535)
    write_image(tmp_path / f"b.{suffix}", image)
    data = (tmp_path / f"b.{suffix}").read_bytes()
    back = imagecodecs.png_decode(data) if suffix == "png" else tifffile.imread(io.BytesIO(data))
    assert np.array_equal(back.squeeze(), array.squeeze())


def test_floating_tiff_is_kept_unclipped(tmp_path: Path) -> None:
    array = RNG.normal(0.5, 0.6, (5, 4, 3)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb")
    image = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "b.tif", image)
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), array)
    write_image(tmp_path / "c.png", image)
    assert read_image(tmp_path / "c.png").depth == "uint16"


@pytest.mark.parametrize("depth", [np.uint16, np.float32])
def test_colours_that_alpha_was_multiplied_into_are_read_as_they_are(tmp_path: Path, depth: type) -> None:
    top = 65535 if depth is np.uint16 else 1.0
    colours, alpha = RNG.random((6, 4, 3)), RNG.choice([0.0, 0.25, 0.5, 1.0], (6, 4, 1))
    array = (
        (np.concatenate([colours * alpha, alpha], axis=-1) * top).round(0 if depth is np.uint16 else 9).astype(depth)
    )
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "a.tif")
    read = image.pixels[0].permute(1, 2, 0).numpy()
    assert np.abs(read - colours)[alpha[..., 0] > 0].max() < 1e-4
    assert (read[alpha[..., 0] == 0] == 0).all()
    assert np.abs(image.alpha[0].permute(1, 2, 0).numpy() - alpha).max() < 1e-4


def test_next_to_no_alpha_spoils_no_image(tmp_path: Path) -> None:
    array = np.full((4, 4, 4), 0.5, dtype=np.float32)
    array[0, 0] = (0.01, 0.01, 0.01, 0.001)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["assocalpha"])
    assert float(read_image(tmp_path / "a.tif").pixels.max()) == 1.0


def test_many_channels_in_tiff(tmp_path: Path) -> None:
    array = RNG.random((6, 4, 5)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", planarconfig="contig")
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.shape == (1, 5, 6, 4)
    write_image(tmp_path / "b.tif", image)
    assert torch.equal(read_image(tmp_path / "b.tif").pixels, image.pixels)
    with pytest.raises(ShapeError, match="5 channels"):
        write_image(tmp_path / "b.png", image)


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_split_and_put_back(tmp_path: Path, depth: str, suffix: str, channels: int) -> None:
    alpha = torch.rand(1, 1, 6, 5).mul(255).round().div(255)
    image = ImageData(torch.rand(1, channels, 6, 5).mul(255).round().div(255), alpha, depth)
    write_image(tmp_path / f"a.{suffix}", image)
    back = read_image(tmp_path / f"a.{suffix}")
    assert back.alpha is not None
    torch.testing.assert_close(back.alpha, alpha, atol=1e-4, rtol=0)
    torch.testing.assert_close(back.pixels, image.pixels, atol=1e-4, rtol=0)
    assert back.depth == depth


def test_palette_bilevel_and_cmyk(tmp_path: Path) -> None:
    colours = Image.fromarray(RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    colours.quantize(8).save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png").pixels.shape == (1, 3, 6, 6)
    palette = colours.quantize(8)
    palette.save(tmp_path / "pt.png", transparency=0)
    assert read_image(tmp_path / "pt.png").alpha is not None
    Image.fromarray(RNG.random((6, 6)) > 0.5).save(tmp_path / "b.png")
    assert set(read_image(tmp_path / "b.png").pixels.unique().tolist()) == {0.0, 1.0}
    colours.convert("CMYK").save(tmp_path / "c.jpg")
    assert read_image(tmp_path / "c.jpg").pixels.shape == (1, 3, 6, 6)


def _bomb(path: Path) -> None:
    Image.new("1", (20000, 20000)).save(path)


BAD = {
    "missing.png": (lambda path: None, "no file"),
    "empty.png": (lambda path: path.write_bytes(b""), "not an image"),
    "text.png": (lambda path: path.write_text("hello"), "not an image"),
    "bomb.png": (_bomb, "too many pixels"),
    "folder.png": (lambda path: path.mkdir(), "folder"),
    "nan.tif": (lambda path: tifffile.imwrite(path, np.full((4, 4), np.nan, np.float32)), "NaN"),
    "infinite.tif": (lambda path: tifffile.imwrite(path, np.full((4, 4), np.inf, np.float32)), "infinite"),
    "counts.tif": (lambda path: tifffile.imwrite(path, np.full((4, 4), 812.5, np.float32)), "from 812 to 812"),
    "signed.tif": (lambda path: tifffile.imwrite(path, np.full((4, 4), -3, np.int16)), "unsigned or floating"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_files_are_named(tmp_path: Path, name: str) -> None:
    make, words = BAD[name]
    make(tmp_path / name)
    with pytest.raises(InputError, match=words) as caught:
        read_image(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
@pytest.mark.parametrize("deep", [False, True])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, deep: bool) -> None:
    path = tmp_path / f"a.{suffix}"
    write_image(path, ImageData(torch.rand(1, 3, 64, 64), None, "uint16" if deep else "uint8"))
    for share in (0.9, 0.5, 0.05):
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(InputError, match="a\\."):
            read_image(path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"first")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(tmp_path / "no" / "folder" / "a.png", ImageData(torch.rand(1, 1, 2, 2)))
    with pytest.raises(OutputError, match="no suffix"):
        write_image(tmp_path / "a.doc", ImageData(torch.rand(1, 1, 2, 2)))


def test_bilevel_tiff_is_eight_bits(tmp_path: Path) -> None:
    Image.fromarray(RNG.random((16, 16)) > 0.5).save(tmp_path / "a.tif", compression="group4")
    image = read_image(tmp_path / "a.tif")
    assert image.depth == "uint8"
    assert set(image.pixels.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_compressed_tiff(tmp_path: Path, compression: str | None) -> None:
    array = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    saved(tmp_path / "a.tif", array, compression=compression)
    assert torch.equal(read_image(tmp_path / "a.tif").pixels[0].permute(1, 2, 0), torch.from_numpy(array) / 255)
    for codec in ("lzw", "zlib"):
        deep = array.astype(np.uint16) * 257
        tifffile.imwrite(tmp_path / "b.tif", deep, photometric="rgb", compression=codec)
        assert torch.equal(read_image(tmp_path / "b.tif").pixels, read_image(tmp_path / "a.tif").pixels)


def test_twelve_bits_are_white_at_4095(tmp_path: Path) -> None:
    import tifffile

    array = RNG.integers(0, 4096, (6, 6)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, bitspersample=12, photometric="minisblack")
    assert np.abs(read_image(tmp_path / "a.tif").pixels[0, 0].numpy() - array / 4095).max() < 2e-5
