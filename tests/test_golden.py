"""Results of nine routes through `restore()`, on the CPU with one thread, compared with those in golden.json.

The bits depend on the processor and on the version of torch. Where both are those of golden.json, hashes of the result
are compared; elsewhere the mean and a few pixels, with a tolerance. `python tests/test_golden.py --write` records new
results, for a deliberate change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridprior import Component, RestoreConfig, SolverConfig, restore
from hybridprior.config import TileConfig
from hybridprior.data import demo_image
from hybridprior.evaluation.degradation import Degradation, degrade
from hybridprior.io.files import read_image
from hybridprior.result import Result, Status

GOLDEN = Path(__file__).with_name("golden.json")
SIGMA = 25 / 255
NET = {"down": (16, 16), "up": (16, 16), "skip": (4, 4), "input_depth": 8, "padding": "zeros"}
CONFIG = RestoreConfig(
    generator=Component("skip", NET),
    stopping=Component("auto"),
    solver=SolverConfig(max_steps=25, ema_decay=0.9, optimiser="muon"),
    precision="fp32",
)
AUTO = dataclasses.replace(CONFIG, regulariser=Component("auto", {"finetuning": {"steps": 20}}))


def _clean() -> torch.Tensor:
    return read_image(demo_image()).pixels[..., 8:72, 8:72].contiguous()


def _pattern() -> torch.Tensor:
    """Return a pattern that repeats, to which the denoiser is fine-tuned with profit."""
    tile = torch.full((3, 16, 16), 0.6)
    tile[:, 4:13, 5:12] = torch.tensor([0.15, 0.2, 0.3])[:, None, None]
    tile[:, 4:13, 8] = 0.8
    return tile.repeat(1, 4, 4)[None]


def _restored(config: RestoreConfig, how: Degradation, clean: torch.Tensor | None = None, **options: Any) -> Result:
    y, operator = degrade(_clean() if clean is None else clean, how)
    return restore(y, operator, sigma=how.sigma, config=config, device="cpu", **options)


def _noisy(config: RestoreConfig, **options: Any) -> Result:
    return _restored(config, Degradation("denoise", sigma=SIGMA), **options)


def _tiles() -> Result:
    config = dataclasses.replace(CONFIG, tiles=TileConfig(side=40, overlap=8))
    return _noisy(
        dataclasses.replace(config, solver=dataclasses.replace(config.solver, max_steps=10)), regulariser="tv"
    )


def _resumed() -> Result:
    def press_ctrl_c(step: Any) -> None:
        if step.number == 11:
            signal.raise_signal(signal.SIGINT)

    part = _noisy(CONFIG, regulariser="denoiser", callbacks=[press_ctrl_c])
    assert part.status is Status.INTERRUPTED
    return _noisy(CONFIG, regulariser="denoiser", checkpoint=part.checkpoint)


ROUTES: dict[str, Callable[[], Result]] = {
    "denoise none": lambda: _noisy(CONFIG, regulariser="none"),
    "denoise denoiser": lambda: _noisy(CONFIG, regulariser="denoiser"),
    "denoise pixels denoiser": lambda: _noisy(CONFIG, generator="pixels", regulariser="denoiser"),
    "denoise auto": lambda: _restored(AUTO, Degradation("denoise", sigma=60 / 255), _pattern()),
    "sr auto": lambda: _restored(AUTO, Degradation("sr", scale=4)),
    "inpaint auto": lambda: _restored(AUTO, Degradation("inpaint", missing=0.5)),
    "deblur pixels denoiser": lambda: _restored(
        CONFIG, Degradation("deblur", sigma=2 / 255, blur="gaussian:1.6"), generator="pixels", regulariser="denoiser"
    ),
    "tiles": _tiles,
    "resume": _resumed,
}


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _machine() -> dict[str, str]:
    """Return what the bits of a result depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    capability = torch.backends.cpu.get_cpu_capability()
    return {"processor": model or platform.processor(), "capability": capability, "torch": torch.__version__}


def _summary(route: str) -> dict[str, Any]:
    """Return the hash, the mean and eight pixels of a route's result."""
    with _one_thread():
        x = ROUTES[route]().image
    assert x.shape == (1, 3, 64, 64) and x.dtype is torch.float32
    x = x.contiguous()
    pixels = x.flatten()[torch.linspace(100, x.numel() - 100, 8).long()]
    return {
        "sha256": hashlib.sha256(x.numpy().tobytes()).hexdigest(),
        "mean": round(float(x.mean()), 4),
        "pixels": [round(float(value), 4) for value in pixels],
    }


@pytest.mark.parametrize("route", ROUTES)
def test_the_result_is_the_recorded_one(route: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    recorded, found = golden["routes"][route], _summary(route)
    if golden["machine"] == _machine():
        assert found == recorded
    else:
        assert found["mean"] == pytest.approx(recorded["mean"], abs=2e-3)
        assert found["pixels"] == pytest.approx(recorded["pixels"], abs=1e-2)


def test_a_resumed_run_is_the_same_as_one_without_interruption() -> None:
    routes = json.loads(GOLDEN.read_text())["routes"]
    assert routes["resume"] == routes["denoise denoiser"]


def _write() -> None:
    golden = {"machine": _machine(), "routes": {route: _summary(route) for route in ROUTES}}
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__" and "--write" in sys.argv:
    _write()
