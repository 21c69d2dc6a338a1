"""The examples run, at low size."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from hybridprior import read_picture
from hybridprior.data import demo_picture
from hybridprior.uncertainty import UncertaintyConfig

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


def test_flash(tmp_path: Path) -> None:
    figures = example("flash_guided").main(["-o", str(tmp_path / "flash.png"), "--size", "32", "--steps", "30"])
    assert figures["flash as z"] > figures["dim"]
    assert read_picture(tmp_path / "flash.png").pixels.shape == (1, 3, 32, 5 * 32)


def test_inversion(tmp_path: Path, imagenet: Path) -> None:
    size = ["--size", "32", "--steps", "3", "--weights", str(imagenet)]
    figures = example("inversion_priors").main(["-o", str(tmp_path / "inversion.png"), *size])
    assert list(figures) == ["pixels", "pixels + tv", "network"]
    assert read_picture(tmp_path / "inversion.png").pixels.shape == (1, 3, 32, 4 * 32)


def test_activation(tmp_path: Path, imagenet: Path) -> None:
    size = ["--size", "32", "--steps", "3", "--weights", str(imagenet)]
    figures = example("activation_priors").main(["-o", str(tmp_path / "otter.png"), *size])
    assert list(figures) == ["pixels", "pixels + tv", "network"]
    assert read_picture(tmp_path / "otter.png").pixels.shape == (1, 3, 32, 3 * 32)


def test_uncertainty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("uncertainty_local")
    monkeypatch.setattr(module, "UncertaintyConfig", lambda: UncertaintyConfig(samples=4, burn_in=0, members=2))
    size = ["--crop", "32", "--steps", "3", "-o", str(tmp_path / "reliability.png")]
    found = module.main([str(demo_picture()), *size])
    assert set(found) == {("otter", task, how) for task in ("denoise", "inpaint") for how in ("langevin", "ensemble")}
    assert read_picture(tmp_path / "reliability.png").pixels.shape[1] in (3, 4)
