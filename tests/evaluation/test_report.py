"""The report: what it says of a folder, whole or not, and that it is one safe file."""

import dataclasses
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from report_folders import noisy, write_ablation, write_restored

from hybridprior import InputError, ShapeError, restore, restore_with_uncertainty
from hybridprior.evaluation.report import Column, Page, Run, Scene, Table, from_folder, from_result, render
from hybridprior.evaluation.report.embed import embed
from hybridprior.evaluation.report.page import Curve
from hybridprior.io.files import ImageData, write_image
from hybridprior.uncertainty import UncertaintyConfig

NASTY = "<script>alert(1)</script> \"ü\" & 'λ'"


@pytest.fixture
def x(photograph: torch.Tensor) -> torch.Tensor:
    return photograph[..., 20:44, 20:56].contiguous()


class Elements(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_an_ablation_is_shown_whole(tmp_path: Path, x: torch.Tensor) -> None:
    page = from_folder(write_ablation(tmp_path / "study", x, images=("otter", "weasel"), seeds=2))
    assert page.title == "Ablation: study"
    assert page.missing == ()
    assert dict(page.facts)["cells done"] == "40 of 40"
    assert [scene.name for scene in page.scenes] == ["otter", "weasel"]
    scene = page.scenes[0]
    assert len(scene.runs) == 20
    assert len(scene.shown) == 20 + 2 + 1
    assert scene.shown[scene.right].name == "skip + auto, seed 0"
    assert (scene.shown[scene.left].name, scene.shown[scene.left].group) == ("degraded", "denoising, sigma 25")
    assert {run.role for run in scene.runs} == {"nothing", "local", "global", "both"}
    fusion = next(run.fusion for run in scene.runs if run.fusion)
    assert [candidate.name for candidate in fusion.candidates] == ["local", "global", "hybrid"]
    assert fusion.map is not None
    assert fusion.candidates[0].measured == "0.01120 ± 0.00020"
    means, brought, each, cells = page.tables
    assert (means.last, brought.last, each.last, cells.last) == (False, False, True, True)
    assert len(means.rows) == 10
    assert "n" in [column.name for column in means.columns]
    assert len(cells.rows) == 40
    assert brought.title == "Contribution of each prior: PSNR in dB, step chosen without ground truth"
    assert "| denoising, sigma 25 | skip, denoiser 0.3 | 20.00 | 26.00 |" in brought.markdown()
    assert "| otter | denoising, sigma 25 | skip, denoiser 0.3 | 20.00 | 26.00 |" in each.markdown()
    assert "+2.75 … +3.75" in brought.markdown()
    assert [plot.name for plot in page.plots] == ["noise impedance"]
    assert page.command.startswith("hprior ablate")


def test_the_means_are_over_what_is_done(tmp_path: Path, x: torch.Tensor) -> None:
    folder = write_ablation(tmp_path / "study", x, seeds=2)
    records = [json.loads(path.read_text()) for path in sorted((folder / "cells").glob("*.json"))]
    first = [record for record in records if record["generator"] == "skip" and record["regulariser"] == "denoiser"]
    first = [record["psnr"] for record in first if record["condition"] == "sigma 25"]
    means = from_folder(folder).tables[0]
    row = dict(zip([column.name for column in means.columns], means.rows[3], strict=True))
    assert row["parts"] == "skip + denoiser, λ 0.3"
    assert row["n"] == 2
    assert row["PSNR"] == pytest.approx(sum(first) / 2)


def test_cells_of_another_grid_are_not_shown(tmp_path: Path, x: torch.Tensor) -> None:
    folder = write_ablation(tmp_path / "study", x)
    first = sorted((folder / "cells").glob("*.json"))[0]
    (folder / "cells" / "ffff.json").write_text(first.read_text().replace(first.stem, "ffff"))
    assert dict(from_folder(folder).facts)["cells done"] == "10 of 10"
    (folder / "ablation.json").unlink()
    assert dict(from_folder(folder).facts)["cells done"] == "11 of 11"


def test_what_a_killed_run_lacks_is_named_and_the_rest_is_shown(tmp_path: Path, x: torch.Tensor) -> None:
    folder = write_ablation(tmp_path / "study", x)
    (folder / "cells/0000.json").unlink()
    (folder / "cells/0001.json").write_text('{"id": "0001", "pic')
    (folder / "cells/0002.png").unlink()
    (folder / "cells/0003.png").write_bytes(b"\x89PNG\r\n\x1a\n half of one")
    failed = json.loads((folder / "cells/0005.json").read_text())
    failed |= {
        "status": "failed",
        "message": "It diverged.",
        "psnr": None,
        "trace": None,
        "config": None,
        "result": None,
    }
    (folder / "cells/0005.json").write_text(json.dumps(failed))
    odd = json.loads((folder / "cells/0006.json").read_text())
    odd |= {"psnr": "NaN", "seconds": [1], "trace": {"step": [1, 2], "energy": "x", "psnr": [1]}, "fusion": 3}
    (folder / "cells/0006.json").write_text(json.dumps(odd))
    (folder / "attribution.json").write_text("[]")
    page = from_folder(folder)
    text = " ".join(page.missing)
    for words in (
        "2 of 10 cells",
        "0000, 0001",
        "0002.png",
        "0003.png",
        "0005 failed: It diverged.",
        "attribution.json",
    ):
        assert words in text
    assert dict(page.facts)["cells done"] == "7 of 10"
    assert "It diverged." in html.unescape(render(page))
    (folder / "ablation.json").write_text("{")
    again = from_folder(folder)
    assert "ablation.json cannot be read" in again.missing[0]
    assert len(again.scenes[0].runs) == len(page.scenes[0].runs)
    shutil.rmtree(folder / "cells")
    assert "no record" not in render(from_folder(folder))


def test_restored_images_are_shown_with_input_and_truth(tmp_path: Path, x: torch.Tensor) -> None:
    folder = write_restored(tmp_path / "restored", x)
    page = from_folder(folder)
    (scene,) = page.scenes
    assert [shown.name for shown in scene.shown] == ["degraded", "clean.png", "truth"]
    assert (scene.left, scene.right) == (0, 1)
    (run,) = scene.runs
    assert [curve.quantity for curve in run.curves] == ["PSNR", "E", "held-out error"]
    assert run.curves[0].steps[0] == 21
    assert all(curve.chosen == 201 for curve in run.curves)
    assert '"patience"' in run.config or '"heldout"' in run.config
    write_restored(folder, x, name="other.webp")
    both = from_folder(folder)
    assert len(both.scenes) == 1
    assert [row[0] for row in both.tables[0].rows] == ["clean.png", "other.webp"]
    assert dict(both.facts)["input"] == "noisy.png"


def test_the_uncertainty_of_a_result_is_shown(tmp_path: Path, x: torch.Tensor) -> None:
    y = noisy(x[..., :24, :24], 25, 0)
    config = UncertaintyConfig(samples=4, burn_in=1)
    result = restore_with_uncertainty(y, sigma=25 / 255, preset="fast", max_steps=6, options=config)
    deviation = from_result(result).scenes[0].runs[0].deviation
    assert deviation is not None and deviation.map is not None
    assert deviation.white == pytest.approx(float(result.uncertainty.std.max()))
    assert dict(deviation.facts)["method"] == "langevin"
    text = render(from_result(result))
    assert "Standard deviation of each pixel" in text and f"white {255 * deviation.white:.1f} of 255" in text
    folder = write_restored(tmp_path / "restored", x)
    assert "Standard deviation of each pixel" not in render(from_folder(folder))
    record = json.loads((folder / "clean.png.json").read_text())
    record["uncertainty"] = {**result.uncertainty.to_dict(), "map": "clean.png.std.png", "map_white": 0.1}
    (folder / "clean.png.json").write_text(json.dumps(record))
    assert "clean.png.std.png" in " ".join(from_folder(folder).missing)
    write_image(folder / "clean.png.std.png", ImageData(x))
    shown = from_folder(folder).scenes[0].runs[0].deviation
    assert shown is not None and shown.map is not None and shown.white == 0.1


def test_a_file_that_has_gone_or_is_another_one_is_not_shown(tmp_path: Path, x: torch.Tensor) -> None:
    folder = write_restored(tmp_path / "restored", x)
    (tmp_path / "inputs/noisy.png").unlink()
    write_image(tmp_path / "inputs/truth.png", ImageData(x[..., :10]))
    page = from_folder(folder)
    assert [shown.name for shown in page.scenes[0].shown] == ["clean.png"]
    assert "noisy.png" in page.missing[0]
    assert any("another size" in sentence for sentence in page.missing)
    (folder / "clean.png").unlink()
    assert any("clean.png" in sentence for sentence in from_folder(folder).missing)


def test_a_folder_without_anything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "a.png.json").write_text('{"output": 3}')
    with pytest.raises(InputError, match="nothing to report"):
        from_folder(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        from_folder(tmp_path / "none")
    with pytest.raises(InputError, match="not a folder"):
        from_folder(tmp_path / "list.json")


def test_a_result_in_memory_becomes_a_page(x: torch.Tensor) -> None:
    y = noisy(x, 25, 0)
    result = restore(y, sigma=25 / 255, preset="fast", max_steps=3, stopping="fixed")
    page = from_result(result, name="mine", degraded=y, truth=x)
    (scene,) = page.scenes
    assert [shown.name for shown in scene.shown] == ["degraded", "restored", "truth"]
    assert scene.shown[0].width == x.shape[-1]
    facts = dict(scene.runs[0].facts)
    assert facts["chosen step"] == "3"
    assert facts["PSNR"].endswith(" dB")
    assert [curve.quantity for curve in scene.runs[0].curves] == ["E"]
    assert len(from_result(result).scenes[0].shown) == 1
    assert "<h1>mine</h1>" in render(page)
    with pytest.raises(ShapeError):
        from_result(result, truth=x[..., :-1])


def test_the_page_is_one_file_that_fetches_nothing_and_escapes_everything(tmp_path: Path, x: torch.Tensor) -> None:
    shown = embed(x, NASTY, note=NASTY)
    curve = Curve("PSNR", "dB", (1, 2, 3), (20.0, 21.0, 20.5), chosen=2)
    run = Run(NASTY, NASTY, "local", facts=((NASTY, NASTY),), message=NASTY, curves=(curve,), config=NASTY)
    other = dataclasses.replace(run, role="both", recipe="")
    table = Table(NASTY, (Column(NASTY), Column("n", 1)), ((NASTY, 1.0), (NASTY, None)), NASTY)
    scene = Scene(NASTY, (shown, dataclasses.replace(shown, group=NASTY)), (run, other))
    text = render(Page(NASTY, (scene, scene), (), (table,), (shown,), NASTY, NASTY, (NASTY,)))
    assert "<script>alert" not in text
    assert text.count("<script>") == 1
    elements = Elements(text).found
    for tag, attributes in elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("data:", "#")), f"{tag} {name}={value[:60]}"
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    names = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(names) == len(set(names))
    labels = " ".join(attributes.get("aria-labelledby") or "" for _, attributes in elements).split()
    assert set(labels) <= set(names)
    images = [attributes for tag, attributes in elements if tag == "img"]
    assert images
    assert all(attributes.get("alt") for attributes in images)


def test_a_page_with_nothing_on_it_renders() -> None:
    text = render(Page("empty", (Scene("no image"),)))
    assert "<h1>empty</h1>" in text
    assert "no image" in text
