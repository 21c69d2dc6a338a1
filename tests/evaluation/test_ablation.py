"""The grid, its cells and its table: what is run, what is not run twice, and what comes out."""

import dataclasses
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from images import folder_of

from hybridprior.errors import InputError
from hybridprior.evaluation.ablation import Combination, Grid, Row, Table, ablate, conditions, gather
from hybridprior.evaluation.bench import find_images
from hybridprior.generators import GENERATORS, Pixels
from hybridprior.io.files import ImageData, read_image, write_image
from hybridprior.metrics import psnr

SMALL = Grid(generators=("decoder", "pixels"), preset="fast", steps=3)


@pytest.fixture(scope="module")
def images() -> dict[str, torch.Tensor]:
    """Two real images of 20 x 24."""
    from hybridprior.data import demo_image

    pixels = read_image(demo_image()).pixels
    return {"eye": pixels[..., 30:50, 30:54].contiguous(), "reeds": pixels[..., 130:150, 90:114].contiguous()}


@pytest.fixture(scope="module")
def done(images: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Table]:
    """A grid of two images and two noise levels, run."""
    folder = tmp_path_factory.mktemp("ablation")
    grid = dataclasses.replace(SMALL, conditions=conditions(["denoise"], sigmas=[15 / 255, 50 / 255]))
    return folder, ablate(images, grid, output=folder)


def test_every_cell_has_its_files(done: tuple[Path, Table], images: dict[str, torch.Tensor]) -> None:
    folder, table = done
    index = json.loads((folder / "ablation.json").read_text())
    assert index["version"] == 1
    assert index["cells"] == [row.id for row in table]
    assert len(set(index["cells"])) == 2 * 2 * 4
    assert index["images"]["eye"] == {"truth": "images/eye.png"}
    assert torch.equal(read_image(folder / "images/eye.png").pixels, images["eye"])
    for row in table:
        record = json.loads((folder / f"cells/{row.id}.json").read_text())
        assert {"config", "trace", "fusion", "result", "degraded", "baseline_psnr"} <= record.keys()
        assert len({len(values) for values in record["trace"].values()}) == 1
        assert record["trace"]["step"][-1] == row.steps
        written = read_image(folder / record["result"]).pixels
        assert psnr(written, images[row.image]) == pytest.approx(row.psnr, abs=0.05)
        assert (folder / record["degraded"]).is_file()
    assert not list(folder.rglob("*.part"))


def test_a_pixel_without_any_prior_is_the_noisy_one(done: tuple[Path, Table]) -> None:
    _, table = done
    nothing = [row for row in table if row.parts == Combination("pixels", "none", None)]
    assert [row.psnr for row in nothing] == pytest.approx([row.baseline_psnr for row in nothing], abs=0.02)
    assert all(row.oracle_psnr > row.psnr for row in nothing)


def test_no_cell_is_computed_twice(
    done: tuple[Path, Table], images: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same grid with one seed more computes the new seed's cells, and what lost its image."""
    from hybridprior.evaluation.ablation import cell

    folder, table = shutil.copytree(done[0], tmp_path / "copy"), done[1]
    computed: list[str] = []
    before = cell.measure
    monkeypatch.setattr(
        cell, "measure", lambda name, *rest, **more: computed.append(name) or before(name, *rest, **more)
    )
    grid = dataclasses.replace(SMALL, regularisers=("none",), conditions=conditions(["denoise"], sigmas=[15 / 255]))
    again = ablate({"eye": images["eye"]}, grid, output=folder)
    assert computed == []
    assert again.rows == tuple(row for row in table if row in again)
    (folder / f"cells/{again[0].id}.png").unlink()
    ablate({"eye": images["eye"]}, dataclasses.replace(grid, seeds=(0, 1)), output=folder)
    assert len(computed) == 3


def test_one_cell_that_fails_does_not_stop_the_others_and_is_tried_again(
    images: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    class Broken(Pixels):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("a part of\nsomebody's own")

    GENERATORS["broken"] = Broken
    try:
        grid = Grid(generators=("broken", "pixels"), regularisers=("none",), preset="fast")
        seen: list[tuple] = []
        table = ablate({"eye": images["eye"]}, grid, output=tmp_path, callback=lambda *told: seen.append(told))
        assert seen == [(None, 0, 2), (table[0], 1, 2), (table[1], 2, 2)]
        assert [row.status for row in table] == ["failed", "done"]
        assert [row.error for row in table.failed] == ["a part of somebody's own"]
        assert json.loads((tmp_path / f"cells/{table[0].id}.json").read_text())["status"] == "failed"
        assert "failed" in table.to_markdown()
        Broken.forward = Pixels.forward  # type: ignore[method-assign]
        assert not ablate({"eye": images["eye"]}, grid, output=tmp_path).failed
    finally:
        GENERATORS.pop("broken", None)


def test_jobs_travel(done: tuple[Path, Table]) -> None:
    from hybridprior.evaluation.ablation import Cell, Job

    parts = Combination("decoder", "none", None)
    cell = Cell("eye", "0", SMALL.conditions[0], parts, "fast", SMALL.configure(SMALL.conditions[0], parts, 3))
    job = pickle.loads(pickle.dumps(Job(cell, done[0])))
    assert job.cell.id == cell.id
    other = dataclasses.replace(cell, config=dataclasses.replace(cell.config, weight=2.0))
    assert other.id != cell.id


def test_the_table_is_tidy(done: tuple[Path, Table]) -> None:
    folder, table = done
    frame = table.to_pandas()
    assert len(frame) == len(table) == 16
    assert set(frame["sigma"].round(4)) == {round(15 / 255, 4), round(50 / 255, 4)}
    mean = frame[(frame.condition == "sigma 15") & (frame.generator == "decoder") & (frame.regulariser == "none")].psnr
    line = next(line for line in table.to_markdown().splitlines() if line.startswith("| **mean"))
    assert f"| {mean.mean():.2f} (" in line
    assert table.to_csv().splitlines()[0].startswith("id,image,task,condition,generator")
    assert (folder / "table.csv").read_text() == table.to_csv()
    latex = table.to_latex()
    assert latex.count(r"\begin{tabular}{lrrrrr}") == latex.count(r"\bottomrule") == 2
    assert isinstance(table[2:4], Table)
    with pytest.raises(dataclasses.FrozenInstanceError):
        table[0].psnr = 1.0  # type: ignore[misc]


def test_a_folder_gives_its_table_back(done: tuple[Path, Table], tmp_path: Path) -> None:
    grid = Grid(regularisers=("none",), generators=("pixels",), preset="fast")
    table = ablate({"one": torch.rand(1, 1, 9, 7, generator=torch.Generator().manual_seed(0))}, grid, output=tmp_path)
    assert gather(tmp_path).rows == table.rows
    assert isinstance(gather(tmp_path)[0], Row)
    with pytest.raises(InputError):
        gather(tmp_path / "cells")


def test_two_images_of_one_name_are_refused_and_hidden_ones_left_out(
    images: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="both be called 'house'"):
        find_images(folder_of(tmp_path / "twins", "house.png", "House.bmp"))
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.webp", ImageData(images["eye"]))
    (tmp_path / "in" / "._a.png").write_bytes(b"no image")
    assert [name for name, _ in find_images(tmp_path / "in")] == ["a"]
    twins = {"an eye": images["eye"], "an-eye": images["eye"]}
    with pytest.raises(InputError, match="'an-eye'"):
        ablate(twins, SMALL, output=tmp_path / "out")


def test_no_degraded_image_takes_the_place_of_a_truth(images: dict[str, torch.Tensor], tmp_path: Path) -> None:
    found = {"eye": images["eye"], "eye-denoise-sigma-25": images["reeds"]}
    with pytest.raises(InputError, match="rename"):
        ablate(found, SMALL, output=tmp_path)
    with pytest.raises(InputError, match="too long"):
        ablate({"e" * 200: images["eye"]}, SMALL, output=tmp_path)


def test_tensors_are_cropped_as_files_are(images: dict[str, torch.Tensor], tmp_path: Path) -> None:
    grid = Grid(generators=("pixels",), regularisers=("none",), preset="fast", crop=16)
    ablate(images, grid, output=tmp_path)
    assert read_image(tmp_path / "images" / "eye.png").pixels.shape[-2:] == (16, 16)


def test_other_contents_of_a_file_are_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hybridprior.evaluation.ablation import Cell

    monkeypatch.chdir(tmp_path)
    parts = Combination("pixels", "denoiser", 1.0)

    def cells() -> list[str]:
        found = []
        named = ("shipped", "file:d.safetensors", "filters_of_mine:f", "shipped")
        for blur, denoiser in zip(("k.npy", *("gaussian:1",) * 3), named, strict=True):
            (how,) = conditions(["deblur"], blurs=[blur])
            config = Grid((how,), denoiser=denoiser, preset="fast").configure(how, parts, 0)
            found.append(Cell("eye", "0", how, parts, "fast", config).id)
        return found

    Path("k.npy").write_bytes(b"one")
    Path("d.safetensors").write_bytes(b"one")
    Path("filters_of_mine.py").write_text("def f(x, sigma): return x")
    before = cells()
    Path("k.npy").write_bytes(b"two")
    Path("d.safetensors").write_bytes(b"two")
    Path("filters_of_mine.py").write_text("def f(x, sigma): return x / 2")
    after = cells()
    assert [one == two for one, two in zip(before, after, strict=True)] == [False, False, False, True]
    how = conditions(["deblur"], blurs=["k" * 300 + ".npy"])[0]
    assert Cell("eye", "0", how, parts, "fast", Grid((how,), preset="fast").configure(how, parts, 0)).id


@pytest.mark.parametrize("damage", ["[]", "null", '{"status": "done"}', '{"status": "done", "result": "x.png"}', "png"])
def test_a_damaged_cell_is_computed_again(images: dict[str, torch.Tensor], tmp_path: Path, damage: str) -> None:
    grid = Grid(generators=("pixels",), regularisers=("none",), preset="fast")
    (row,) = ablate({"eye": images["eye"]}, grid, output=tmp_path)
    if damage == "png":
        (tmp_path / "cells" / f"{row.id}.png").write_bytes(b"\x89PNG")
    else:
        (tmp_path / "cells" / f"{row.id}.json").write_text(damage)
        assert len(gather(tmp_path)) == 0
    (again,) = ablate({"eye": images["eye"]}, grid, output=tmp_path)
    assert again.psnr == row.psnr
    assert read_image(tmp_path / "cells" / f"{row.id}.png").pixels.shape == images["eye"].shape


def test_means_stand_side_by_side_over_the_same_images(done: tuple[Path, Table]) -> None:
    failed = [
        dataclasses.replace(row, status="failed", psnr=None, oracle_psnr=None)
        if (row.image, row.generator) == ("eye", "decoder")
        else row
        for row in done[1]
    ]
    lines = Table(failed).to_markdown().splitlines()
    reeds, mean = (next(line for line in lines if line.startswith(start)) for start in ("| reeds", "| **mean of 1"))
    assert mean.split("|")[2:] == reeds.split("|")[2:]


def test_figures_of_another_grid_do_not_stay(images: dict[str, torch.Tensor], tmp_path: Path) -> None:
    (tmp_path / "regions-mine.png").write_bytes(b"a user's")
    truths = {"eye": images["eye"]}
    both = Grid(generators=("decoder", "pixels"), regularisers=("none", "tv"), preset="fast", steps=2)
    both = dataclasses.replace(both, regularisers=("none", "denoiser"))
    ablate(truths, both, output=tmp_path)
    first = {path.name for path in tmp_path.glob("*.png")}
    assert len(first) == 3

    def stop(*told: object) -> None:
        if told[0] is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(truths, both, output=tmp_path, callback=stop)
    assert {path.name for path in tmp_path.glob("*.png")} == first
    ablate(truths, Grid(generators=("pixels",), regularisers=("none",), preset="fast"), output=tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"regions-mine.png"}
