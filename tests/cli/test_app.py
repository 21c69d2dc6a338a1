"""`hprior` on real files: what people ask for, what they get wrong, and what is never lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from commands import FAST, refused

from hybridprior.io.files import ImageData, read_image, write_image


def test_restore_writes_the_image_and_its_sidecar(hprior, small: Path) -> None:
    before = small.read_bytes()
    outcome = hprior("restore", small, "-o", "out.png", "--sigma", 25, "--reference", small, "--format", "json", *FAST)
    assert outcome.code == 0
    said = json.loads(outcome.out)
    assert {"psnr", "ssim", "oracle_psnr", "chosen_step", "seconds", "status", "message"} <= said.keys()
    record = json.loads(Path("out.png.json").read_text())
    assert record["psnr"] == said["psnr"]
    assert record["config"]["solver"]["max_steps"] == 2
    assert record["sigma"] == 25
    assert {"hybridprior", "torch"} <= record["versions"].keys()
    assert len(record["trace"]["energy"]) == 2
    assert read_image("out.png").pixels.shape == (1, 3, 20, 24)
    assert small.read_bytes() == before
    assert {path.name for path in small.parent.iterdir()} == {"small.png", "out.png", "out.png.json"}


@pytest.mark.parametrize("reg", ["none", "tv"])
@pytest.mark.parametrize("generator", ["skip", "decoder", "pixels"])
@pytest.mark.parametrize("stop", ["fixed", "variance", "heldout"])
def test_every_choice_of_parts_runs(hprior, small: Path, reg: str, generator: str, stop: str) -> None:
    choice = ["--reg", reg, "--weight", 0.5, "--generator", generator, "--stop", stop, "--steps", 2]
    assert hprior("restore", small, "-o", "out.png", "--format", "quiet", *choice).code == 0
    config = json.loads(Path("out.png.json").read_text())["config"]
    assert (config["regulariser"]["name"], config["generator"]["name"]) == (reg, generator)
    assert config["stopping"]["name"] == stop


def test_quiet_and_human(hprior, small: Path) -> None:
    quiet = hprior("restore", small, "-o", "a.png", "--format", "quiet", *FAST)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    human = hprior("restore", small, "-o", "b.png", *FAST)
    assert human.out.startswith("b.png written (") and "Step" not in human.out
    verbose = hprior("restore", small, "-o", "c.png", "--verbose", *FAST)
    assert "Step 2 of 2." in verbose.out


def test_degrade_and_restore_each_task(hprior, small: Path) -> None:
    assert hprior("degrade", small, "-o", "noisy.tiff", "--sigma", 50).code == 0
    noisy = tifffile.imread("noisy.tiff")
    assert noisy.dtype == np.float32
    assert noisy.min() < 0
    assert hprior("degrade", small, "-o", "little.png", "--task", "sr", "--scale", 3).code == 0
    assert read_image("little.png").pixels.shape == (1, 3, 6, 8)
    assert hprior("degrade", small, "-o", "holes.png", "--task", "inpaint", "--missing", 0.7).code == 0
    assert float(read_image("holes.png.mask.png").pixels.mean()) == pytest.approx(0.7, abs=0.1)
    assert hprior("restore", "noisy.tiff", "-o", "a.png", *FAST).code == 0
    assert hprior("restore", "little.png", "-o", "b.png", "--task", "sr", "--scale", 3, *FAST).code == 0
    assert read_image("b.png").pixels.shape == (1, 3, 18, 24)
    assert (
        hprior("restore", "holes.png", "-o", "c.png", "--task", "inpaint", "--mask", "holes.png.mask.png", *FAST).code
        == 0
    )
    assert hprior("degrade", small, "-o", "noisy.tiff").code == 2


def test_folders_are_mirrored_and_system_files_left_out(hprior, small: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "below").mkdir(parents=True)
    for name in ("in/a.png", "in/below/b.jpg", "in/._a.png"):
        write_image(tmp_path / name, read_image(small))
    (tmp_path / "in" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "in" / "notes.txt").write_text("x")
    assert hprior("restore", "in", "-o", "flat", *FAST).code == 0
    assert {path.name for path in Path("flat").rglob("*")} == {"a.png", "a.png.json"}
    assert hprior("restore", "in", "-o", "out", "--recursive", *FAST).code == 0
    found = {str(path.relative_to("out")) for path in Path("out").rglob("*.*")}
    assert found == {"a.png", "a.png.json", "below/b.jpg", "below/b.jpg.json"}


def test_what_exists_is_left_unless_overwritten(hprior, small: Path) -> None:
    Path("out.png").write_bytes(b"mine")
    outcome = hprior("restore", small, "-o", "out.png", *FAST)
    assert outcome.code == 0
    assert "--overwrite" in outcome.err
    assert Path("out.png").read_bytes() == b"mine"
    assert hprior("restore", small, "-o", "out.png", "--overwrite", *FAST).code == 0
    assert read_image("out.png").pixels.shape == (1, 3, 20, 24)


def test_sixteen_bits_stay_sixteen(hprior, small: Path) -> None:
    write_image("deep.png", ImageData(read_image(small).pixels, None, "uint16"))
    assert hprior("restore", "deep.png", "-o", "out.png", *FAST).code == 0
    assert read_image("out.png").depth == "uint16"


def test_info(hprior) -> None:
    facts = json.loads(hprior("info", "--format", "json").out)
    assert facts["torch"] == torch.__version__
    assert "(" in facts["precision"]
    assert "precision" in hprior("info").out


def test_demo(hprior) -> None:
    outcome = hprior("demo", "--quick", "-o", "shown")
    assert outcome.code == 0
    figures = json.loads(Path("shown/figures.json").read_text())
    assert figures["psnr"] > figures["psnr_before"] + 2
    assert read_image("shown/comparison.png").pixels.shape[-1] > 200


def test_help_imports_no_torch() -> None:
    code = "import sys; from hybridprior.cli import app; sys.exit(sum(n in sys.modules for n in ('torch', 'numpy', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0


def test_help_and_version(hprior) -> None:
    assert "restore" in hprior("--help").out
    assert "--mask-white" in hprior("restore", "--help").out
    assert "hprior 0" in hprior("--version").out
    refused(hprior("restor"), "restor")


def test_a_name_without_suffix_is_a_folder(hprior, small: Path) -> None:
    assert hprior("restore", small, "-o", "new/", *FAST).code == 0
    assert read_image("new/small.png").pixels.shape == (1, 3, 20, 24)


def test_no_arguments_show_the_help(hprior) -> None:
    outcome = hprior()
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) > 5


def test_a_report_of_each_image_and_of_the_folder(hprior, small: Path) -> None:
    Path("in").mkdir()
    for name in ("a.png", "b.png"):
        Path("in", name).write_bytes(small.read_bytes())
    options = ["--sigma", 25, "--reference", small, "--format", "quiet", "--jobs", 1, *FAST, "--report"]
    assert hprior("restore", "in", "-o", "out", *options).code == 0
    for name in ("a.png", "b.png"):
        page = Path(f"out/{name}.html").read_text()
        assert page.count("data:image/png") == 3
        assert f"<title>{name}</title>" in page
    said = hprior("report", "out")
    assert (said.code, said.out, said.err) == (0, f"{Path('out/report.html')}\n", "")
    assert Path("out/report.html").read_text().count("data:image/png") == 6
    assert hprior("report", "out").code == 0
    before = Path("out/a.png.html").read_bytes()
    skipped = hprior("restore", "in", "-o", "out", *options)
    assert (skipped.code, Path("out/a.png.html").read_bytes()) == (0, before)


def test_the_sidecar_has_the_curve_of_the_psnr(hprior, small: Path) -> None:
    options = ["--preset", "fast", "--steps", 45, "--stop", "fixed", "--format", "quiet"]
    assert hprior("restore", small, "-o", "a.png", "--reference", small, *options).code == 0
    curve = json.loads(Path("a.png.json").read_text())["oracle_trace"]
    assert curve["step"] == [20, 40]
    assert len(curve["psnr"]) == 2


def test_a_poisoned_reference_changes_nothing_but_figures(hprior, small: Path) -> None:
    """Evidence never reads the ground truth."""
    truth = read_image(small)
    write_image(Path("poison.png"), ImageData(1 - truth.pixels.flip(-1)))
    options = ["--sigma", 25, "--preset", "fast", "--steps", 40, "--reg", "auto", "--format", "quiet"]
    for name in ("small.png", "poison.png"):
        assert hprior("restore", small, "-o", f"by-{name}", "--reference", name, *options).code == 0
    assert Path("by-small.png").read_bytes() == Path("by-poison.png").read_bytes()
    good, bad = (json.loads(Path(f"by-{name}.json").read_text()) for name in ("small.png", "poison.png"))
    assert good["fusion"] == {**bad["fusion"], "map": good["fusion"]["map"]}
    assert good["psnr"] > bad["psnr"] + 3
