"""Attribution: figures made up so that the answer is known, and regions where one image is better by construction."""

import dataclasses
from pathlib import Path

import pytest
import torch

from hybridprior.evaluation.ablation import Combination, Row, attribute, compare, shapley
from hybridprior.evaluation.ablation.plots import draw_attribution
from hybridprior.evaluation.degradation import Degradation

NOTHING, LOCAL = Combination("pixels", "none", None), Combination("skip", "none", None)
GLOBAL, BOTH, AUTO = (
    Combination("pixels", "denoiser", 1.0),
    Combination("skip", "denoiser", 1.0),
    Combination("skip", "auto", None),
)


def _row(parts: Combination, psnr: float, *, image: str = "otter", seed: int = 0, sigma: float = 25.0) -> Row:
    how = Degradation(sigma=sigma / 255)
    return Row(
        id=f"{image}{parts}{seed}{sigma}",
        image=image,
        task="denoise",
        condition=how.label,
        **dataclasses.asdict(parts),
        seed=seed,
        preset="fast",
        status="done",
        error=None,
        psnr=psnr,
        ssim=psnr / 100,
        oracle_psnr=psnr + 0.5,
        oracle_ssim=None,
        oracle_step=1,
        chosen_step=1,
        steps=1,
        seconds=1.0,
        baseline_psnr=20.0,
        degradation=dataclasses.asdict(how),
    )


def _game(values: tuple[float, float, float, float], **where) -> list[Row]:
    return [_row(parts, value, **where) for parts, value in zip((NOTHING, LOCAL, GLOBAL, BOTH), values, strict=True)]


def test_shapley_values_share_the_whole_gain() -> None:
    local, other, interaction = shapley(20.0, 28.0, 30.0, 31.0)
    assert local + other == 31.0 - 20.0
    assert (local, other, interaction) == (4.5, 6.5, -7.0)
    assert shapley(20.0, 25.0, 27.0, 32.0) == (5.0, 7.0, 0.0)


def test_an_image_has_a_row_for_each_step_and_metric_that_is_known() -> None:
    rows = [*_game((20.0, 28.0, 30.0, 31.0)), _row(AUTO, 32.0)]
    found = attribute(rows)
    assert {(row.both, row.step, row.metric) for row in found.rows} == {
        (both, step, metric)
        for both in ("denoiser 1", "auto")
        for step, metric in (("chosen", "psnr"), ("oracle", "psnr"), ("chosen", "ssim"))
    }
    auto = next(row for row in found.rows if (row.both, row.step, row.metric) == ("auto", "chosen", "psnr"))
    assert (auto.global_, auto.together, auto.level) == (30.0, 32.0, 25.0)
    assert auto.shapley_local + auto.shapley_global == pytest.approx(12.0)
    plain = auto.to_dict()
    assert plain["global"] == 30.0
    assert "global_" not in plain


def test_seeds_are_averaged_and_only_whole_ones_count() -> None:
    rows = _game((20.0, 28.0, 30.0, 31.0)) + _game((20.0, 29.0, 30.0, 31.0), seed=1) + _game((0.0,) * 4, seed=2)[:3]
    (found,) = (row for row in attribute(rows).rows if (row.step, row.metric) == ("chosen", "psnr"))
    assert found.local == 28.5
    assert found.seed_spread == pytest.approx(0.5)  # of the interaction, -7 and -8; 0.25 of the others


def test_means_have_bounds_over_images() -> None:
    rows = [row for n in range(8) for row in _game((20.0, 26.0 + n, 30.0, 31.0), image=f"p{n}")]
    (mean,) = (row for row in attribute(rows).means if (row.step, row.metric) == ("chosen", "psnr"))
    assert (mean.image, mean.images, mean.local) == ("mean", 8, 29.5)
    assert mean.low["nothing"] == mean.high["nothing"] == 20.0
    error = torch.arange(8.0).std(correction=0).item() / 8**0.5
    assert mean.high["local"] - mean.low["local"] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert attribute(rows).means == attribute(rows).means
    (single,) = (r for r in attribute(rows[:4]).means if (r.step, r.metric) == ("chosen", "psnr"))
    assert not single.low


def test_tables_and_figures_of_several_levels() -> None:
    rows = [row for sigma in (5.0, 100.0) for row in _game((20.0, 28.0, 30.0, 31.0), sigma=sigma)]
    found = attribute(rows)
    line = next(line for line in found.to_markdown().splitlines() if "sigma 5 " in line)
    assert (
        line == "| denoise, sigma 5 | skip, denoiser 1 | 20.00 | 28.00 | 30.00 | 31.00 | +4.50 | +6.50 | −7.00 |  | 1 |"
    )
    assert found.to_latex().count(r"\toprule") == found.to_latex().count(r"\bottomrule") == 4
    ((name, data),) = draw_attribution(found.means)
    assert name == "attribution-denoise.png"
    assert data.startswith(b"\x89PNG")
    assert "No image" in attribute(rows[:3]).to_markdown()


def test_no_kernel_is_more_than_another() -> None:
    rows = []
    for blur in ("gaussian:1", "motion:5:30"):
        how = Degradation("deblur", sigma=2.55 / 255, blur=blur)
        changes = {"task": "deblur", "condition": how.label, "degradation": dataclasses.asdict(how)}
        rows += [dataclasses.replace(row, **changes) for row in _game((20.0, 28.0, 30.0, 31.0))]
    names = [name for name, _ in draw_attribution(attribute(rows).means)]
    assert names == [f"attribution-deblur-{kernel}.png" for kernel in ("gaussian-1", "motion-5-30")]


def test_the_local_prior_wins_where_its_error_is_smaller(photograph: torch.Tensor) -> None:
    """The local image is wrong on the left half, the global one on the right; texture on the right only."""
    truth = torch.full((1, 3, 48, 64), 0.5)
    truth[..., 32:] += 0.3 * (photograph[..., 100:148, 100:132] - 0.5)
    local, other = truth.clone(), truth.clone()
    local[..., :32] += 0.1
    other[..., 32:] += 0.1
    d, share, by_texture = compare(truth, [local], [other])
    assert d.shape == (48, 64)
    assert bool((d[:, :20] < 0).all() and (d[:, 44:] > 0).all())
    assert share == pytest.approx(0.5, abs=0.02)
    assert by_texture[0] < 0.05 and by_texture[3] > 0.95
    assert sum(by_texture) / 4 == pytest.approx(share, abs=1e-6)
    again, _, _ = compare(truth, [local, local], [other])
    assert torch.allclose(d, again)


def test_regions_come_from_the_cells(tmp_path: Path, photograph: torch.Tensor) -> None:
    from hybridprior.evaluation.ablation import regions
    from hybridprior.io.files import ImageData, write_image

    rows = _game((20.0, 28.0, 30.0, 31.0))
    truth = photograph[..., :32, :40].contiguous()
    for folder in ("images", "cells"):
        (tmp_path / folder).mkdir()
    write_image(tmp_path / "images/otter.png", ImageData(truth))
    for row in rows:
        write_image(tmp_path / f"cells/{row.id}.png", ImageData(truth if row.parts == LOCAL else 1 - truth))
    (found,) = regions(rows, tmp_path)
    assert (found.generator, found.regulariser, found.weight, found.share) == ("skip", "denoiser", 1.0, 1.0)
    assert found.to_dict()["by_texture"] == [1.0] * 4
