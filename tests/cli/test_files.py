"""Which files `hprior` reads for which, and that it replaces none of them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from hybridprior.analysis.diagnosis import diagnose
from hybridprior.errors import OutputError
from hybridprior.io.files import ImageData, read_image, write_image

FAST = ["--preset", "fast", "--steps", "2", "--stop", "fixed", "--format", "json", "--jobs", "1"]
BOTH = ["--reg", "auto", "--sigma", "25", *(word for word in FAST if word not in ("--stop", "fixed"))]
FILL = ["--task", "inpaint", "--reg", "none", *FAST]


def _hole(path: Path, top: int) -> None:
    """Write a mask of 24 x 20 whose hole begins at a row."""
    mask = np.zeros((20, 24), dtype=np.uint8)
    mask[top : top + 4, 6:12] = 255
    Image.fromarray(mask).save(path)


def _filled(path: str, source: Path) -> list[int]:
    """Return the rows that are not as they were."""
    changed = (read_image(path).pixels != read_image(source).pixels).any(dim=1)[0].any(dim=1)
    return changed.nonzero().flatten().tolist()


def test_a_mask_lies_beside_its_image_and_is_none_itself(hprior, small: Path) -> None:
    Path("in").mkdir()
    read = read_image(small)
    write_image(Path("in/a.png"), read)
    _hole(Path("in/a.png.mask.png"), 8)
    outcome = hprior("restore", "in", "-o", "out", "--mask", "in", *FILL)
    assert outcome.code == 0, outcome.err
    assert len(outcome.out.splitlines()) == 1
    assert _filled("out/a.png", small) == [8, 9, 10, 11]


def test_the_mask_of_the_same_name_comes_first(hprior, small: Path) -> None:
    Path("in").mkdir()
    Path("masks").mkdir()
    for name, top in (("a.png", 2), ("a.tif", 12)):
        write_image(Path("in") / name, read_image(small))
        _hole(Path("masks") / name, top)
    assert hprior("restore", "in", "-o", "out", "--mask", "masks", *FILL).code == 0
    assert _filled("out/a.png", small) == [2, 3, 4, 5]
    assert _filled("out/a.tif", small) == [12, 13, 14, 15]


def test_no_result_replaces_what_another_one_is_made_of(hprior, small: Path) -> None:
    deep = Path("ph/2023/2023")
    deep.mkdir(parents=True)
    for folder in (deep, deep.parent):
        write_image(folder / "x.png", read_image(small))
    before = (deep.parent / "x.png").read_bytes()
    refused = hprior("restore", "ph/2023", "-o", "ph", "--recursive", "--overwrite", *FAST)
    assert (refused.code, "never replaced" in refused.err) == (2, True)
    assert (deep.parent / "x.png").read_bytes() == before
    Path("masks").mkdir()
    _hole(Path("masks/small.png"), 3)
    assert hprior("restore", small, "-o", "masks", "--mask", "masks", "--overwrite", *FILL).code == 2
    Image.fromarray(np.eye(3, dtype=np.uint8) * 255).save("kernel.png")
    blurred = ["--task", "deblur", "--blur", "kernel.png", *FAST]
    assert hprior("restore", small, "-o", "kernel.png", "--overwrite", *blurred).code == 2
    assert hprior("restore", small, "-o", "sharp.png", *blurred).code == 0


def test_a_jpeg_that_is_made_has_the_tables_that_were_asked_for(hprior, crop: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "clean.png", ImageData(crop))
    for name in ("made.jpg", "made.png"):
        assert hprior("degrade", "clean.png", "-o", name, "--task", "dejpeg", "--quality", 10).code == 0
    assert torch.equal(read_image("made.jpg").pixels, read_image("made.png").pixels)
    found = diagnose("made.jpg")
    assert (found.jpeg_quality, found.task) == (10, "dejpeg")


def test_a_compressed_image_stays_within_its_file_with_uncertainty_too(hprior, tmp_path: Path) -> None:
    from hybridprior.data import demo_image
    from hybridprior.operators import Jpeg

    image = read_image(demo_image()).pixels[..., :32, :32].contiguous()
    write_image(tmp_path / "clean.png", ImageData(image))
    assert hprior("degrade", "clean.png", "-o", "made.jpg", "--task", "dejpeg", "--quality", 10).code == 0
    options = ["--task", "dejpeg", "--preset", "fast", "--steps", 2, "--uncertainty", "--format", "quiet"]
    assert hprior("restore", "made.jpg", "-o", "out.tiff", *options).code == 0
    found, y = read_image("out.tiff").pixels, read_image("made.jpg").pixels
    allowed = Jpeg.of_file(Path("made.jpg"), y).enforce_consistency(found, y, noisy=False)
    assert float((allowed - found).abs().max()) < 2 / 255


def test_transparency_is_kept_within_a_margin(hprior, small: Path) -> None:
    alpha = torch.rand(1, 1, 20, 24).mul(255).round().div(255)
    write_image("clear.png", ImageData(read_image(small).pixels, alpha))
    assert hprior("restore", "clear.png", "-o", "a.png", "--outpaint", 4, "--report", *FILL).code == 0
    found = read_image("a.png").alpha
    assert torch.equal(found[..., 4:-4, 4:-4], alpha)
    assert bool((found[..., :4, :] == 1).all())
    assert "another size" not in Path("a.png.html").read_text()


@pytest.mark.parametrize("noise", [["poisson", "--peak", 30], ["laplace"]])
def test_named_noise_is_taken_off_what_the_mask_keeps(hprior, small: Path, noise: list) -> None:
    _hole(Path("mask.png"), 8)
    assert hprior("restore", small, "-o", "a.png", "--mask", "mask.png", "--noise", *noise, *FILL).code == 0
    assert len(_filled("a.png", small)) == 20


def test_the_map_of_the_stacking_weights_is_as_large_as_the_result(hprior, crop: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "y.png", ImageData(crop[..., :40, :40].contiguous()))
    options = ["--task", "deblur", "--blur", "gaussian:1", "--reg", "auto", "--sigma", 2.55, "--preset", "fast"]
    assert hprior("restore", "y.png", "-o", "out.png", *options, "--steps", 4).code == 0
    assert read_image("out.png.weights.png").pixels.shape[-2:] == read_image("out.png").pixels.shape[-2:] == (40, 40)


def test_one_pixel_is_an_image(hprior, tmp_path: Path) -> None:
    write_image(tmp_path / "one.png", ImageData(torch.full((1, 3, 1, 1), 0.5)))
    outcome = hprior("restore", "one.png", "-o", "out.png", "--sigma", 25, "--steps", 2, "--format", "json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["steps"] == 2


def test_the_longest_strip_is_restored(hprior, tmp_path: Path) -> None:
    write_image(tmp_path / "strip.png", ImageData(torch.rand(1, 1, 5, 600)))
    assert hprior("restore", "strip.png", "-o", "out.png", *FAST).code == 0


def test_an_image_that_could_not_be_written_is_not_taken_for_done(
    hprior, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OutputError("'out.png' cannot be written: No space left on device.")

    monkeypatch.setattr("hybridprior.cli.run.outputs.write_image", full)
    assert hprior("restore", small, "-o", "out.png", *FAST).code == 2
    assert not Path("out.json").exists() and not list(Path().glob("out*.json"))
    monkeypatch.undo()
    monkeypatch.chdir(small.parent)
    assert hprior("restore", small, "-o", "out.png", *FAST).code == 0
    assert Path("out.png").exists()


def test_an_image_that_cannot_be_replaced_keeps_its_record(
    hprior, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OutputError("'out.png' cannot be written: No space left on device.")

    assert hprior("restore", small, "-o", "out.png", *FAST).code == 0
    before = {name: Path(name).read_bytes() for name in ("out.png", "out.png.json")}
    monkeypatch.setattr("hybridprior.cli.run.outputs.write_image", full)
    assert hprior("restore", small, "-o", "out.png", "--overwrite", "--seed", 3, *FAST).code == 2
    assert {name: Path(name).read_bytes() for name in before} == before


def test_a_map_that_cannot_be_written_costs_no_image(hprior, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, image: ImageData) -> None:
        raise OutputError(f"'{path}' cannot be written: No space left on device.")

    monkeypatch.setattr("hybridprior.cli.run.sidecar.write_image", full)
    outcome = hprior("restore", small, "-o", "out.png", *BOTH)
    assert outcome.code == 0 and "out.png.weights.png' cannot be written" in outcome.err
    assert Path("out.png").exists() and Path("out.png.json").exists()


def test_what_would_be_written_beside_it_is_spared(hprior, small: Path) -> None:
    shutil.copy(small, "a.png.weights.png")
    before = Path("a.png.weights.png").read_bytes()
    refused = hprior("restore", "a.png.weights.png", "-o", "a.png", "--overwrite", *BOTH)
    assert refused.code == 2 and "never replaced" in refused.err
    there = hprior("restore", small, "-o", "a.png", *BOTH)
    assert "'a.png.weights.png' exists and is left as it is" in there.err
    assert Path("a.png.weights.png").read_bytes() == before and not Path("a.png").exists()
    assert hprior("restore", small, "-o", "a.png", "--sigma", "25", "--reg", "none", *FAST).code == 0
    long = f"{'n' * 247}.png"
    assert hprior("restore", small, "-o", long, *BOTH).code == 2
    assert not list(Path().glob("nnn*"))


def test_a_run_that_was_killed_while_it_wrote_is_done_again(hprior, small: Path) -> None:
    assert hprior("restore", small, "-o", "out.png", "--sigma", "25", "--reg", "none", *FAST).code == 0
    Path("out.png").rename("out.png.weights.png")
    assert hprior("restore", small, "-o", "out.png", *BOTH).code == 0
    assert Path("out.png").exists()
    Path("other.png.json").write_text("{}")
    assert "'other.png.json' exists" in hprior("restore", small, "-o", "other.png", *BOTH).err
    assert not Path("other.png").exists()


def test_white_is_a_number_of_the_files_own(hprior, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    camera = np.clip(800 + 40 * rng.standard_normal((24, 24, 3)), 0, 4095)
    tifffile.imwrite("deep.tif", camera.astype(np.uint16), photometric="rgb")
    tifffile.imwrite("floating.tif", camera.astype(np.float32), photometric="rgb")
    for name in ("deep.tif", "floating.tif"):
        outcome = hprior("restore", name, "-o", "out.tif", "--white", 4095, "--reference", name, "--overwrite", *FAST)
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["sigma"] == pytest.approx(40 / 4095 * 255, rel=0.2)
        assert tifffile.imread("out.tif").dtype == tifffile.imread(name).dtype
        assert 400 < tifffile.imread("out.tif").mean() < 2500
    asked = hprior("restore", "deep.tif", "-o", "dark.tif", "--sigma", 1, *FAST)
    assert asked.code == 0 and "if white is less than 65535, set it" in asked.err
    assert hprior("restore", "floating.tif", "-o", "dark.tif", "--overwrite", *FAST).code == 2


def test_a_sigma_in_other_units_is_doubted(hprior, small: Path) -> None:
    outcome = hprior("restore", small, "-o", "out.png", "--sigma", "0.1", *FAST)
    assert outcome.code == 0 and "--sigma is in units of 0-255; 0.1 is almost no noise" in outcome.err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_whatever_one_image_raises_the_others_go_on(hprior, small: Path, tmp_path: Path, jobs: str) -> None:
    (tmp_path / "picky_operator.py").write_text(
        "def picky(x):\n    if x.shape[-1] == 24:\n        raise ValueError('not of this width')\n    return x\n"
    )
    Path("in").mkdir()
    write_image(Path("in/a.png"), read_image(small))
    write_image(Path("in/b.png"), ImageData(torch.rand(1, 3, 20, 32)))
    options = [*FAST[:-1], jobs]
    outcome = hprior("restore", "in", "-o", "out", "--operator", "picky_operator:picky", "--sigma", "25", *options)
    assert outcome.code == 1
    assert "ValueError: not of this width" in outcome.err and "Traceback" not in outcome.err
    assert Path("out/b.png").exists() and not Path("out/a.png").exists()


def test_another_image_beside_it_is_no_mask(hprior, small: Path) -> None:
    Path("in").mkdir()
    for name in ("a.png", "a.tif"):
        write_image(Path("in") / name, read_image(small))
    _hole(Path("in/a.tif.mask.png"), 8)
    outcome = hprior("restore", "in/a.png", "-o", "out.png", "--mask", "in", *FILL)
    assert outcome.code == 2 and "There is no mask" in outcome.err


def test_a_name_that_is_no_text_is_written_as_it_can_be(hprior, small: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(small, name)
    except OSError:
        pytest.skip("this file system has names of text only")
    outcome = hprior("restore", name, "-o", "out.png", "--report", *FAST)
    assert outcome.code == 0, outcome.err
    assert Path("out.png.html").exists()
