"""The command line and the global prior: `--reg`, `--denoiser`, `weights`, and what `auto` finds out by itself."""

import json
from pathlib import Path

import pytest
import torch
from commands import FAST, refused
from PIL import Image

from hybridprior.io.files import ImageData, read_image, write_image


@pytest.mark.parametrize("reg", ["denoiser", "score", "feature", "denoiser+tv"])
def test_every_regulariser_restores(hprior, small: Path, reg: str) -> None:
    outcome = hprior("restore", small, "-o", "out.png", "--sigma", 25, "--reg", reg, "--format", "json", *FAST)
    assert outcome.code == 0
    assert json.loads(Path("out.png.json").read_text())["config"]["regulariser"]["name"] == reg


def test_auto_writes_the_stacking_weights(hprior, small: Path) -> None:
    outcome = hprior(
        "restore", small, "-o", "out.png", "--sigma", 25, "--reg", "auto", "--preset", "fast", "--steps", 3, "--verbose"
    )
    assert outcome.code == 0
    fusion = json.loads(Path("out.png.json").read_text())["fusion"]
    assert {"local", "global", "warm_started"} <= set(fusion["candidates"])
    assert sum(row["weight"] for row in fusion["candidates"].values()) == pytest.approx(1, abs=1e-4)
    assert fusion["map"] == "out.png.weights.png"
    assert Path("out.png.weights.png").exists()
    assert "Stacking weights: network " in outcome.out


def test_the_global_prior_alone_is_plug_and_play(hprior, small: Path) -> None:
    arguments = ["--task", "sr", "--scale", 2, "--generator", "pixels", "--reg", "denoiser", "--sigma", 0]
    assert hprior("restore", small, "-o", "out.png", *arguments).code == 0
    config = json.loads(Path("out.png.json").read_text())["config"]
    assert config["method"] == "pnp"
    assert config["solver"]["max_steps"] == config["splitting"]["iterations"]
    assert hprior("restore", small, "-o", "b.png", *arguments, "--solver", "gradient", "--steps", 3).code == 0
    assert json.loads(Path("b.png.json").read_text())["config"]["method"] == "gradient"


def test_the_denoiser_and_its_noise_level_are_chosen(hprior, small: Path, tmp_path: Path) -> None:
    import hybridprior.weights as place

    own = tmp_path / "own.safetensors"
    own.write_bytes((Path(place.__file__).parent / "denoiser.safetensors").read_bytes())
    arguments = ["--reg", "denoiser+tv", "--weight", "denoiser=0.5,tv=0.1", "--denoiser-sigma", "40:8", *FAST]
    assert hprior("restore", small, "-o", "out.png", "--denoiser", f"file:{own}", *arguments).code == 0
    config = json.loads(Path("out.png.json").read_text())["config"]
    assert config["weights"] == {"denoiser": 0.5, "tv": 0.1}
    asked = config["regulariser"]["options"]["denoiser"]
    assert asked == {"denoiser": f"file:{own}", "sigma_start": 40 / 255, "sigma_end": 8 / 255}


def test_a_denoiser_of_ones_own_in_several_processes(begin, small: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def half(x, sigma):\n    return 0.5 * x\n")
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(small.read_bytes())
    options = ["--sigma", 25, "--generator", "pixels", "--reg", "denoiser", "--denoiser", "mine:half", "--jobs", 2]
    process = begin("restore", "in", "-o", "out", *options)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    half = 0.5 * read_image(small).pixels
    for name in ("a.png", "b.png"):
        assert float((read_image(tmp_path / "out" / name).pixels - half).abs().max()) < 0.6 / 255


def test_weights_are_listed_verified_and_fetched(hprior, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = [json.loads(line) for line in hprior("weights", "list").out.splitlines()]
    assert {row["kind"] for row in listed} >= {"denoiser"}
    assert listed[0]["name"] == "shipped"
    assert all(row["licence"] == "Apache-2.0" for row in listed)
    assert hprior("weights", "verify").code == 0
    assert hprior("weights", "fetch", "shipped").out.strip().endswith("denoiser.safetensors")
    refused(hprior("weights", "fetch", "file:none.safetensors"), "no file")
    refused(hprior("weights", "fetch", "os:getcwd"), "no weights named")
    import shutil

    import hybridprior.weights as place

    copy = tmp_path / "weights"
    shutil.copytree(Path(place.__file__).parent, copy)
    data = (copy / "denoiser.safetensors").read_bytes()
    (copy / "denoiser.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setattr("hybridprior.denoisers.weights._folder", lambda: copy)
    refused(hprior("weights", "verify"), "do not match their checksum")
    (copy / "denoiser.safetensors").unlink()
    refused(hprior("weights", "verify"), "missing")


def test_auto_leaves_a_clean_image_alone_bit_for_bit(hprior, photograph: torch.Tensor) -> None:
    write_image("clean.png", ImageData(torch.nn.functional.avg_pool2d(photograph, 2)))
    outcome = hprior("restore", "clean.png", "-o", "out.png", "--task", "auto", *FAST)
    assert outcome.code == 0
    assert Path("out.png").read_bytes() == Path("clean.png").read_bytes()
    assert "clean" in outcome.err
    assert "bit for bit" in outcome.out
    record = json.loads(Path("out.png.json").read_text())
    assert (record["status"], record["diagnosis"]["task"]) == ("unchanged", "leave")
    assert hprior("restore", "clean.png", "-o", "out.tif", "--task", "auto", "--format", "json", "--report").code == 0
    assert "unchanged" in Path("out.tif.html").read_text()
    assert torch.equal(read_image("out.tif").pixels, read_image("clean.png").pixels)


def test_auto_names_the_task_and_why(hprior, photograph: torch.Tensor) -> None:
    clean = torch.nn.functional.avg_pool2d(photograph, 2)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    write_image("noisy.png", ImageData(clean + 20 / 255 * noise))
    outcome = hprior("restore", "noisy.png", "-o", "out.png", "--task", "auto", *FAST)
    assert outcome.code == 0
    assert "noise of sigma" in outcome.err
    record = json.loads(Path("out.png.json").read_text())
    assert (record["diagnosis"]["task"], record["request"]["task"]) == ("denoise", "denoise")
    assert record["sigma"] == pytest.approx(20, rel=0.1)
    refused(hprior("restore", "noisy.png", "-o", "b.png", "--task", "auto", "--sigma", 5), "--sigma")


def test_noise_that_is_not_white_is_said(hprior, photograph: torch.Tensor) -> None:
    clean = torch.nn.functional.avg_pool2d(photograph, 2)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(4))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    write_image("smooth.png", ImageData(clean + 15 / 255 * smooth / smooth.std()))
    outcome = hprior("restore", "smooth.png", "-o", "out.png", *FAST)
    assert "not white" in outcome.err
    assert json.loads(Path("out.png.json").read_text())["sigma"] > 6
    told = hprior("restore", "smooth.png", "-o", "told.png", "--sigma", 15, *FAST)
    assert "not white" not in told.err


def test_the_tables_of_a_jpeg_say_how_much_noise_it_has(hprior, photograph: torch.Tensor) -> None:
    Image.fromarray((255 * photograph[0, :, :48, :64]).byte().permute(1, 2, 0).numpy()).save("low.jpg", quality=20)
    options = ["--task", "auto", "--reg", "denoiser", "--generator", "pixels"]
    assert hprior("restore", "low.jpg", "-o", "out.png", *options).code == 0
    record = json.loads(Path("out.png.json").read_text())
    assert (record["request"]["task"], record["diagnosis"]["jpeg_quality"]) == ("dejpeg", 20)
    assert record["sigma"] > 5
