"""Pairs of real photographs: found by name or folder, measured, and written beside the published figures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hybridprior import InputError, write_image
from hybridprior.evaluation.bench.real import find_pairs, measure_pair
from hybridprior.io.image import ImageData


@pytest.fixture
def folder(tmp_path: Path, photograph: torch.Tensor) -> Path:
    clean = photograph[..., :64, :96]
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "a_mean.png", ImageData(clean))
    write_image(tmp_path / "a_real.png", ImageData(noisy.clamp(0, 1)))
    return tmp_path


def test_pairs_are_found_by_name_and_by_folder(folder: Path) -> None:
    assert find_pairs(folder) == [(folder / "a_real.png", folder / "a_mean.png")]
    other = folder / "other"
    for name, file in (("noisy", "a_real.png"), ("GT", "a_mean.png")):
        (other / name).mkdir(parents=True)
        (other / name / "1.png").write_bytes((folder / file).read_bytes())
    assert find_pairs(other) == [(other / "noisy" / "1.png", other / "GT" / "1.png")]
    with pytest.raises(InputError, match="no pairs"):
        find_pairs(other / "GT")
    with pytest.raises(InputError, match="no folder"):
        find_pairs(folder / "nowhere")


def test_a_pair_is_measured_on_eight_bits(folder: Path) -> None:
    ((noisy, clean),) = find_pairs(folder)
    row, image = measure_pair(noisy, clean, lambda y: y)
    assert row.psnr == pytest.approx(row.noisy_psnr, abs=1e-3)
    assert torch.equal((255 * image).round() / 255, image)
    assert row.true_sigma == pytest.approx(25, rel=0.15)


def test_the_command_writes_a_table_beside_published_figures(hprior, folder: Path) -> None:
    outcome = hprior("bench", "real", "--data", folder, "-o", folder / "out")
    assert outcome.code == 0, outcome.err
    assert "DMID-d" in outcome.out
    assert (folder / "out" / "real.json").is_file()
    assert "real" in (folder / "out" / "real.md").read_text()
