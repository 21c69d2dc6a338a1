"""Every registered denoiser and every adapter keeps the contract: denoise(x, sigma) -> x0."""

from pathlib import Path

import pytest
import torch
from torch import nn

from hybridprior.denoisers import DENOISERS, Denoiser, UNetDenoiser, load_denoiser
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.denoisers.diffusers import DiffusersDenoiser
from hybridprior.denoisers.pretrained import pack
from hybridprior.denoisers.spandrel import SpandrelDenoiser
from hybridprior.denoisers.unet import UNet, UNetConfig
from hybridprior.errors import ConfigError, ShapeError, WeightsError

SMALL = UNetConfig(widths=(8, 8), blocks=1)

REGISTERED = ["shipped"]
ADAPTERS = ["trained", "diffusers", "spandrel", "function", "module"]


def test_every_registered_denoiser_is_tested() -> None:
    assert set(REGISTERED) == set(DENOISERS)


class Halfway(nn.Module):
    """A module as deepinv's denoisers are: forward(x, sigma) with sigma a number or (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate", bias=False)
        nn.init.constant_(self.blur.weight, 1 / 9)

    def forward(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        share = torch.as_tensor(sigma).reshape(-1, 1, 1, 1).clamp(0, 1)
        return x.lerp(self.blur(x.flatten(0, 1)[:, None]).reshape(x.shape), share.expand_as(x))


def diffusion(folder: Path, prediction: str = "epsilon") -> Path:
    """A small diffusion network in a folder, as diffusers saves it."""
    from diffusers import DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    network = UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    network.save_pretrained(folder / "unet")
    DDPMScheduler(prediction_type=prediction).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    return folder


def drunet(path: Path, channels: int = 3) -> Path:
    """A small DRUNet in a safetensors file."""
    from safetensors.torch import save_file
    from spandrel.architectures.DRUNet import DRUNet

    torch.manual_seed(0)
    network = DRUNet(in_nc=channels + 1, out_nc=channels, nc=[4, 4, 4, 4], nb=2)
    save_file(network.state_dict(), path)
    return path


def make(name: str, folder: Path) -> Denoiser:
    if name in REGISTERED:
        return load_denoiser(name)
    if name == "trained":
        torch.manual_seed(0)
        network = UNet(SMALL)
        nn.init.normal_(network.tail.weight, std=0.05)
        (folder / "d.safetensors").write_bytes(pack(network))
        return load_denoiser(f"file:{folder / 'd.safetensors'}")
    if name == "diffusers":
        return load_denoiser(f"local-dir:{diffusion(folder)}")
    if name == "spandrel":
        return load_denoiser(f"file:{drunet(folder / 'drunet.safetensors')}")
    return load_denoiser(Halfway() if name == "module" else Halfway().requires_grad_(False).forward)


@pytest.fixture(params=[*REGISTERED, *ADAPTERS], scope="module")
def denoiser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    return make(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 7, 5), (2, 3, 16, 16), (1, 2, 1, 9), (1, 4, 33, 40)])
def test_any_size_and_any_number_of_channels(denoiser: Denoiser, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    before = x.clone()
    clean = denoiser.denoise(x, 0.1)
    assert clean.shape == x.shape
    assert clean.dtype == torch.float32
    assert torch.isfinite(clean).all()
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_the_same_twice(denoiser: Denoiser) -> None:
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(denoiser.denoise(x, 0.1), denoiser.denoise(x, 0.1), rtol=0, atol=0)


def test_the_views_are_the_views_of_a_pass(denoiser: Denoiser) -> None:
    x = torch.rand(1, 3, 9, 16)
    views = torch.stack([denoiser.denoise(x, 0.1, view=10 * denoiser.views + turn) for turn in range(denoiser.views)])
    torch.testing.assert_close(views.mean(0), denoiser.denoise(x, 0.1), rtol=0, atol=1e-5)


def test_no_direction_is_preferred_where_all_turns_are_taken(denoiser: Denoiser) -> None:
    if denoiser.views == 1:
        pytest.skip("this denoiser takes images upright only")
    x = torch.rand(1, 3, 9, 16)
    turned = torch.rot90(denoiser.denoise(x, 0.1), 1, (2, 3))
    torch.testing.assert_close(denoiser.denoise(torch.rot90(x, 1, (2, 3)), 0.1), turned, rtol=0, atol=1e-5)


def test_a_sigma_for_each_image(denoiser: Denoiser) -> None:
    x = torch.rand(3, 3, 16, 16)
    sigmas = [0.02, 0.1, 0.4]
    together = denoiser.denoise(x, torch.tensor(sigmas))
    for number, sigma in enumerate(sigmas):
        alone = denoiser.denoise(x[number : number + 1], sigma)
        torch.testing.assert_close(together[number : number + 1], alone, rtol=0, atol=0.01)


def test_the_gradient_reaches_x(denoiser: Denoiser) -> None:
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    denoiser.denoise(x, 0.1).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0
    assert not denoiser.denoise(x.detach(), 0.1).requires_grad


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_a_sigma_that_is_none_is_refused(denoiser: Denoiser, sigma: float) -> None:
    with pytest.raises(ConfigError, match="sigma"):
        denoiser.denoise(torch.rand(1, 3, 8, 8), sigma)


def test_shapes_that_are_none_are_refused(denoiser: Denoiser) -> None:
    with pytest.raises(ShapeError, match="images"):
        denoiser.denoise(torch.rand(3, 8, 8), 0.1)
    with pytest.raises(ShapeError, match="sigma"):
        denoiser.denoise(torch.rand(2, 3, 8, 8), torch.tensor([0.1, 0.1, 0.1]))


class Ideal(nn.Module):
    """The network that a diffusion training would end with if every pixel were drawn from N(mean, spread^2)."""

    mean, spread = 0.2, 0.3

    def __init__(self, table: torch.Tensor, prediction: str) -> None:
        super().__init__()
        from types import SimpleNamespace

        self.table, self.prediction = table, prediction
        self.config = SimpleNamespace(in_channels=3, block_out_channels=(8,), time_embedding_type="positional")

    def forward(self, x: torch.Tensor, t: torch.Tensor):
        from types import SimpleNamespace

        # Between two steps the noise is interpolated as the schedule's logarithm is.
        levels = ((1 - self.table) / self.table).sqrt().log()
        low = t.floor().long().clamp(0, len(levels) - 2)
        level = (levels[low] + (t - low) * (levels[low + 1] - levels[low])).exp().reshape(-1, 1, 1, 1)
        train = (1 + level.square()).rsqrt()
        gain = self.spread**2 / (self.spread**2 + level.square())
        clean = self.mean + gain * (x / train - self.mean)
        noise = (x / train - clean) / level
        output = {"epsilon": noise, "sample": clean, "v_prediction": train * noise - train * level * clean}
        return SimpleNamespace(sample=output[self.prediction])


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_a_diffusion_network_is_asked_in_its_own_units(prediction: str) -> None:
    """The expectation of a Gaussian pixel is known: with [-1, 1] for [0, 1], sigma counts twice."""
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(prediction_type=prediction)
    denoiser = DiffusersDenoiser(Ideal(scheduler.alphas_cumprod, prediction), scheduler)
    x = torch.rand(4, 3, 8, 8)
    for sigma in (0.02, 0.13, 0.5, 3.0):
        gain = Ideal.spread**2 / (Ideal.spread**2 + 4 * sigma**2)
        expected = (Ideal.mean + gain * (2 * x - 1 - Ideal.mean) + 1) / 2
        torch.testing.assert_close(denoiser.denoise(x, sigma), expected, rtol=1e-3, atol=1e-3)


def test_a_schedule_that_does_not_keep_the_variance_is_refused(tmp_path: Path) -> None:
    from diffusers import ScoreSdeVeScheduler

    network = DiffusersDenoiser.read(diffusion(tmp_path)).network
    with pytest.raises(ConfigError, match="variance"):
        DiffusersDenoiser(network, ScoreSdeVeScheduler())
    ScoreSdeVeScheduler().save_pretrained(tmp_path / "scheduler")
    with pytest.raises(ConfigError, match="variance"):
        load_denoiser(f"local-dir:{tmp_path}")
    (tmp_path / "vqvae").mkdir()
    with pytest.raises(ConfigError, match="latents"):
        load_denoiser(f"local-dir:{tmp_path}")


def test_a_diffusion_network_that_is_told_a_class_is_refused(tmp_path: Path) -> None:
    from diffusers import DDPMScheduler, UNet2DModel

    given = {"block_out_channels": (8,), "norm_num_groups": 4, "layers_per_block": 1, "num_class_embeds": 3}
    network = UNet2DModel(down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), **given)
    with pytest.raises(ConfigError, match="class"):
        DiffusersDenoiser(network, DDPMScheduler())


def test_drunet_gets_our_noise_level(tmp_path: Path) -> None:
    """spandrel's own call would take 15 / 255 whatever is asked."""
    denoiser = load_denoiser(f"file:{drunet(tmp_path / 'd.safetensors')}")
    x = torch.rand(1, 3, 16, 16)
    level = torch.full((1, 1, 16, 16), 0.3)
    torch.testing.assert_close(denoiser.denoise(x, 0.3), denoiser.network(torch.cat([x, level], 1)))
    assert (denoiser.denoise(x, 0.3) - denoiser.denoise(x, 15 / 255)).abs().max() > 1e-4


def test_a_network_that_enlarges_is_no_denoiser(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from spandrel.architectures.Compact import Compact

    save_file(Compact(num_feat=8, num_conv=16, upscale=2).state_dict(), tmp_path / "sr.safetensors")
    with pytest.raises(ConfigError, match="use a denoiser"):
        load_denoiser(f"file:{tmp_path / 'sr.safetensors'}")


def test_a_grey_drunet_sees_colours_one_by_one(tmp_path: Path) -> None:
    denoiser = load_denoiser(f"file:{drunet(tmp_path / 'grey.safetensors', channels=1)}")
    assert isinstance(denoiser, SpandrelDenoiser)
    x = torch.rand(1, 3, 16, 16)
    each = torch.cat([denoiser.denoise(x[:, c : c + 1], 0.1) for c in range(3)], 1)
    torch.testing.assert_close(denoiser.denoise(x, 0.1), each)


def test_a_function_that_returns_no_image_is_refused() -> None:
    with pytest.raises(ShapeError, match="must return an image"):
        load_denoiser(lambda x, sigma: x[..., 1:]).denoise(torch.rand(1, 3, 8, 8), 0.1)


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
