"""Several pictures at a time: the same bits as one by one, and nothing lost by Ctrl-C or a process that dies."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from hybridprior.data import demo_picture
from hybridprior.imageio import Picture, read_picture, write_picture
from hybridprior.interruption import interruptible

FAST = ["--sigma", "25", "--preset", "fast", "--threads", "1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three real pictures of 24 x 20."""
    pixels = read_picture(demo_picture()).pixels
    (tmp_path / "in").mkdir()
    for number in range(3):
        crop = pixels[..., 30:50, 30 + 40 * number : 54 + 40 * number].contiguous()
        write_picture(tmp_path / "in" / f"{number}.png", Picture(crop))
    return tmp_path


def _start(folder: Path, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", "from hybridprior.cli import main; main()", "restore", "in", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_side_by_side_gives_the_bits_of_one_by_one(folder: Path) -> None:
    for jobs in (1, 2):
        options = [*FAST, "--steps", 6, "--stop", "fixed", "--jobs", jobs, "--format", "json"]
        process = _start(folder, "-o", f"out{jobs}", *options)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert {json.loads(line)["status"] for line in out.splitlines()} == {"finished"}
        assert len(out.splitlines()) == 3
    for number in range(3):
        assert (folder / f"out1/{number}.png").read_bytes() == (folder / f"out2/{number}.png").read_bytes()


def test_streams_give_the_bits_of_one_by_one(folder: Path, hprior, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, on the CPU: threads in place of processes, and a bad picture among them fails alone."""
    options = [*FAST, "--steps", "6", "--stop", "fixed", "--format", "json", "--device", "cpu"]
    (folder / "in" / "3.png").write_bytes(b"no picture")
    monkeypatch.setattr("hybridprior.cli.workers.choose_device", lambda name: torch.device("cuda"))
    for jobs in ("1", "3"):
        outcome = hprior("restore", "in", "-o", f"out{jobs}", *options, "--jobs", jobs)
        assert outcome.code == 1
        statuses = [json.loads(line)["status"] for line in outcome.out.splitlines()]
        assert sorted(statuses) == ["failed", "finished", "finished", "finished"]
    for number in range(3):
        assert (folder / f"out1/{number}.png").read_bytes() == (folder / f"out3/{number}.png").read_bytes()


def test_threads_learn_of_ctrl_c_from_the_main_one() -> None:
    heard = []

    def work(ready: threading.Event) -> None:
        with interruptible() as event:
            ready.set()
            heard.append(event.wait(30))

    with interruptible() as pressed:
        ready = [threading.Event() for _ in range(2)]
        threads = [threading.Thread(target=work, args=[one]) for one in ready]
        for thread, one in zip(threads, ready, strict=True):
            thread.start()
            assert one.wait(30)
        signal.raise_signal(signal.SIGINT)
        for thread in threads:
            thread.join()
        assert pressed.is_set()
    assert heard == [True, True]


def test_a_bad_picture_among_good_ones_fails_alone(folder: Path) -> None:
    (folder / "in" / "1.png").write_bytes(b"no picture")
    process = _start(folder, "-o", "out", *FAST, "--steps", 2, "--stop", "fixed", "--jobs", 2)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "1 of 3 pictures failed" in err and "1.png" in err and "Traceback" not in err
    assert sorted(path.name for path in (folder / "out").glob("*.png")) == ["0.png", "2.png"]


def test_ctrl_c_saves_what_is_at_work(folder: Path) -> None:
    """A real signal to the first process alone, which tells the others; if it was too early, wait longer."""
    options = [*FAST, "--stop", "fixed", "--steps", 60000, "--jobs", 2, "--format", "json"]
    for patience in (12, 25, 60):
        process = _start(folder, "-o", f"out{patience}", *options)
        time.sleep(patience)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        if len(out.splitlines()) == 2:
            break
    assert {json.loads(line)["status"] for line in out.splitlines()} == {"interrupted"}
    saved = sorted(path.name for path in (folder / f"out{patience}").glob("*.state"))
    assert saved == ["0.png.state", "1.png.state"]


def test_a_process_that_dies_is_reported(folder: Path) -> None:
    process = _start(folder, "-o", "out", *FAST, "--stop", "fixed", "--steps", 60000, "--jobs", 2)
    workers: list[psutil.Process] = []
    while len(workers) < 2:
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        time.sleep(0.1)
    time.sleep(5)
    workers[0].kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "was killed" in err and "3 of 3 pictures failed" in err and "Traceback" not in err
