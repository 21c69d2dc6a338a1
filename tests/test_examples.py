"""The examples run, at low size."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from hybridprior import read_picture

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tomography(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "tomography.png"
    figures = example("tomography").main(["-o", str(output), "--size", "16", "--angles", "6", "--steps", "5"])
    assert set(figures) == {"filtered back-projection", "local", "global", "fused"}
    assert figures["global"] > figures["filtered back-projection"]
    assert read_picture(output).pixels.shape == (1, 1, 16, 5 * 16)
    assert len(capsys.readouterr().out.splitlines()) == len(figures)
