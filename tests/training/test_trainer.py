"""Training: it learns, a broken-off run goes on to the same bits, and nothing held out is learned from."""

import dataclasses
import json
import math
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from hybridprior.denoisers import load_denoiser
from hybridprior.denoisers.pretrained import pack
from hybridprior.denoisers.unet import UNetConfig
from hybridprior.errors import ConfigError, HybridPriorError, InputError
from hybridprior.training import Photographs, TrainConfig, Trainer, Validation, read_checkpoint
from hybridprior.training.data import centre, find_photographs, read_names, split
from hybridprior.training.plot import draw_curve

SMALL = UNetConfig(widths=(16, 16), blocks=1)
BRIEF = TrainConfig(steps=150, batch=8, patch=32, warmup=5, learning_rate=2e-2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four parts of a photograph, one of them held out, and a file that is no image."""
    from hybridprior.data import demo_image

    folder = tmp_path_factory.mktemp("photographs")
    (folder / "more").mkdir()
    image = Image.open(demo_image()).convert("RGB")
    for number in range(4):
        part = image.crop((32 * number, 0, 32 * number + 128, 192))
        part.save(folder / ("more" if number % 2 else ".") / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "VALIDATION.txt").write_text("3.png\n")
    return folder


@pytest.fixture(scope="module")
def photographs(folder: Path) -> Photographs:
    training, _ = split(find_photographs(folder), read_names(folder / "VALIDATION.txt"))
    return Photographs(training)


def test_photographs_are_found_held_out_and_left_out(folder: Path, photographs: Photographs) -> None:
    paths = find_photographs(folder)
    assert {path.name for path in paths} == {"0.png", "1.png", "2.png", "3.png", "broken.png"}
    training, held = split(paths, ["3.png"])
    assert [path.name for path in held] == ["3.png"]
    assert len(training) == 4
    assert len(photographs) == 3
    with pytest.raises(InputError, match="for the validation"):
        split(paths, ["9.png"])
    with pytest.raises(InputError, match="leave some for the training"):
        split(held, ["3.png"])
    with pytest.raises(InputError, match="None of the 1"):
        Photographs([folder / "broken.png"])
    with pytest.raises(InputError, match="does not exist"):
        find_photographs(folder / "nowhere")


def test_patches_are_pieces_of_the_photographs(photographs: Photographs) -> None:
    rng = torch.Generator().manual_seed(0)
    patches = photographs.patches(64, 32, rng, grey=0.5)
    assert patches.shape == (64, 3, 32, 32)
    assert patches.min() >= 0
    assert patches.max() <= 1
    grey = (patches == patches[:, :1]).flatten(1).all(1).float().mean()
    assert 0.25 < float(grey) < 0.75
    plain = photographs.patches(8, 32, rng, shrink=1.0, grey=0.0)
    values = {round(float(v) * 255) for v in plain.flatten()}
    torch.testing.assert_close(plain * 255, (plain * 255).round(), rtol=0, atol=1e-3)
    assert len(values) > 50


def test_a_batch_depends_on_the_seed_and_its_number_alone(photographs: Photographs) -> None:
    one, other = Trainer(photographs, BRIEF, network=SMALL), Trainer(photographs, BRIEF, network=SMALL)
    for ours, theirs in zip(one.batch(7), other.batch(7), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(one.batch(7)[0], one.batch(8)[0])
    clean, noisy, level, planes = one.batch(3)
    assert clean.shape == noisy.shape == (8, 3, 32, 32)
    assert level.shape == (8, 1, 32, 32)
    assert planes.shape[:2] == (8, 5)
    assert float(planes.abs().max()) == 0
    assert one.batch(149)[0].shape == (2, 3, 64, 64)


def test_it_learns(photographs: Photographs, folder: Path) -> None:
    trainer = Trainer(photographs, BRIEF, network=SMALL)
    judge = Validation.read([folder / "more" / "3.png"], side=64, sigmas=(25, 50))
    before = judge.measure(trainer.denoise)
    losses: list[float] = []
    assert trainer.run(callback=lambda progress: losses.append(progress.loss))
    after = judge.measure(trainer.denoise)
    assert trainer.step == len(losses) == 150
    assert sum(losses[-15:]) < 0.7 * sum(losses[:15])
    assert all(after[sigma] > before[sigma] + 2 for sigma in (25, 50))


def test_camera_noise_and_jpeg_are_learned_with_their_conditions(photographs: Photographs, folder: Path) -> None:
    config = dataclasses.replace(BRIEF, steps=60, camera=0.4, jpeg=0.3)
    network = dataclasses.replace(SMALL, conditions=5)
    trainer = Trainer(photographs, config, network=network)
    judge = Validation.read([folder / "more" / "3.png"], side=96, sigmas=(25,))
    before = judge.measure_degraded(trainer.denoise, side=48)
    trainer.run()
    after = judge.measure_degraded(trainer.denoise, side=48)
    assert after["camera"] > before["camera"] + 0.5
    assert set(after) == {"camera", "jpeg"}
    assert Trainer(photographs, config).network.config.conditions == 5
    with pytest.raises(ConfigError, match="conditions"):
        Trainer(photographs, config, network=dataclasses.replace(SMALL, conditions=2))


def test_conditions_that_a_network_did_not_know_have_no_effect_at_first(photographs: Photographs) -> None:
    white = Trainer(photographs, BRIEF, network=SMALL)
    white.run(10)
    more = Trainer(photographs, BRIEF, network=dataclasses.replace(SMALL, conditions=5))
    assert more.fits(white.mean)
    assert not white.fits(more.mean)
    more.start_from(white.mean)
    x, sigma = torch.rand(1, 3, 24, 24), torch.full((1, 1, 1, 1), 0.1)
    torch.testing.assert_close(more.mean(x, sigma, torch.rand(1, 5, 24, 24)), white.mean(x, sigma))


def test_a_run_that_was_broken_off_goes_on_to_the_same_bits(photographs: Photographs, tmp_path: Path) -> None:
    config = dataclasses.replace(BRIEF, steps=12)
    whole = Trainer(photographs, config, network=SMALL)
    whole.run()
    part = Trainer(photographs, config, network=SMALL)
    part.run(5)
    part.save(tmp_path / "checkpoint.pt")
    rest = Trainer(photographs, config, network=SMALL)
    state = read_checkpoint(tmp_path / "checkpoint.pt")
    rest.resume(state)
    assert rest.step == 5
    rest.run()
    for ours, theirs in zip(rest.mean.parameters(), whole.mean.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(InputError, match="another network"):
        Trainer(photographs, config, network=UNetConfig(widths=(8, 8), blocks=1)).resume(state)
    with pytest.raises(InputError, match="muon"):
        Trainer(photographs, dataclasses.replace(config, optimiser="adamw"), network=SMALL).resume(state)
    (tmp_path / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(InputError, match="no checkpoint"):
        read_checkpoint(tmp_path / "checkpoint.pt")


def test_a_batch_that_is_no_number_is_skipped(photographs: Photographs, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(photographs, BRIEF, network=SMALL)
    batch = trainer.batch
    monkeypatch.setattr(trainer, "batch", lambda step: tuple(t * (math.nan if step == 1 else 1) for t in batch(step)))
    losses: list[float] = []
    trainer.run(3, callback=lambda progress: losses.append(progress.loss))
    assert [math.isnan(loss) for loss in losses] == [False, True, False]
    assert all(torch.isfinite(weight).all() for weight in trainer.mean.parameters())
    monkeypatch.setattr(trainer, "batch", lambda step: tuple(t * math.nan for t in batch(step)))
    with pytest.raises(ConfigError, match="diverged"):
        trainer.run()


def test_what_is_packed_denoises_alike(photographs: Photographs, tmp_path: Path) -> None:
    trainer = Trainer(photographs, BRIEF, network=SMALL)
    trainer.run(20)
    (tmp_path / "d.safetensors").write_bytes(pack(trainer.mean))
    x, sigma = torch.rand(1, 3, 32, 32), torch.full((1, 1, 1, 1), 0.1)
    loaded = load_denoiser(f"file:{tmp_path / 'd.safetensors'}")
    torch.testing.assert_close(loaded.network(x, sigma), trainer.denoise(x, sigma), rtol=0, atol=0.01)


def test_photographs_of_one_name_in_two_folders() -> None:
    paths = [Path("a/1.png"), Path("b/1.png"), Path("b/11.png")]
    assert split(paths, ["b/1.png"]) == ([paths[0], paths[2]], [paths[1]])
    assert split(paths, ["1.png"]) == ([paths[2]], paths[:2])
    assert split([Path("1.png"), *paths], ["1.png"], folder=Path())[1] == [Path("1.png")]
    with pytest.raises(InputError, match=r"'c/1\.png'"):
        split(paths, ["c/1.png"])


def test_the_step_size_rises_and_falls() -> None:
    config = TrainConfig(steps=100, warmup=9, decay=0.5, learning_rate=1.0)
    assert [config.rate(step) for step in (0, 4, 9, 49, 75)] == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.5])
    assert config.rate(99) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"patch": 8}, {"learning_rate": -1.0}, {"ema_decay": 1.0}, {"grey": 2.0}]
)
def test_numbers_out_of_range(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        TrainConfig(**wrong)


def test_an_optimiser_that_there_is_not(photographs: Photographs) -> None:
    with pytest.raises(ConfigError, match="muon"):
        Trainer(photographs, dataclasses.replace(BRIEF, optimiser="mouon"), network=SMALL)


def test_validation_is_of_the_centre_and_the_same_noise(folder: Path) -> None:
    judge = Validation.read([folder / "0.png"], side=64, sigmas=(25,))
    assert judge.images[0].shape == (1, 3, 64, 64)
    noise = judge.measure(lambda x, sigma: x)
    assert noise[25] == pytest.approx(20.5, abs=0.4)
    assert centre(torch.rand(3, 40, 100), 64).shape == (3, 40, 64)


def test_the_curve_is_a_image() -> None:
    from io import BytesIO

    history = [{"step": step, "psnr": {"5": 30 + step, "25": 20 + step}} for step in (1, 2, 3)]
    assert Image.open(BytesIO(draw_curve(history))).size[0] > 400


def _interrupt_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send Ctrl-C when the batch of a step is drawn."""
    draw = Trainer.batch

    def batch(self: Trainer, step: int):
        if step == number:
            signal.raise_signal(signal.SIGINT)
        return draw(self, step)

    monkeypatch.setattr(Trainer, "batch", batch)


def test_the_command_line_trains_is_interrupted_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from hybridprior.cli.app import app

    run = tmp_path / "run"
    arguments = ["train", "denoiser", "--data", str(folder), "-o", str(run), "--validation"]
    arguments += [str(folder / "VALIDATION.txt"), "--batch", "2", "--patch", "32", "--widths", "8,8", "--blocks", "1"]

    def hprior(*more: str) -> object:
        return app([*arguments, *more], standalone_mode=False)

    hprior("--steps", "4", "--validate-every", "2", "--threads", "1")
    assert {path.name for path in run.iterdir()} == {
        "checkpoint.pt",
        "curve.png",
        "denoiser.safetensors",
        "history.json",
    }
    record = json.loads((run / "history.json").read_text())
    assert [row["step"] for row in record["history"]] == [2, 4]
    assert set(record["history"][0]["psnr"]) == {"5", "15", "25", "50", "75", "100"}
    assert load_denoiser(f"file:{run / 'denoiser.safetensors'}").denoise(torch.rand(1, 3, 9, 9), 0.1).shape[-1] == 9
    capsys.readouterr()
    app([*arguments[:6], "--steps", "6", "--validate-every", "2", "--resume"], standalone_mode=False)
    assert read_checkpoint(run / "checkpoint.pt")["validation"] == ["more/3.png"]
    (tmp_path / "others.txt").write_text("0.png\n")
    with pytest.raises(HybridPriorError, match="other validation photographs"):
        app([*arguments[:7], str(tmp_path / "others.txt"), "--steps", "7", "--resume"], standalone_mode=False)
    record = json.loads((run / "history.json").read_text())
    assert [row["step"] for row in record["history"]] == [2, 4, 6]
    assert record["config"]["batch"] == 2
    _interrupt_at(8, monkeypatch)
    assert hprior("--steps", "20", "--validate-every", "5", "--resume") == 130
    assert read_checkpoint(run / "checkpoint.pt")["step"] == 9
    with pytest.raises(HybridPriorError, match="--resume"):
        hprior()
    with pytest.raises(HybridPriorError, match="no checkpoint"):
        app([*arguments[:5], str(tmp_path / "none"), "--resume"], standalone_mode=False)
