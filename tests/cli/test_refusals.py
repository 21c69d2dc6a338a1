"""The command line and bad input: one clear sentence, exit code 2, and no work lost."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from commands import FAST, refused
from PIL import Image

from hybridprior.data import demo_image
from hybridprior.io.files import ImageData, read_image, write_image


def test_one_bad_file_does_not_stop_a_batch(hprior, small: Path) -> None:
    Path("bad.png").write_text("no image")
    outcome = hprior("restore", "bad.png", small, "-o", "out", *FAST)
    assert outcome.code == 1
    assert "bad.png" in outcome.err
    assert "1 of 2 images failed" in outcome.err
    assert Path("out/small.png").exists()
    assert not Path("out/bad.png").exists()


BAD_INPUT = [
    (["missing.png"], ["no file 'missing.png'"]),
    (["text.png"], ["text.png", "not an image"]),
    (["half.png"], ["half.png", "truncated"]),
    (["bomb.png"], ["bomb.png", "too many pixels"]),
    (["nan.tif"], ["nan.tif", "NaN"]),
    (["empty"], ["no image in 'empty'"]),
    (["small.png", "--sigma", "-3"], ["--sigma", "-3"]),
    (["small.png", "--sigma", "nan"], ["--sigma"]),
    (["small.png", "--sigma", "much"], ["--sigma", "number"]),
    (["small.png", "--task", "sr", "--scale", "1"], ["--scale", "at least 2"]),
    (["small.png", "--task", "sr", "--scale", "2.5"], ["--scale", "2.5"]),
    (["small.png", "--task", "sr", "--kernel", "lanczos"], ["Did you mean 'lanczos"]),
    (["small.png", "--task", "denoize"], ["Did you mean 'denoise'"]),
    (["small.png", "--preset", "fats"], ["Did you mean 'fast'"]),
    (["small.png", "--reg", "vt"], ["regulariser", "Did you mean 'tv'"]),
    (["small.png", "--reg", "atuo"], ["regulariser", "Did you mean 'auto'"]),
    (["small.png", "--reg", "auto+tv"], ["'auto' stands alone"]),
    (["small.png", "--generator", "skp"], ["Did you mean 'skip'"]),
    (["small.png", "--stop", "varience"], ["Did you mean 'variance'"]),
    (["small.png", "--stop", "atuo"], ["stopping rule", "Did you mean 'auto'"]),
    (["small.png", "--device", "gpu"], ["device", "cpu"]),
    (["small.png", "--dtype", "fp16"], ["dtype"]),
    (["small.png", "--format", "xml"], ["format"]),
    (["small.png", "--weight", "-1"], ["weight"]),
    (["small.png", "--steps", "0"], ["--steps"]),
    (["small.png", "--bogus"], ["--bogus"]),
    (["small.png", "--mask", "mask.png"], ["--mask goes with --task inpaint"]),
    (["small.png", "--task", "inpaint", "--mask", "mask.png"], ["mask.png", "7 x 5", "24 x 20"]),
    (["small.png", "--task", "inpaint", "--mask", "white.png"], ["every pixel as missing"]),
    (["small.png", "--reference", "mask.png"], ["mask.png", "7 x 5"]),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_INPUT, ids=lambda value: "_".join(map(str, value))[:40])
def test_bad_input_gives_one_sentence(hprior, small: Path, arguments: list, words: list[str]) -> None:
    Path("text.png").write_text("no image")
    Path("empty").mkdir()
    whole = demo_image().read_bytes()
    Path("half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (7, 5)).save("mask.png")
    Image.new("L", (24, 20), 255).save("white.png")
    tifffile.imwrite("nan.tif", np.full((4, 4), np.nan, np.float32))
    if arguments == ["bomb.png"]:
        Image.new("1", (20000, 20000)).save("bomb.png")
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    refused(hprior("restore", *arguments, "-o", "out.png"), *words)
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("small.png", ["is an input"]),
        ("./small.png", ["is an input"]),
        ("out.doc", ["suffix"]),
        ("file/out.png", ["cannot be written"]),
        ("/proc/out.png", ["cannot be written"]),
        ("link.png", ["is an input"]),
    ],
)
def test_bad_output_gives_one_sentence(hprior, small: Path, target: str, words: list[str]) -> None:
    Path("file").write_text("x")
    Path("link.png").symlink_to(small)
    before = small.read_bytes()
    refused(hprior("restore", small, "-o", target, "--overwrite", *FAST), *words)
    assert small.read_bytes() == before


def test_a_full_disk_is_seen_before_the_work(hprior, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    refused(hprior("restore", small, "-o", "out.png", *FAST), "No space left")
    assert not Path("out.png").exists()


def test_two_inputs_may_not_become_one_output(hprior, small: Path) -> None:
    Path("other").mkdir()
    write_image("other/small.png", read_image(small))
    refused(hprior("restore", small, "other/small.png", "-o", "out", *FAST), "both be written")


def test_formats_are_checked_before_the_work(hprior, small: Path) -> None:
    many = np.random.default_rng(0).random((8, 8, 5)).astype(np.float32)
    tifffile.imwrite("many.tif", many, photometric="minisblack", planarconfig="contig")
    refused(hprior("restore", "many.tif", "-o", "a.png", "--steps", 100000), "5 channels")
    write_image("wide.png", ImageData(torch.rand(1, 1, 1, 9000)))
    wide = ["restore", "wide.png", "-o", "a.webp", "--task", "sr", "--scale", 2, "--steps", 100000]
    refused(hprior(*wide), "WEBP", "16383")
    refused(
        hprior("restore", small, "-o", "a.png", "--task", "sr", "--scale", 2000, *FAST), "more than can be restored"
    )
    refused(hprior("restore", small, "-o", f"{'a' * 248}.png", *FAST), "too long")


def test_wrong_degradations_are_refused(hprior, small: Path) -> None:
    Path("folder").mkdir()
    refused(hprior("degrade", "folder", "-o", "a.png"), "folder")
    refused(hprior("degrade", small, "-o", "a.png", "--task", "sr", "--scale", 50), "too small")
    refused(hprior("degrade", small, "-o", "a.png", "--scale", 2), "--scale goes with --task sr")
    refused(hprior("degrade", small, "-o", "a.jpg", "--bits", 16), "--bits")
    refused(hprior("degrade", small, "-o", "a.png", "--sigma", 1e300), "sigma")
    refused(hprior("degrade", small, "-o", "a.png", "--seed", 10**20), "--seed")


def test_failures_of_a_batch_are_lines_of_json_too(hprior, small: Path) -> None:
    Path("bad.png").write_text("x")
    outcome = hprior("restore", "bad.png", small, "-o", "out", "--format", "json", *FAST)
    assert [json.loads(line)["status"] for line in outcome.out.splitlines()] == ["failed", "finished"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--reg", "denoiser", "--denoiser", "shiped"], ["Did you mean 'shipped'"]),
        (["--reg", "denoiser", "--denoiser", "file:none.safetensors"], ["no file"]),
        (["--reg", "denoiser", "--denoiser", "file:small.png"], ["no file of weights"]),
        (["--reg", "denoiser", "--denoiser", "local-dir:."], ["no file"]),
        (["--reg", "denoiser", "--denoiser-sigma", "0"], ["--denoiser-sigma"]),
        (["--reg", "denoiser", "--denoiser-sigma", "5:a"], ["--denoiser-sigma"]),
        (["--reg", "denoiser", "--denoiser-sigma", "1:2:3"], ["--denoiser-sigma"]),
        (["--reg", "denoiser", "--denoiser-sigma", "5:50"], ["decreasing"]),
        (["--reg", "denoiser", "--denoiser-sigma", "900"], ["up to 255"]),
        (["--reg", "denoiser", "--denoiser", "file:~nobody_here/x.safetensors"], ["not a valid path"]),
        (["--generator", "auto"], ["generator"]),
        (["--reg", "denoiser", "--weight", "much"], ["--weight"]),
        (["--reg", "denoiser+tv", "--weight", "tw=1"], ["weighted regulariser", "Did you mean 'tv'"]),
        (["--reg", "denoiser+tv", "--weight", "tv=-1"], ["0 or more"]),
        (["--reg", "tv+tv"], ["twice"]),
        (["--reg", "tv", "--denoiser", "shipped"], ["has no denoiser"]),
        (["--reg", "tv", "--solver", "splitting"], ["gradient"]),
        (["--reg", "denoiser", "--solver", "magic"], ["solver", "splitting"]),
    ],
)
def test_a_global_prior_that_cannot_be_had(hprior, small: Path, arguments: list, words: list) -> None:
    refused(hprior("restore", small, "-o", "out.png", "--format", "quiet", *arguments), *words)
    assert not Path("out.png").exists()


def test_reports_that_cannot_be_written(hprior, small: Path) -> None:
    refused(hprior("report", "none"), "no folder", "none")
    refused(hprior("report", small), "not a folder")
    Path("empty").mkdir()
    refused(hprior("report", "empty"), "nothing to report", "OUT.json")
    assert hprior("report").code == 2
    assert hprior("restore", small, "-o", "out/a.png", "--format", "quiet", *FAST).code == 0
    refused(hprior("report", "out", "-o", "out/a.png"), ".html")
    Path("mine.html").write_text("my own page")
    refused(hprior("report", "out", "-o", "mine.html"), "not a report", "--overwrite")
    assert Path("mine.html").read_text() == "my own page"
    assert hprior("report", "out", "-o", "mine.html", "--overwrite").code == 0
    Path("out/a.png").unlink()
    partly = hprior("report", "out", "-o", "new/page.htm")
    assert partly.code == 0
    assert "out/a.png" in partly.err
    assert Path("new/page.htm").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--task", "sr", "--scale", 100000], "more than can be restored"),
        (["--task", "inpaint", "--outpaint", 10_000_000], "more than can be restored"),
        (["--task", "inpaint", "--operator", "torch:flip", "--mask", "none.png"], "--mask out"),
        (["--sigma", 25, "--weight", "denoiser=1,foo=3"], "'auto' has no terms"),
        (["--sigma", 25, "--uncertainty", "--stop", "fixed"], "--stop"),
        (["--sigma", 25, "--uncertainty", "--tile", 128], "--tile"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(hprior, small: Path, options: list, said: str) -> None:
    outcome = hprior("restore", small, "-o", "out.png", *options, "--steps", 2)
    assert (outcome.code, len(outcome.err.strip().splitlines())) == (2, 1), outcome.err
    assert said in outcome.err
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--noise", "poisson", "--peak", "30", "--sigma", "9"], "--peak defines the photon noise"),
        (["--weight", "2", "--preset", "fast"], "--weight is the weight of R, and there is no R"),
        (["--task", "denoyse"], "demosaic, denoise, inpaint, sr"),
        (["--task", "Auto"], "Did you mean 'auto'"),
        (["--tile", "32"], "a side of 128 at least"),
        (["--white", "0"], "--white is a number"),
    ],
)
def test_what_means_nothing_is_refused(hprior, small: Path, options: list[str], said: str) -> None:
    outcome = hprior("restore", small, "-o", "out.png", *options)
    assert (outcome.code, said in outcome.err) == (2, True), outcome.err
