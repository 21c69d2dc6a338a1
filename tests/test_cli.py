"""`hprior` on real files: what people ask for, what they get wrong, and what is never lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from hybridprior import ShapeError
from hybridprior.data import demo_picture
from hybridprior.imageio import Picture, read_picture, write_picture

FAST = ["--preset", "fast", "--steps", "2", "--stop", "fixed"]


def _refused(outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("hprior: ")
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in lines[0]


def test_restore_writes_the_picture_and_its_sidecar(hprior, small: Path) -> None:
    before = small.read_bytes()
    outcome = hprior("restore", small, "-o", "out.png", "--sigma", 25, "--reference", small, "--format", "json", *FAST)
    assert outcome.code == 0
    said = json.loads(outcome.out)
    assert {"psnr", "ssim", "oracle_psnr", "chosen_step", "seconds", "status", "message"} <= said.keys()
    record = json.loads(Path("out.png.json").read_text())
    assert record["psnr"] == said["psnr"]
    assert record["config"]["solver"]["steps"] == 2
    assert record["sigma"] == 25
    assert {"hybridprior", "torch"} <= record["versions"].keys()
    assert len(record["trace"]["energy"]) == 2
    assert read_picture("out.png").pixels.shape == (1, 3, 20, 24)
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
    assert "step 2 of 2 chosen" in human.out


def test_degrade_and_restore_each_task(hprior, small: Path) -> None:
    assert hprior("degrade", small, "-o", "noisy.tiff", "--sigma", 50).code == 0
    noisy = tifffile.imread("noisy.tiff")
    assert noisy.dtype == np.float32
    assert noisy.min() < 0
    assert hprior("degrade", small, "-o", "little.png", "--task", "sr", "--scale", 3).code == 0
    assert read_picture("little.png").pixels.shape == (1, 3, 6, 8)
    assert hprior("degrade", small, "-o", "holes.png", "--task", "inpaint", "--missing", 0.7).code == 0
    assert float(read_picture("holes.png.mask.png").pixels.mean()) == pytest.approx(0.7, abs=0.1)
    assert hprior("restore", "noisy.tiff", "-o", "a.png", *FAST).code == 0
    assert hprior("restore", "little.png", "-o", "b.png", "--task", "sr", "--scale", 3, *FAST).code == 0
    assert read_picture("b.png").pixels.shape == (1, 3, 18, 24)
    assert (
        hprior("restore", "holes.png", "-o", "c.png", "--task", "inpaint", "--mask", "holes.png.mask.png", *FAST).code
        == 0
    )
    assert hprior("degrade", small, "-o", "noisy.tiff").code == 2


def test_what_white_means_in_a_mask(hprior, small: Path) -> None:
    """Only what is to be filled in may differ from the input once the network fits the rest; pixels fit it at once."""
    hole = np.zeros((20, 24), np.uint8)
    hole[5:9, 6:12] = 255
    Image.fromarray(hole).save("fill.png")
    Image.fromarray(255 - hole).save("keep.png")
    options = ["--task", "inpaint", "--generator", "pixels", "--stop", "fixed", "--steps", 300]
    assert hprior("restore", small, "-o", "a.png", "--mask", "fill.png", *options).code == 0
    assert hprior("restore", small, "-o", "b.png", "--mask", "keep.png", "--mask-white", "keep", *options).code == 0
    a, b, truth = (read_picture(name).pixels for name in ("a.png", "b.png", small))
    assert torch.equal(a, b)
    known = torch.from_numpy(hole) == 0
    assert float((a - truth).abs()[..., known].max()) < 0.05
    assert float((a - truth).abs()[..., ~known].mean()) > 0.1


def test_a_transparent_region_is_a_mask(hprior, small: Path) -> None:
    picture = read_picture(small)
    alpha = torch.ones(1, 1, 20, 24)
    alpha[..., 4:8, 4:8] = 0
    write_picture("clear.png", Picture(picture.pixels, alpha))
    assert hprior("restore", "clear.png", "-o", "a.png", "--task", "inpaint", *FAST).code == 0
    assert read_picture("a.png").alpha is None
    assert hprior("restore", "clear.png", "-o", "b.png", *FAST).code == 0
    assert torch.equal(read_picture("b.png").alpha, alpha)
    _refused(hprior("restore", small, "-o", "c.png", "--task", "inpaint", *FAST), "--mask")


def test_folders_are_mirrored_and_system_files_left_out(hprior, small: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "below").mkdir(parents=True)
    for name in ("in/a.png", "in/below/b.jpg", "in/._a.png"):
        write_picture(tmp_path / name, read_picture(small))
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
    assert read_picture("out.png").pixels.shape == (1, 3, 20, 24)


def test_one_bad_file_does_not_stop_a_batch(hprior, small: Path) -> None:
    Path("bad.png").write_text("no picture")
    outcome = hprior("restore", "bad.png", small, "-o", "out", *FAST)
    assert outcome.code == 1
    assert "bad.png" in outcome.err
    assert "1 of 2 pictures failed" in outcome.err
    assert Path("out/small.png").exists()
    assert not Path("out/bad.png").exists()


def test_sixteen_bits_stay_sixteen(hprior, small: Path) -> None:
    write_picture("deep.png", Picture(read_picture(small).pixels, None, "uint16"))
    assert hprior("restore", "deep.png", "-o", "out.png", *FAST).code == 0
    assert read_picture("out.png").depth == "uint16"


BAD_INPUT = [
    (["missing.png"], ["no file 'missing.png'"]),
    (["text.png"], ["text.png", "not a picture"]),
    (["half.png"], ["half.png", "truncated"]),
    (["bomb.png"], ["bomb.png", "too many pixels"]),
    (["nan.tif"], ["nan.tif", "NaN"]),
    (["empty"], ["no picture in 'empty'"]),
    (["small.png", "--sigma", "-3"], ["--sigma", "-3"]),
    (["small.png", "--sigma", "nan"], ["--sigma"]),
    (["small.png", "--sigma", "much"], ["--sigma", "number"]),
    (["small.png", "--task", "sr", "--scale", "1"], ["--scale", "2 or more"]),
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
    (["small.png", "--task", "inpaint", "--mask", "white.png"], ["keeps nothing"]),
    (["small.png", "--reference", "mask.png"], ["mask.png", "7 x 5"]),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_INPUT, ids=lambda value: "_".join(map(str, value))[:40])
def test_bad_input_gives_one_sentence(hprior, small: Path, arguments: list, words: list[str]) -> None:
    Path("text.png").write_text("no picture")
    Path("empty").mkdir()
    whole = demo_picture().read_bytes()
    Path("half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (7, 5)).save("mask.png")
    Image.new("L", (24, 20), 255).save("white.png")
    tifffile.imwrite("nan.tif", np.full((4, 4), np.nan, np.float32))
    if arguments == ["bomb.png"]:
        Image.new("1", (20000, 20000)).save("bomb.png")
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    _refused(hprior("restore", *arguments, "-o", "out.png"), *words)
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("small.png", ["an input itself"]),
        ("./small.png", ["an input itself"]),
        ("out.doc", ["suffix"]),
        ("file/out.png", ["cannot be written"]),
        ("/proc/out.png", ["cannot be written"]),
        ("link.png", ["an input itself"]),
    ],
)
def test_bad_output_gives_one_sentence(hprior, small: Path, target: str, words: list[str]) -> None:
    Path("file").write_text("x")
    Path("link.png").symlink_to(small)
    before = small.read_bytes()
    _refused(hprior("restore", small, "-o", target, "--overwrite", *FAST), *words)
    assert small.read_bytes() == before


def test_a_full_disk_is_seen_before_the_work(hprior, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    _refused(hprior("restore", small, "-o", "out.png", *FAST), "No space left")
    assert not Path("out.png").exists()


def test_two_inputs_may_not_become_one_output(hprior, small: Path) -> None:
    Path("other").mkdir()
    write_picture("other/small.png", read_picture(small))
    _refused(hprior("restore", small, "other/small.png", "-o", "out", *FAST), "both become")


def test_ctrl_c_saves_the_best_so_far(hprior, begin, small: Path, tmp_path: Path) -> None:
    """A real process and a real signal; if it was too early for a first step, wait longer."""
    options = ["--preset", "fast", "--stop", "fixed", "--threads", "1", "--steps", 60000]
    for patience in (6, 15, 40, 90):
        process = begin("restore", small, "-o", "a.png", *options, "--format", "json")
        time.sleep(patience)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        if out:
            break
        assert not (tmp_path / "a.png").exists()
    said = json.loads(out)
    assert said["status"] == "interrupted"
    assert 0 < said["chosen_step"] <= said["steps"] < 60000
    assert read_picture(tmp_path / "a.png").pixels.shape == (1, 3, 20, 24)
    assert (tmp_path / "a.png.state").exists()
    left = hprior("restore", small, "-o", "a.png", *options)
    assert "--resume" in left.err
    assert {path.name for path in tmp_path.iterdir()} == {"small.png", "a.png", "a.png.json", "a.png.state"}


def test_resume_in_two_parts_gives_the_same_bits(hprior, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--preset", "fast", "--stop", "heldout", "--steps", 12, "--format", "quiet"]
    assert hprior("restore", small, "-o", "whole.png", *options).code == 0
    pressed = []

    def interrupt(self: object, step: object) -> None:
        if step.number == 5 and not pressed:  # type: ignore[attr-defined]
            pressed.append(1)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hybridprior.oracle.Oracle.__call__", interrupt)
    with_truth = [*options, "--reference", small]
    assert hprior("restore", small, "-o", "parts.png", *with_truth).code == 130
    assert json.loads(Path("parts.png.json").read_text())["steps"] == 5
    assert hprior("restore", small, "-o", "parts.png", *options, "--resume").code == 0
    assert Path("parts.png").read_bytes() == Path("whole.png").read_bytes()
    assert not Path("parts.png.state").exists()


def test_no_oracle_stands_beside_what_the_steps_did_not_make(
    hprior, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, step: object) -> None:
        self.step, self.psnr = 1, 9.0  # type: ignore[attr-defined]
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hybridprior.oracle.Oracle.__call__", interrupt)
    options = ["--preset", "fast", "--steps", 8, "--sigma", 25, "--reference", small, "--reg"]
    assert hprior("restore", small, "-o", "both.png", *options, "auto").code == 130
    assert hprior("restore", small, "-o", "alone.png", *options, "none").code == 130
    both, alone = (json.loads(Path(f"{name}.png.json").read_text()) for name in ("both", "alone"))
    assert both["psnr"] > 15 and "oracle_psnr" not in both and "denoiser alone" in both["message"]
    assert alone["oracle_psnr"] == 9.0


def test_a_figure_that_fails_loses_no_interrupted_run(hprior, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--preset", "fast", "--stop", "fixed", "--steps", 8, "--format", "quiet"]

    def interrupt(self: object, step: object) -> None:
        if step.number == 5:  # type: ignore[attr-defined]
            signal.raise_signal(signal.SIGINT)

    def broken(*args: object, **kwargs: object) -> None:
        raise ShapeError("no figure")

    with monkeypatch.context() as patched:
        patched.setattr("hybridprior.oracle.Oracle.__call__", interrupt)
        patched.setattr("hybridprior.metrics.psnr_for_task", broken)
        patched.setattr("hybridprior.metrics.ssim", broken)
        found = hprior("restore", small, "-o", "out.png", *options, "--reference", small)
    assert found.code == 2 and "no figure" in found.err
    assert Path("out.png.state").exists()
    assert hprior("restore", small, "-o", "out.png", *options, "--resume").code == 0
    assert hprior("restore", small, "-o", "whole.png", *options).code == 0
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()


def test_a_damaged_state_is_named(hprior, small: Path) -> None:
    Path("out.png.state").write_bytes(b"no state")
    _refused(hprior("restore", small, "-o", "out.png", "--resume", *FAST), "out.png.state")


def test_info(hprior) -> None:
    facts = json.loads(hprior("info", "--format", "json").out)
    assert facts["torch"] == torch.__version__
    assert "(" in facts["precision"]
    assert "precision" in hprior("info").out


def test_bench_measures_a_folder(hprior, small: Path) -> None:
    Path("set").mkdir()
    for name in ("image_House256rgb.png", "bird_GT.png"):
        big = Image.open(demo_picture()).crop((0, 0, 64, 64))
        big.save(Path("set") / name)
    for suite in ("denoise", "sr", "inpaint"):
        outcome = hprior(
            "bench", suite, "--data", "set", "--preset", "fast", "--steps", 2, "--seeds", "0,1", "-o", suite
        )
        assert outcome.code == 0, outcome.err
        record = json.loads(Path(suite, "rows.json").read_text())
        assert [row["picture"] for row in record["rows"]] == ["bird", "bird", "house", "house"]
        assert {row["seed"] for row in record["rows"]} == {0, 1}
        assert all(row["oracle_psnr"] >= row["psnr"] - 1e-6 for row in record["rows"])
        table = Path(suite, "table.md").read_text()
        assert "| house |" in table
        assert "oracle" in table
        assert "Deep Image Prior" in table
    speed = ["bench", "speed", "--data", "set", "--preset", "fast,fast+denoiser", "--steps", 1, "--pictures", "house"]
    speed += ["--crop", 64]
    assert hprior(*speed).code == 0
    assert {row["preset"] for row in json.loads(Path("bench-speed/rows.json").read_text())["rows"]} == {
        "paper",
        "fast",
        "fast+denoiser",
    }
    assert "| paper |" in Path("bench-speed/table.md").read_text()
    assert "1.000 |" in Path("bench-speed/table.md").read_text()
    apart = ["bench", "inpaint", "--data", "set", "--preset", "fast", "--steps", 2, "--pictures", "house", "--colour"]
    assert hprior(*apart, "--reg", "denoiser", "--weights", "0.1,1", "--missing", 0.8, "-o", "apart").code == 0
    record = json.loads(Path("apart/rows.json").read_text())
    assert [row["preset"] for row in record["rows"]] == ["local", "global", "both, 0.1", "both, 1"]
    assert record["configs"]["local"]["regulariser"]["name"] == "none"
    assert record["configs"]["global"]["method"] == "splitting"
    assert record["configs"]["both, 0.1"]["weight"] == 0.1
    assert "| picture | local | global | both, 0.1 | both, 1 |" in Path("apart/table.md").read_text()
    _refused(hprior(*apart, "--weights", "a"), "--weights")
    _refused(hprior("bench", "denoise", "--data", "nowhere"), "nowhere")
    _refused(hprior("bench", "denoise", "--data", "set", "--pictures", "lena"), "lena")
    _refused(hprior("bench", "denoise", "--data", "set", "--seeds", "one"), "--seeds")
    _refused(hprior("bench", "denoise", "--data", "set", "--seeds", "0,0"), "--seeds")
    _refused(hprior("bench", "denoise", "--data", "set", "--scale", 4), "--scale goes with suite sr")
    _refused(hprior("bench", "speed", "--data", "set", "--colour"), "--colour goes with --task inpaint")


def test_bench_says_what_was_measured(hprior, small: Path) -> None:
    Path("set").mkdir()
    for name, side in (("house.png", 32), ("a|b.png", 24)):
        Image.open(demo_picture()).resize((side, side)).save(Path("set") / name)
    bench = ["bench", "denoise", "--data", "set", "--preset", "fast", "--reg", "none", "--generator", "pixels"]
    assert hprior(*bench, "--sigma", 0, "-o", "clean").code == 0
    json.loads(Path("clean/rows.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert hprior(*bench, "--told", 2, "-o", "told").code == 0
    table = Path("told/table.md").read_text()
    assert "told: 2 times sigma" in table and json.loads(Path("told/rows.json").read_text())["told"] == 2
    assert "32.09" not in table and "| a\\|b |" in table
    missing = ["bench", "inpaint", *bench[2:], "--sigma", 10, "--pictures", "house", "-o", "missing"]
    assert hprior(*missing).code == 0
    assert "sigma: 10/255" in Path("missing/table.md").read_text()


def test_demo(hprior) -> None:
    outcome = hprior("demo", "--quick", "-o", "shown")
    assert outcome.code == 0
    figures = json.loads(Path("shown/figures.json").read_text())
    assert figures["psnr"] > figures["psnr_before"] + 2
    assert read_picture("shown/comparison.png").pixels.shape[-1] > 200


def test_help_imports_no_torch() -> None:
    code = "import sys; from hybridprior.cli import app; sys.exit(sum(n in sys.modules for n in ('torch', 'numpy', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0


def test_help_and_version(hprior) -> None:
    assert "restore" in hprior("--help").out
    assert "--mask-white" in hprior("restore", "--help").out
    assert "hprior 0" in hprior("--version").out
    _refused(hprior("restor"), "restor")


def test_masks_references_and_sidecars_are_never_replaced(hprior, small: Path) -> None:
    Image.new("L", (24, 20)).save("mask.png")
    Path("sc.png.json").write_text("mine")
    inpaint = ["restore", small, "--task", "inpaint", "--mask", "mask.png"]
    _refused(hprior(*inpaint, "-o", "mask.png", "--overwrite", *FAST), "an input itself")
    _refused(
        hprior("restore", small, "--reference", "mask.png", "-o", "mask.png", "--overwrite", *FAST), "an input itself"
    )
    assert hprior("restore", small, "-o", "sc.png", *FAST).code == 0
    assert Path("sc.png.json").read_text() == "mine"
    Path("n.png.mask.png").write_text("mine")
    _refused(hprior("degrade", small, "-o", "n.png", "--task", "inpaint"), "n.png.mask.png")


def test_known_pixels_stay_as_they_are_unless_noise_is_named(hprior, small: Path) -> None:
    hole = np.zeros((20, 24), np.uint8)
    hole[5:9, 6:12] = 255
    Image.fromarray(hole).save("hole.png")
    options = ["--task", "inpaint", "--mask", "hole.png", "--reference", small, *FAST]
    assert hprior("restore", small, "-o", "a.png", *options).code == 0
    changed = (read_picture("a.png").pixels != read_picture(small).pixels).any(dim=1)[0]
    assert not changed[torch.from_numpy(hole) == 0].any()
    assert changed[torch.from_numpy(hole) > 0].all()
    record = json.loads(Path("a.png.json").read_text())
    assert record["oracle_psnr"] >= record["psnr"] - 1e-6
    assert hprior("restore", small, "-o", "b.png", "--sigma", 10, *options).code == 0
    assert (read_picture("b.png").pixels != read_picture(small).pixels).float().mean() > 0.5


def test_alpha_stays_where_another_mask_is_given(hprior, small: Path) -> None:
    alpha = torch.rand(1, 1, 20, 24).mul(255).round().div(255)
    write_picture("clear.png", Picture(read_picture(small).pixels, alpha))
    Image.fromarray(np.eye(20, 24, dtype=np.uint8) * 255).save("mask.png")
    assert hprior("restore", "clear.png", "-o", "a.png", "--task", "inpaint", "--mask", "mask.png", *FAST).code == 0
    assert torch.equal(read_picture("a.png").alpha, alpha)


def test_what_is_missing_may_be_nan(hprior, small: Path) -> None:
    array = read_picture(small).pixels[0].permute(1, 2, 0).numpy().copy()
    array[3:6, 4:7] = np.nan
    tifffile.imwrite("nan.tif", array, photometric="rgb")
    hole = np.zeros((20, 24), np.uint8)
    hole[3:6, 4:7] = 255
    Image.fromarray(hole).save("hole.png")
    assert hprior("restore", "nan.tif", "-o", "a.tif", "--task", "inpaint", "--mask", "hole.png", *FAST).code == 0
    assert torch.isfinite(read_picture("a.tif").pixels).all()


def test_masks_of_a_tree_are_found_in_a_tree(hprior, small: Path) -> None:
    for folder, side in (("in/a", 20), ("in/b", 16)):
        Path(folder).mkdir(parents=True)
        write_picture(f"{folder}/1.png", Picture(read_picture(small).pixels[..., :side, :]))
        mask = Path(folder.replace("in", "masks"))
        mask.mkdir(parents=True)
        Image.fromarray(np.eye(side, 24, dtype=np.uint8) * 255).save(mask / "1.png.mask.png")
    options = ["--task", "inpaint", "--mask", "masks", "--recursive"]
    assert hprior("restore", "in", "-o", "out", *options, *FAST).code == 0
    assert read_picture("out/b/1.png").pixels.shape[-2] == 16


def test_a_name_without_suffix_is_a_folder(hprior, small: Path) -> None:
    assert hprior("restore", small, "-o", "new/", *FAST).code == 0
    assert read_picture("new/small.png").pixels.shape == (1, 3, 20, 24)


def test_formats_are_checked_before_the_work(hprior, small: Path) -> None:
    many = np.random.default_rng(0).random((8, 8, 5)).astype(np.float32)
    tifffile.imwrite("many.tif", many, photometric="minisblack", planarconfig="contig")
    _refused(hprior("restore", "many.tif", "-o", "a.png", "--steps", 100000), "5 channels")
    write_picture("wide.png", Picture(torch.rand(1, 1, 1, 9000)))
    wide = ["restore", "wide.png", "-o", "a.webp", "--task", "sr", "--scale", 2, "--steps", 100000]
    _refused(hprior(*wide), "WEBP", "16383")
    _refused(
        hprior("restore", small, "-o", "a.png", "--task", "sr", "--scale", 2000, *FAST), "more than can be restored"
    )
    _refused(hprior("restore", small, "-o", f"{'a' * 248}.png", *FAST), "too long")


def test_wrong_degradations_are_refused(hprior, small: Path) -> None:
    Path("folder").mkdir()
    _refused(hprior("degrade", "folder", "-o", "a.png"), "folder")
    _refused(hprior("degrade", small, "-o", "a.png", "--task", "sr", "--scale", 50), "too small")
    _refused(hprior("degrade", small, "-o", "a.png", "--scale", 2), "--scale goes with --task sr")
    _refused(hprior("degrade", small, "-o", "a.jpg", "--bits", 16), "--bits")
    _refused(hprior("degrade", small, "-o", "a.png", "--sigma", 1e300), "sigma")
    _refused(hprior("degrade", small, "-o", "a.png", "--seed", 10**20), "--seed")


def test_failures_of_a_batch_are_lines_of_json_too(hprior, small: Path) -> None:
    Path("bad.png").write_text("x")
    outcome = hprior("restore", "bad.png", small, "-o", "out", "--format", "json", *FAST)
    assert [json.loads(line)["status"] for line in outcome.out.splitlines()] == ["failed", "finished"]


def test_no_arguments_show_the_help(hprior) -> None:
    outcome = hprior()
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) > 5


def test_a_reader_that_goes_away_is_no_error(begin, small: Path) -> None:
    process = begin("restore", small, "-o", "a.png", *FAST)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("reg", ["denoiser", "score", "feature", "denoiser+tv"])
def test_every_regulariser_restores(hprior, small: Path, reg: str) -> None:
    outcome = hprior("restore", small, "-o", "out.png", "--sigma", 25, "--reg", reg, "--format", "json", *FAST)
    assert outcome.code == 0
    assert json.loads(Path("out.png.json").read_text())["config"]["regulariser"]["name"] == reg


def test_auto_says_who_was_believed(hprior, small: Path) -> None:
    outcome = hprior(
        "restore", small, "-o", "out.png", "--sigma", 25, "--reg", "auto", "--preset", "fast", "--steps", 3
    )
    assert outcome.code == 0
    fusion = json.loads(Path("out.png.json").read_text())["fusion"]
    assert {"local", "global", "handed"} <= set(fusion["candidates"])
    assert sum(row["weight"] for row in fusion["candidates"].values()) == pytest.approx(1, abs=1e-4)
    assert fusion["map"] == "out.png.who.png"
    assert Path("out.png.who.png").exists()
    assert "Believed" in outcome.out


def test_the_global_prior_alone_is_plug_and_play(hprior, small: Path) -> None:
    arguments = ["--task", "sr", "--scale", 2, "--generator", "pixels", "--reg", "denoiser", "--sigma", 0]
    assert hprior("restore", small, "-o", "out.png", *arguments).code == 0
    config = json.loads(Path("out.png.json").read_text())["config"]
    assert config["method"] == "splitting"
    assert config["solver"]["steps"] == config["splitting"]["iterations"]
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
        (["--reg", "denoiser", "--denoiser-sigma", "5:50"], ["fall"]),
        (["--reg", "denoiser", "--denoiser-sigma", "900"], ["up to 255"]),
        (["--reg", "denoiser", "--denoiser", "file:~nobody_here/x.safetensors"], ["no path"]),
        (["--generator", "auto"], ["generator"]),
        (["--reg", "denoiser", "--weight", "much"], ["--weight"]),
        (["--reg", "denoiser+tv", "--weight", "tw=1"], ["to weigh", "Did you mean 'tv'"]),
        (["--reg", "denoiser+tv", "--weight", "tv=-1"], ["0 or more"]),
        (["--reg", "tv+tv"], ["twice"]),
        (["--reg", "tv", "--denoiser", "shipped"], ["asks no denoiser"]),
        (["--reg", "tv", "--solver", "splitting"], ["gradient"]),
        (["--reg", "denoiser", "--solver", "magic"], ["solver", "splitting"]),
    ],
)
def test_a_global_prior_that_cannot_be_had(hprior, small: Path, arguments: list, words: list) -> None:
    _refused(hprior("restore", small, "-o", "out.png", "--format", "quiet", *arguments), *words)
    assert not Path("out.png").exists()


def test_a_denoiser_of_ones_own_in_several_processes(begin, small: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def half(x, sigma):\n    return 0.5 * x\n")
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(small.read_bytes())
    options = ["--sigma", 25, "--generator", "pixels", "--reg", "denoiser", "--denoiser", "mine:half", "--jobs", 2]
    process = begin("restore", "in", "-o", "out", *options)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    half = 0.5 * read_picture(small).pixels
    for name in ("a.png", "b.png"):
        assert float((read_picture(tmp_path / "out" / name).pixels - half).abs().max()) < 0.6 / 255


def test_weights_are_listed_verified_and_fetched(hprior, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = json.loads(hprior("weights", "list").out)
    assert (listed["name"], listed["kind"]) == ("shipped", "denoiser")
    assert listed["licence"] == "Apache-2.0"
    assert hprior("weights", "verify").code == 0
    assert hprior("weights", "fetch", "shipped").out.strip().endswith("denoiser.safetensors")
    _refused(hprior("weights", "fetch", "file:none.safetensors"), "no file")
    _refused(hprior("weights", "fetch", "os:getcwd"), "no weights named")
    import shutil

    import hybridprior.weights as place

    copy = tmp_path / "weights"
    shutil.copytree(Path(place.__file__).parent, copy)
    data = (copy / "denoiser.safetensors").read_bytes()
    (copy / "denoiser.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setattr("hybridprior.weights_store._folder", lambda: copy)
    _refused(hprior("weights", "verify"), "not what was released")
    (copy / "denoiser.safetensors").unlink()
    _refused(hprior("weights", "verify"), "missing")


def test_auto_leaves_a_clean_picture_alone_bit_for_bit(hprior, photograph: torch.Tensor) -> None:
    write_picture("clean.png", Picture(torch.nn.functional.avg_pool2d(photograph, 2)))
    outcome = hprior("restore", "clean.png", "-o", "out.png", "--task", "auto", *FAST)
    assert outcome.code == 0
    assert Path("out.png").read_bytes() == Path("clean.png").read_bytes()
    assert "clean" in outcome.err
    assert "bit for bit" in outcome.out
    record = json.loads(Path("out.png.json").read_text())
    assert (record["status"], record["diagnosis"]["task"]) == ("unchanged", "leave")
    assert hprior("restore", "clean.png", "-o", "out.tif", "--task", "auto", "--format", "json", "--report").code == 0
    assert "left as it is" in Path("out.tif.html").read_text()
    assert torch.equal(read_picture("out.tif").pixels, read_picture("clean.png").pixels)


def test_auto_names_the_task_and_why(hprior, photograph: torch.Tensor) -> None:
    clean = torch.nn.functional.avg_pool2d(photograph, 2)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    write_picture("noisy.png", Picture(clean + 20 / 255 * noise))
    outcome = hprior("restore", "noisy.png", "-o", "out.png", "--task", "auto", *FAST)
    assert outcome.code == 0
    assert "noise of sigma" in outcome.err
    record = json.loads(Path("out.png.json").read_text())
    assert (record["diagnosis"]["task"], record["request"]["task"]) == ("denoise", "denoise")
    assert record["sigma"] == pytest.approx(20, rel=0.1)
    _refused(hprior("restore", "noisy.png", "-o", "b.png", "--task", "auto", "--sigma", 5), "--sigma")


def test_noise_that_is_not_white_is_said(hprior, photograph: torch.Tensor) -> None:
    clean = torch.nn.functional.avg_pool2d(photograph, 2)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(4))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    write_picture("smooth.png", Picture(clean + 15 / 255 * smooth / smooth.std()))
    outcome = hprior("restore", "smooth.png", "-o", "out.png", *FAST)
    assert "not white" in outcome.err
    assert json.loads(Path("out.png.json").read_text())["sigma"] > 6
    told = hprior("restore", "smooth.png", "-o", "told.png", "--sigma", 15, *FAST)
    assert "not white" not in told.err


def test_a_report_of_each_picture_and_of_the_folder(hprior, small: Path) -> None:
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


def test_reports_that_cannot_be_written(hprior, small: Path) -> None:
    _refused(hprior("report", "none"), "no folder", "none")
    _refused(hprior("report", small), "not a folder")
    Path("empty").mkdir()
    _refused(hprior("report", "empty"), "nothing to report", "OUT.json")
    assert hprior("report").code == 2
    assert hprior("restore", small, "-o", "out/a.png", "--format", "quiet", *FAST).code == 0
    _refused(hprior("report", "out", "-o", "out/a.png"), ".html")
    Path("mine.html").write_text("my own page")
    _refused(hprior("report", "out", "-o", "mine.html"), "no report", "--overwrite")
    assert Path("mine.html").read_text() == "my own page"
    assert hprior("report", "out", "-o", "mine.html", "--overwrite").code == 0
    Path("out/a.png").unlink()
    partly = hprior("report", "out", "-o", "new/page.htm")
    assert partly.code == 0
    assert "out/a.png" in partly.err
    assert Path("new/page.htm").is_file()


def test_a_poisoned_reference_changes_nothing_but_figures(hprior, small: Path) -> None:
    """Evidence never reads the ground truth."""
    truth = read_picture(small)
    write_picture(Path("poison.png"), Picture(1 - truth.pixels.flip(-1)))
    options = ["--sigma", 25, "--preset", "fast", "--steps", 40, "--reg", "auto", "--format", "quiet"]
    for name in ("small.png", "poison.png"):
        assert hprior("restore", small, "-o", f"by-{name}", "--reference", name, *options).code == 0
    assert Path("by-small.png").read_bytes() == Path("by-poison.png").read_bytes()
    good, bad = (json.loads(Path(f"by-{name}.json").read_text()) for name in ("small.png", "poison.png"))
    assert good["fusion"] == {**bad["fusion"], "map": good["fusion"]["map"]}
    assert good["psnr"] > bad["psnr"] + 3


def test_a_picture_with_a_reference_and_no_oracle_is_said_in_a_sentence() -> None:
    from hybridprior.cli.sidecar import sentence

    figures = {"input": "a.png", "output": "b.png", "chosen_step": 3, "steps": 9, "seconds": 1.0, "sigma": 25.0}
    figures |= {"message": "Done.", "psnr": 30.0, "psnr_on": "all channels"}
    assert sentence(figures, task="denoise").endswith("Done. PSNR 30.00 dB on all channels.")
    figures |= {"oracle_psnr": 31.0, "oracle_step": 2}
    assert sentence(figures, task="denoise").endswith("PSNR 30.00 dB on all channels (oracle 31.00 at step 2).")


def test_the_tables_of_a_jpeg_say_how_much_noise_it_has(hprior, photograph: torch.Tensor) -> None:
    Image.fromarray((255 * photograph[0, :, :48, :64]).byte().permute(1, 2, 0).numpy()).save("low.jpg", quality=20)
    options = ["--task", "auto", "--reg", "denoiser", "--generator", "pixels"]
    assert hprior("restore", "low.jpg", "-o", "out.png", *options).code == 0
    record = json.loads(Path("out.png.json").read_text())
    assert (record["request"]["task"], record["diagnosis"]["jpeg_quality"]) == ("dejpeg", 20)
    assert record["sigma"] > 5
