"""Names, files and folders of weights, and a model hub."""

from pathlib import Path

import pytest
import torch
from denoiser_files import SMALL, drunet

from hybridprior.denoisers import UNetDenoiser, load_denoiser
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.denoisers.pretrained import pack
from hybridprior.denoisers.spandrel import SpandrelDenoiser
from hybridprior.denoisers.unet import UNet
from hybridprior.errors import ConfigError, WeightsError


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("shiped", "Did you mean 'shipped'"),
        ("file:no.safetensors", "no file"),
        ("local-dir:nowhere", "no folder"),
        ("hf-hub:name", "org/name"),
        ("ftp:x/y", "no weights named"),
        ("ftp:x", "No module named"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, word: str) -> None:
    with pytest.raises((ConfigError, WeightsError), match=word):
        load_denoiser(name)


def test_weights_that_are_broken(tmp_path: Path) -> None:
    network = UNet(SMALL)
    whole = pack(network)
    for name, data, word in (
        ("cut.safetensors", whole[:-100], "corrupt"),
        ("none.safetensors", b"", "corrupt"),
        ("text.safetensors", b"hello, this is text", "corrupt"),
        ("text.pth", b"hello", "corrupt|more than weights"),
        ("a.zip", whole, "no file of weights"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError, match=word):
            load_denoiser(f"file:{tmp_path / name}")


def test_weights_of_another_network(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="no supported network"):
        load_denoiser(f"file:{tmp_path / 'a.safetensors'}")


class Trap:
    """A pickle that would run code."""

    def __reduce__(self):
        return (Path.touch, (Path("sprung"),))


def test_a_pickle_that_runs_code_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Trap()}, "trap.pth")
    with pytest.raises(WeightsError, match="more than weights"):
        load_denoiser("file:trap.pth")
    assert not Path("sprung").exists()


def test_a_pickle_of_tensors_is_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(drunet(tmp_path / "d.safetensors")), tmp_path / "d.pth")
    assert isinstance(load_denoiser(f"file:{tmp_path / 'd.pth'}"), SpandrelDenoiser)


def test_a_hub_that_is_offline_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="local-dir"):
        load_denoiser("hf-hub:nobody/nothing")


def test_the_hubs_cache_is_enough_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was fetched once loads without a network, by revision."""
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--denoiser"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "v1").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "denoiser.safetensors").write_bytes(pack(UNet(SMALL)))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    assert isinstance(load_denoiser("hf-hub:somebody/denoiser@v1"), UNetDenoiser)


def test_weights_are_read_once_a_process_and_again_if_they_have_changed(tmp_path: Path) -> None:
    from hybridprior.denoisers.base import once

    calls: list[Path] = []

    def read(path: Path) -> CallableDenoiser:
        calls.append(path)
        return CallableDenoiser(lambda x, sigma: x)

    path = tmp_path / "weights"
    path.write_bytes(b"1")
    first, second = once(read, path), once(read, path)
    assert calls == [path]
    assert first is not second
    path.write_bytes(b"12")
    once(read, path)
    assert calls == [path, path]
