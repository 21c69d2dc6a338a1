"""The examples run, at low size."""

from pathlib import Path

import pytest
import torch
from pages import EXAMPLES, example

from hybridprior import read_image, write_image
from hybridprior.data import demo_image
from hybridprior.evaluation.ablation import Grid, ablate
from hybridprior.evaluation.degradation import Degradation
from hybridprior.io.image import ImageData, as_tensor


def test_tomography(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "tomography.png"
    figures = example("tomography").main(["-o", str(output), "--size", "16", "--angles", "6", "--steps", "5"])
    assert set(figures) == {"filtered back-projection", "local", "global", "fused"}
    assert figures["global"] > figures["filtered back-projection"]
    assert read_image(output).pixels.shape == (1, 1, 16, 5 * 16)
    assert len(capsys.readouterr().out.splitlines()) == len(figures)


def test_degradations(tmp_path: Path) -> None:
    levels = example("degradations").main(["-o", str(tmp_path / "a.png"), "--size", "32", "--columns", "2"])
    assert min(levels.values()) > 0
    assert read_image(tmp_path / "a.png").pixels.shape == (1, 3, 8 * 32, 2 * 32)


def test_flash(tmp_path: Path) -> None:
    figures = example("flash_guided").main(["-o", str(tmp_path / "flash.png"), "--size", "32", "--steps", "30"])
    assert figures["flash as z"] > figures["dim"]
    assert read_image(tmp_path / "flash.png").pixels.shape == (1, 3, 32, 5 * 32)


def test_inversion(tmp_path: Path, imagenet: Path) -> None:
    size = ["--size", "32", "--steps", "3", "--weights", str(imagenet)]
    figures = example("inversion_priors").main(["-o", str(tmp_path / "inversion.png"), *size])
    assert list(figures) == ["pixels", "pixels + tv", "network"]
    assert read_image(tmp_path / "inversion.png").pixels.shape == (1, 3, 32, 4 * 32)


def test_activation(tmp_path: Path, imagenet: Path) -> None:
    size = ["--size", "32", "--steps", "3", "--weights", str(imagenet)]
    figures = example("activation_priors").main(["-o", str(tmp_path / "otter.png"), *size])
    assert list(figures) == ["pixels", "pixels + tv", "network"]
    assert read_image(tmp_path / "otter.png").pixels.shape == (1, 3, 32, 3 * 32)


def test_throughput(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = read_image(demo_image()).pixels
    for number in range(2):
        write_image(tmp_path / f"{number}.png", ImageData(pixels[..., 30:62, 30 + 40 * number : 62 + 40 * number]))
    short = ["--size", "32", "--jobs", "1,2", "--steps", "6", "--most", "30"]
    figures = example("gpu_throughput").main([str(tmp_path), *short])
    assert list(figures) == ["paper", "strict", "balanced", "fast", "jobs 1", "jobs 2"]
    assert min(figures.values()) > 0
    alone, beside = capsys.readouterr().out.splitlines()[-2:]
    assert alone.split(",")[-1] == beside.split(",")[-1]


def test_uncertainty(tmp_path: Path) -> None:
    module = example("uncertainty_local")
    size = [
        "--crop",
        "32",
        "--steps",
        "3",
        "--samples",
        "4",
        "--tasks",
        "inpaint",
        "-o",
        str(tmp_path / "reliability.png"),
    ]
    found = module.main([str(demo_image()), *size])
    assert set(found) == {("otter", "inpaint", how) for how in ("langevin", "ensemble")}
    assert read_image(tmp_path / "reliability.png").pixels.shape[1] in (3, 4)


def test_the_table_of_automatic_decisions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, count = example("auto_decisions").main(["-o", str(tmp_path / "cases.png"), "--side", "96"])
    assert right > 0.75 * count > 0
    assert f"{right} of {count} choices are correct." in capsys.readouterr().out
    assert read_image(tmp_path / "cases.png").pixels.shape[1] == 3


def test_a_photograph_without_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["-o", str(tmp_path / "out.png"), "--size", "48", "--steps", "20"]
    assert len(example("photo_without_gpu").main(options)) == 3
    said = capsys.readouterr().out.splitlines()
    assert "noise of sigma" in said[0]
    assert all(line.endswith("dB") for line in said[1:])
    assert read_image(tmp_path / "out.png").pixels.shape == (1, 3, 48, 5 * 48)
    example("photo_without_gpu").main([str(tmp_path / "out.png"), "-o", str(tmp_path / "again.png"), *options[2:]])
    assert "dB" not in capsys.readouterr().out


def test_an_operator_and_a_denoiser_of_ones_own(tmp_path: Path) -> None:
    figures = example("own_operator").main(["-o", str(tmp_path / "out.png"), "--size", "32", "--steps", "5"])
    assert figures["non-local means alone"] > figures["input"]
    assert len(figures) == 4
    assert read_image(tmp_path / "out.png").pixels.shape == (1, 3, 32, 5 * 32)


def test_images_unlike_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = example("out_of_distribution").main(["-o", str(tmp_path / "out.png"), "--size", "24", "--steps", "8"])
    assert list(figures) == ["text", "facade"]
    assert all(set(row) == {"local", "global", "auto"} for row in figures.values())
    assert all("%" in line for line in capsys.readouterr().out.splitlines())
    assert read_image(tmp_path / "out.png").pixels.shape == (1, 3, 2 * 24, 5 * 24)


def test_images_unlike_photographs_are_the_same_every_time(tmp_path: Path) -> None:
    module = example("unlike_photographs")
    files = module.main(["-o", str(tmp_path / "a")])
    assert len(files) == 14
    assert all(read_image(file).pixels.shape == (1, 3, 128, 128) for file in files)
    again = module.images()
    drawn = read_image(tmp_path / "a" / "drawing.png").pixels
    assert torch.equal(drawn, as_tensor(again["drawing"]))
    assert 0.02 < float((drawn < 0.5).float().mean()) < 0.5
    windows = as_tensor(again["facade"])
    assert torch.equal(windows[..., :16, :16], windows[..., 64:80, 112:])


def test_every_example_is_in_the_index() -> None:
    index = (EXAMPLES.parent / "docs" / "examples.md").read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"`examples/{path.name}`" in index


def test_priors_side_by_side(tmp_path: Path, crop: torch.Tensor) -> None:
    photograph = tmp_path / "crop.png"
    write_image(photograph, ImageData(crop[..., :24, :24]))
    grid = Grid((Degradation(sigma=0.1),), ("skip", "pixels"), ("none", "denoiser", "auto"), preset="fast", steps=5)
    ablate([photograph], grid, output=tmp_path / "ablation")
    output = tmp_path / "side_by_side.png"
    figures = example("priors_side_by_side").main([str(tmp_path / "ablation"), "-o", str(output)])
    assert list(figures["crop, sigma 25.5"]) == ["neither", "local", "global", "both"]
    assert read_image(output).pixels.shape == (1, 3, 24, 5 * 24)
    with pytest.raises(SystemExit, match="no image"):
        example("priors_side_by_side").main([str(tmp_path / "ablation"), "--seed", "1"])
