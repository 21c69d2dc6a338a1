"""Several images at a time: the same bits as one by one, and nothing lost by Ctrl-C or a process that dies."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hybridprior.cli.console import bar, progress, say
from hybridprior.cli.run.job import Job
from hybridprior.cli.run.workers import choose_jobs
from processes import workers

from hybridprior._internal.interrupt import interruptible
from hybridprior.data import demo_image
from hybridprior.denoisers.base import READ, once
from hybridprior.generators import build_generator
from hybridprior.io.files import ImageData, read_image, write_image
from hybridprior.result import Step

FAST = ["--sigma", "25", "--preset", "fast", "--threads", "1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three real images of 24 x 20."""
    pixels = read_image(demo_image()).pixels
    (tmp_path / "in").mkdir()
    for number in range(3):
        crop = pixels[..., 30:50, 30 + 40 * number : 54 + 40 * number].contiguous()
        write_image(tmp_path / "in" / f"{number}.png", ImageData(crop))
    return tmp_path


def test_side_by_side_gives_the_bits_of_one_by_one(folder: Path, begin) -> None:
    for jobs in (1, 2):
        options = [*FAST, "--steps", 6, "--stop", "fixed", "--jobs", jobs, "--format", "json"]
        process = begin("restore", "in", "-o", f"out{jobs}", *options)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert {json.loads(line)["status"] for line in out.splitlines()} == {"finished"}
        assert len(out.splitlines()) == 3
    for number in range(3):
        assert (folder / f"out1/{number}.png").read_bytes() == (folder / f"out2/{number}.png").read_bytes()


def test_streams_give_the_bits_of_one_by_one(folder: Path, hprior, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, on the CPU: threads in place of processes, and a bad image among them fails alone."""
    options = [*FAST, "--steps", "6", "--stop", "fixed", "--format", "json", "--device", "cpu"]
    (folder / "in" / "3.png").write_bytes(b"no image")
    _as_on_a_gpu(monkeypatch)
    for jobs in ("1", "3"):
        outcome = hprior("restore", "in", "-o", f"out{jobs}", *options, "--jobs", jobs)
        assert outcome.code == 1
        statuses = [json.loads(line)["status"] for line in outcome.out.splitlines()]
        assert sorted(statuses) == ["failed", "finished", "finished", "finished"]
    for number in range(3):
        assert (folder / f"out1/{number}.png").read_bytes() == (folder / f"out3/{number}.png").read_bytes()


def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(method: str) -> None:
        raise AssertionError("a process where a thread was wanted")

    monkeypatch.setattr("hybridprior.cli.run.workers.choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr("hybridprior.cli.run.workers.get_context", refuse)


def test_ctrl_c_saves_what_the_streams_have(folder: Path, hprior, monkeypatch: pytest.MonkeyPatch) -> None:
    """One image is at work in each of two threads, and the third is not begun."""
    _as_on_a_gpu(monkeypatch)
    press = threading.Timer(1, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    begun = threading.Barrier(2, action=press.start)
    work = Job._restore

    def restored(job: Job, *arguments: Any) -> Any:
        begun.wait(60)
        return work(job, *arguments)

    monkeypatch.setattr(Job, "_restore", restored)
    options = [*FAST, "--steps", "60000", "--stop", "fixed", "--device", "cpu", "--jobs", "2"]
    outcome = hprior("restore", "in", "-o", "out", *options)
    assert outcome.code == 130
    assert "The best images so far are saved" in outcome.err
    assert len(list((folder / "out").glob("*.state"))) == 2
    assert len(list((folder / "out").glob("*.png"))) == 2


def test_a_thread_that_is_late_learns_of_ctrl_c_too() -> None:
    heard = []

    def work() -> None:
        with interruptible() as event:
            heard.append(event.is_set())

    with interruptible():
        signal.raise_signal(signal.SIGINT)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert heard == [True]


def test_weights_are_those_of_their_seed_whatever_other_threads_draw(small: Path) -> None:
    """A denoiser that is read has its weights drawn before, from the stream that the generator's come from."""
    over = threading.Event()

    def read(path: Path) -> Any:
        return [torch.nn.Linear(8, 8) for _ in range(300)]

    def draw() -> None:
        while not over.is_set():
            READ.clear()
            once(read, small)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        starts = [next(build_generator("skip", 3, seed=4).parameters()).detach().clone() for _ in range(30)]
    finally:
        over.set()
        thread.join()
    assert all(torch.equal(starts[0], start) for start in starts)


def test_a_gpu_takes_as_many_images_as_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridprior.cli.run.workers.choose_device", lambda name: torch.device("cuda"))
    for gigabytes, wanted in ((80, 8), (9, 2), (2, 1)):
        monkeypatch.setattr("hybridprior.cli.run.workers.free_memory", lambda device, g=gigabytes: g * 2**30)
        assert choose_jobs(SimpleNamespace(device="cuda"), 12, None) == wanted
    assert choose_jobs(SimpleNamespace(device="cuda"), 1, None) == 1


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


def test_a_bad_image_among_good_ones_fails_alone(folder: Path, begin) -> None:
    (folder / "in" / "1.png").write_bytes(b"no image")
    process = begin("restore", "in", "-o", "out", *FAST, "--steps", 2, "--stop", "fixed", "--jobs", 2)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "1 of 3 images failed" in err and "1.png" in err and "Traceback" not in err
    assert sorted(path.name for path in (folder / "out").glob("*.png")) == ["0.png", "2.png"]


def test_ctrl_c_saves_what_is_at_work(folder: Path, begin) -> None:
    """A real signal to the first process alone, which tells the others; if it was too early, wait longer."""
    options = [*FAST, "--stop", "fixed", "--steps", 60000, "--jobs", 2, "--format", "json"]
    for patience in (12, 25, 60):
        process = begin("restore", "in", "-o", f"out{patience}", *options)
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


def test_a_process_that_dies_is_reported(folder: Path, begin) -> None:
    process = begin("restore", "in", "-o", "out", *FAST, "--stop", "fixed", "--steps", 60000, "--jobs", 2)
    while len(workers(process.pid)) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(5)
    os.kill(workers(process.pid)[0], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "was killed" in err and "3 of 3 images failed" in err and "Traceback" not in err


def test_a_bar_leaves_stdout_to_what_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal rich would take it to stderr, and `--format json > figures` would be empty."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bar("images", 2, shown=True) as move:
        say("a figure")
        move(1, 2)
    out, err = capsys.readouterr()
    assert out == "a figure\n"
    assert "images" in err


def test_a_run_that_begins_later_is_not_stopped_by_another_threads_ctrl_c() -> None:
    begun, over = threading.Event(), threading.Event()

    def wait() -> None:
        with interruptible():
            begun.set()
            over.wait(10)

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait(10)
    with interruptible() as first:
        signal.raise_signal(signal.SIGINT)
        with interruptible() as inner:
            assert first.is_set() and inner.is_set()
    with interruptible() as later:
        assert not later.is_set()
    over.set()
    thread.join()


def test_a_second_ctrl_c_soon_after_one_within_a_block_does_not_insist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridprior._internal.interrupt.FORCE_AFTER", 0.2)
    with interruptible() as outer:
        time.sleep(0.3)
        with interruptible():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert outer.is_set()
        time.sleep(0.3)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_time_of_tiles_counts_what_comes_before_the_steps_once_a_tile(capsys: pytest.CaptureFixture) -> None:
    x = torch.zeros(1, 1, 4, 4)
    with progress("scan.png", 1000, shown=True) as (move,):
        for number in range(1, 21):
            move(Step(number, x, x, 0.0, 0.0, None, 0, 30.0 + 0.1 * number, tile=(1, 9)))
    assert "9 tiles, 20 min at most" in capsys.readouterr().err
