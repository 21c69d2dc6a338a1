"""The report's charts, tables and embedded images."""

import dataclasses
from pathlib import Path

import pytest
import torch

from hybridprior.evaluation.report import Column, Page, Run, Scene, Table, render
from hybridprior.evaluation.report.chart import Scale, panels
from hybridprior.evaluation.report.embed import LONGEST, ROOM, Album, embed
from hybridprior.evaluation.report.page import Curve
from hybridprior.evaluation.report.summary import averaged, trimmed
from hybridprior.io.files import ImageData, write_image


def test_large_images_are_shrunk_and_the_page_says_so() -> None:
    shown = embed(torch.rand(1, 1, 20, 2 * LONGEST), "wide")
    assert (shown.width, shown.height) == (LONGEST, 10)
    assert shown.size == (2 * LONGEST, 20)
    text = render(Page("large", (Scene("one", (shown,)),)))
    assert f"shown at {LONGEST} × 10, the file has {2 * LONGEST} × 20" in text


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("lossless", [True, False])
def test_every_kind_of_image_is_embedded(channels: int, lossless: bool) -> None:
    x = torch.rand(1, channels, 7, 5) * 2 - 0.5
    x[..., 0, 0] = torch.nan
    for alpha in (None, torch.ones(1, 1, 7, 5)):
        shown = embed(ImageData(x, alpha), "any", lossless=lossless)
        assert (shown.width, shown.height) == (5, 7)
        assert shown.source.startswith("data:image/png" if lossless else "data:image/webp")


def test_many_images_are_compressed_and_the_page_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, ImageData(torch.zeros(1, 1, 1100, 1100)))
    others = [tmp_path / f"{number}.png" for number in range(ROOM // LONGEST**2 + 1)]
    for other in others:
        other.symlink_to(path)
    assert Album([path]).lossless
    assert not Album(others).lossless
    assert "WebP" in render(Page("many", compressed=True))
    assert "WebP" not in render(Page("few"))


def test_tables_in_markdown_and_latex() -> None:
    columns = (Column("name"), Column("gain", 2, "dB", signed=True))
    table = Table("t", columns, (("a_b | 50 %", -1.0), ("λ <i>", None), ("c", float("nan"))))
    assert table.markdown() == (
        "| name | gain (dB) |\n| --- | ---: |\n| a\\_b \\| 50 % | −1.00 |\n| λ \\<i\\> |  |\n| c |  |\n"
    )
    assert table.latex() == (
        "\\begin{table}\n\\caption{t}\n\\label{tab:t}\n\\begin{tabular}{lr}\n  \\toprule\n  name & gain (dB) \\\\\n  \\midrule\n"
        "  a\\_b | 50 \\% & $-$1.00 \\\\\n  $\\lambda$ <i> &  \\\\\n  c &  \\\\\n  \\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def test_means_and_what_does_not_differ() -> None:
    columns = (Column("parts"), Column("task"), Column("PSNR", 2), Column("oracle", 2))
    table = Table("t", columns, (("a", "sr", 1.0, None), ("a", "sr", 2.0, None), ("b", "sr", None, None)))
    means = averaged(table, ["parts"], ["PSNR"], title="means")
    assert means.rows == (("a", 2.0, 1.5), ("b", 1.0, None))
    short, same = trimmed(table)
    assert [column.name for column in short.columns] == ["parts", "PSNR"]
    assert same == (("task", "sr"),)


def test_scales_and_their_ticks() -> None:
    linear = Scale(18.3, 29.9, 100, 0)
    assert linear(18.3) == 100
    assert linear(29.9) == 0
    assert linear.ticks() == [20, 25]
    log = Scale(0.01, 100, 0, 80, log=True)
    assert log(1) == pytest.approx(40)
    assert log.ticks() == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert all(1 < len(Scale(1.0, 1 + width, 0, 1).ticks()) < 8 for width in (1e-6, 0.3, 7, 12345.0))


def test_the_chosen_step_is_marked_on_the_curve() -> None:
    curve = Curve("PSNR", "dB", (0, 100, 200), (20.0, 25.0, 24.0), chosen=100, oracle=150)
    far = dataclasses.replace(curve, chosen=900)
    flat = Curve("E", "nats", (1, 2), (0.5, 0.5), chosen=1)
    whole, even = panels([Run("a", "a", "local", curves=(curve, flat)), Run("b", "b", "local", curves=(far,))])
    first, second = whole.lines
    assert first.chosen is not None
    left, _, right, bottom = whole.frame
    assert first.chosen[0] == pytest.approx((left + right) / 2, abs=0.1)
    assert first.chosen[1] < first.oracle[1] < bottom
    assert second.chosen is None
    assert first.dash != second.dash
    assert even.lines[0].chosen is not None


def test_long_curves_keep_their_ends_and_their_size() -> None:
    steps = tuple(range(1, 20001))
    curve = Curve("E", "nats", steps, tuple(0.5 + 1 / step for step in steps))
    (panel,) = panels([Run("a", curves=(curve,))])
    assert len(panel.lines[0].path) < 6000
    assert panel.lines[0].path.split("L")[-1].startswith(f"{panel.frame[2]}.0 ")
