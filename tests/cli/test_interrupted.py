"""The command line broken off: the best so far is saved, and a run goes on to the same bits."""

import json
import signal
import time
from pathlib import Path

import pytest
from commands import FAST, refused

from hybridprior import ShapeError
from hybridprior.io.files import read_image


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
    assert read_image(tmp_path / "a.png").pixels.shape == (1, 3, 20, 24)
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

    monkeypatch.setattr("hybridprior.evaluation.oracle.Oracle.__call__", interrupt)
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

    monkeypatch.setattr("hybridprior.evaluation.oracle.Oracle.__call__", interrupt)
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
        patched.setattr("hybridprior.evaluation.oracle.Oracle.__call__", interrupt)
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
    refused(hprior("restore", small, "-o", "out.png", "--resume", *FAST), "out.png.state")


def test_a_reader_that_goes_away_is_no_error(begin, small: Path) -> None:
    process = begin("restore", small, "-o", "a.png", *FAST)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "Traceback" not in err
