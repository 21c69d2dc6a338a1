"""`hprior ablate`: a grid from a file and the command line, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from images import folder_of

from hybridprior.evaluation.ablation import gather
from hybridprior.io.files import ImageData, write_image


def _cli(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    from hybridprior.cli import main

    monkeypatch.setattr("sys.argv", ["hprior", "ablate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_line_reads_a_file_and_what_is_said_comes_before_it(
    crop: torch.Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in/Eye_GT.png", ImageData(crop[..., :20, :24]))
    (tmp_path / "grid.toml").write_text(
        'images = ["in"]\ntask = ["denoise", "inpaint"]\ngenerator = ["decoder", "pixels"]\nreg = ["none", "tv"]\n'
        'weight = 0.5\npreset = "fast"\nsteps = 50\nseeds = [3]\n[denoise]\nsigma = [10, 20]\n[inpaint]\nmissing = [0.8]\n'
    )
    assert _cli(monkeypatch, "--config", "grid.toml", "--steps", 2, "--reg", "none", "-o", "out") == 0
    out, err = capsys.readouterr()
    assert "cells" in err and "No image has all four" in out
    table = gather("out")
    assert {(row.image, row.condition, row.seed) for row in table} == {
        ("eye", condition, 3) for condition in ("sigma 10", "sigma 20", "80 % missing")
    }
    configs = [json.loads(Path(f"out/cells/{row.id}.json").read_text())["config"] for row in table]
    assert {c["solver"]["max_steps"] for c in configs if c["generator"]["name"] == "decoder"} == {2}
    assert json.loads((tmp_path / "out/ablation.json").read_text())["command"].startswith("hprior ablate --config")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sigma", "25,x"],
        ["--seeds", "0.5"],
        ["--reg", "denoyser"],
        ["--generator", "pixels", "--reg", "auto"],
        ["--executor", "slurm"],
        ["--task", "denoise,blurr"],
        ["--config", "nothing.toml"],
        ["--scale", "1", "--task", "sr"],
        ["--preset", "paper-vase"],
    ],
)
def test_bad_usage_is_one_sentence(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", ImageData(torch.rand(1, 3, 8, 8)))
    assert _cli(monkeypatch, "a.png", *arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert [line for line in said if line.startswith("hprior: ")] == said[-1:]
    assert "Traceback" not in "".join(said)


@pytest.mark.parametrize(
    "line",
    ['preset = ["fast"]', "crop = [32, 64]", "crop = -5", "steps = 0", "data_seed = [0, 1]"],
)
def test_a_file_with_the_wrong_kind_of_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, line: str
) -> None:
    monkeypatch.chdir(folder_of(tmp_path / "in", "a.png"))
    Path("grid.toml").write_text(f'images = ["a.png"]\n{line}\n')
    assert _cli(monkeypatch, "--config", "grid.toml") == 2
    name, _, _ = line.partition(" = ")
    assert f"{name} is one " in capsys.readouterr().err


def test_a_kernel_larger_than_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(folder_of(tmp_path / "in", "a.png"))
    assert _cli(monkeypatch, "a.png", "--task", "deblur", "--blur", "gaussian:12") == 2
    said = capsys.readouterr().err
    assert "'a'" in said and "too large" in said and "Traceback" not in said
