"""Noise impedance and the spectrum: known by construction, and from the command line."""

import json
import math
from pathlib import Path

import pytest
import torch

from hybridprior.errors import ConfigError, InputError
from hybridprior.evaluation.ablation import correspondence, draw_spectra, impedance, spectra
from hybridprior.evaluation.ablation.impedance import area, targets
from hybridprior.io.files import ImageData, write_image


@pytest.fixture(scope="module")
def eye(photograph: torch.Tensor) -> torch.Tensor:
    """A real image of 20 x 24."""
    return photograph[..., 30:50, 30:54].contiguous()


def test_the_area_is_the_mean_gap_over_the_logarithm_of_the_steps() -> None:
    assert area([0.9] * 50, [0.4] * 50) == pytest.approx(0.5)
    assert area([7.0] * 50, [0.4] * 50) == pytest.approx(0.6)  # cut off at 1
    late = [1.0] * 10 + [0.0] * 991
    assert area([1.0] * 1001, late) == pytest.approx(1 - math.log(10.5) / math.log(1001), abs=0.01)
    assert area(late, [1.0] * 1001) == -area([1.0] * 1001, late)


def test_shuffled_pixels_keep_their_colours(eye: torch.Tensor) -> None:
    made = targets(eye, 0.1, seed=3)
    colours = [sorted(map(tuple, x[0].flatten(1).T.tolist())) for x in (eye, made["shuffled"])]
    assert colours[0] == colours[1]
    assert not torch.equal(made["shuffled"], eye)
    assert float((made["image + noise"] - eye).std()) == pytest.approx(0.1, rel=0.1)
    assert torch.equal(targets(eye, 0.1, seed=3)["noise"], made["noise"])


def test_pixels_have_no_impedance_and_a_network_has(crop: torch.Tensor) -> None:
    told: list[tuple[int, int]] = []
    first, second = impedance(
        crop, ["pixels", "decoder"], preset="fast", max_steps=25, callback=lambda *done: told.append(done)
    )
    assert (first.generator, second.generator) == ("decoder", "pixels")
    assert first.value > 0.05
    assert second.value == pytest.approx(0.0, abs=1e-5)
    assert first.curves["image"][-1] < first.curves["shuffled"][-1]
    assert first.steps[0] == 1 and first.steps[-1] == 25
    assert told[-1] == (8, 8)
    with pytest.raises(InputError):
        impedance(torch.full((1, 3, 8, 8), 0.5))
    with pytest.raises(InputError):
        impedance(torch.tensor([0.8, 0.4, 0.2]).view(1, 3, 1, 1).expand(1, 3, 8, 8))


def test_what_is_solved_in_tiles_has_no_impedance_and_no_spectrum(
    photograph: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridprior.solvers.tile_size.SMALL", 0)
    monkeypatch.setattr("hybridprior.solvers.tile_size.longest_side", lambda *a, **k: 160)
    image = photograph[..., :168, :168]
    with pytest.raises(InputError, match="crop"):
        impedance(image, ["decoder"], preset="fast", max_steps=2)
    with pytest.raises(InputError, match="crop"):
        spectra(image, generator="decoder", regulariser="tv", preset="fast", max_steps=2)


def test_correspondence_of_a_image_without_its_high_frequencies(photograph: torch.Tensor) -> None:
    truth = photograph[..., :64, :64]
    ratio, error = correspondence(truth, truth)
    assert ratio == pytest.approx([1.0] * 5)
    assert error == pytest.approx([0.0] * 5, abs=1e-12)
    f = torch.fft.fft2(truth)
    radius = torch.hypot(torch.fft.fftfreq(64)[:, None], torch.fft.fftfreq(64)[None])
    low = torch.fft.ifft2(f * (radius < 0.2)).real
    ratio, error = correspondence(low, truth)
    assert ratio == pytest.approx([1.0, 1.0, 0.0, 0.0, 0.0], abs=1e-3)
    assert error == pytest.approx([0.0, 0.0, 1.0, 1.0, 1.0], abs=1e-3)
    louder, error = correspondence(2 * truth, truth)
    assert louder == pytest.approx([1.0] * 5)
    assert error == pytest.approx([1.0] * 5)
    with pytest.raises(InputError):
        correspondence(truth[..., :8, :8], truth[..., :8, :8])


def test_low_frequencies_are_fitted_first(crop: torch.Tensor) -> None:
    local, both = spectra(crop, generator="decoder", preset="fast", max_steps=25, bands=3)
    assert (local.label, both.label) == ("decoder", "decoder + denoiser 1")
    assert local.steps[0] == 1 and local.steps == sorted(set(local.steps))
    assert local.error[-1][0] < local.error[-1][2]
    assert local.correspondence != both.correspondence
    assert draw_spectra([local, both]).startswith(b"\x89PNG")
    with pytest.raises(ConfigError):
        spectra(crop, regulariser="auto")


def test_the_verbs_write_figures_tables_and_drawings(
    eye: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from hybridprior.cli import main

    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "eye.png", ImageData(eye))
    options = ["eye.png", "-o", "out", "--steps", "3", "--preset", "fast", "--generator"]
    for verb in (["impedance", *options, "pixels"], ["spectrum", *options, "decoder", "--bands", "2", "--reg", "tv"]):
        monkeypatch.setattr("sys.argv", ["hprior", "ablate", *verb])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    said = capsys.readouterr().out
    assert "| pixels | 0.000 | " in said and "| 50-100 % |" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{name}.{suffix}" for name in ("impedance", "spectrum") for suffix in ("json", "md", "png")
    }
    assert json.loads((tmp_path / "out/impedance.json").read_text())["ranking"][0]["generator"] == "pixels"
    assert len(json.loads((tmp_path / "out/spectrum.json").read_text())["runs"]) == 2
