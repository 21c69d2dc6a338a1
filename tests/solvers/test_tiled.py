"""Large images tile by tile: what covers what, that no seam is seen, and that nothing is lost."""

import dataclasses
import io
import signal

import pytest
import torch

from hybridprior import Component, Downsample, Mask, RestoreConfig, SolverConfig, restore
from hybridprior.config import TileConfig
from hybridprior.denoisers import load_denoiser
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.errors import ConfigError, InputError
from hybridprior.fidelities import Gaussian
from hybridprior.fusion_weights import uniform_weights
from hybridprior.generators import build_generator
from hybridprior.operators import Identity
from hybridprior.operators.base import Box
from hybridprior.problem import Problem
from hybridprior.regularisers import RED, Regulariser
from hybridprior.result import Status, Step
from hybridprior.solvers.canvas import Canvas
from hybridprior.solvers.gradient import Callback
from hybridprior.solvers.tile_size import longest_side
from hybridprior.solvers.tile_weights import join
from hybridprior.solvers.tiled import lay_out, restore_tiles

SMALL = {"down": (16, 16), "up": (16, 16), "skip": (4, 4), "input_depth": 4, "padding": "zeros"}
CONFIG = RestoreConfig(
    generator=Component("skip", SMALL),
    solver=SolverConfig(max_steps=150, ema_decay=0.9, input_noise_std=0.01),
    tiles=TileConfig(side=64, overlap=16),
    precision="fp32",
)


@pytest.mark.parametrize(("height", "width", "grid"), [(100, 300, 1), (64, 65, 1), (96, 200, 4), (10, 10, 1)])
def test_tiles_cover_the_image_and_keep_to_the_grid(height: int, width: int, grid: int) -> None:
    shape = (1, 3, height, width)
    boxes = lay_out(shape, TileConfig(side=64, overlap=16), grid)
    canvas, seen = Canvas(shape, 16), torch.zeros(height, width)
    image = torch.rand(shape)
    for box in boxes:
        assert max(box.height, box.width) <= 64
        assert all(number % grid == 0 for number in box)
        box.of(seen).add_(1)
        canvas.add(box, box.of(image))
    assert seen.min() >= 1
    torch.testing.assert_close(canvas.image(), image)


@pytest.mark.parametrize("length", range(65, 140))
def test_tiles_reach_the_end_of_a_image_with_an_odd_side(length: int) -> None:
    seen = torch.zeros(length)
    for box in lay_out((1, 3, length, 8), TileConfig(side=64, overlap=16), 2):
        assert box.top % 2 == 0 and box.height <= 64
        seen[box.top : box.top + box.height] += 1
    assert seen.min() >= 1


def test_one_side_is_no_tiles() -> None:
    assert len(lay_out((1, 3, 500, 700), TileConfig(), 1)) == 1
    with pytest.raises(ConfigError, match="overlap"):
        TileConfig(side=64, overlap=40)


@pytest.mark.parametrize("kind", ["gradient", "texture"])
def test_no_seam_is_seen(kind: str) -> None:
    """The error against the truth is no larger around the seams than elsewhere, nor does it leap there."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 160), indexing="ij")
    x = 0.2 + 0.3 * rows + 0.3 * columns
    if kind == "texture":
        x = x + 0.15 * torch.sin(60 * rows + 5) * torch.sin(150 * columns)
    x = x[None, None].expand(1, 3, -1, -1)
    y = x + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    steps: list[Step] = []
    result = restore(y, sigma=0.02, config=CONFIG, callbacks=[steps.append])
    assert {step.tile for step in steps} == {(1, 3), (2, 3), (3, 3)}
    assert len(result.trace) == len(steps) == 450
    error = (result.image - x).mean((0, 1, 2))
    leaps = (error[1:] - error[:-1]).abs()
    fading = torch.zeros(159, dtype=torch.bool)
    fading[48:64] = fading[96:112] = True
    assert (result.image - x).abs()[..., 48:112].mean() < 1.2 * (result.image - x).abs().mean() + 1e-3
    assert leaps[fading].max() < 1.5 * leaps[~fading].max() + 2e-3


def test_tiles_of_a_local_method_are_the_whole() -> None:
    """A mean over neighbours does not see beyond the overlap."""

    def smooth(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    y = torch.rand(1, 3, 150, 200)
    whole, tiled = (
        restore(y, sigma=0.1, generator="pixels", regulariser=_asking(smooth), tile_size=tile) for tile in (200, 128)
    )
    assert (whole.config.tiles.side, tiled.config.tiles.side) == (200, 128)
    assert (tiled.image - whole.image).abs().max() < 1e-3


def _asking(function) -> RED:
    return RED(denoiser=load_denoiser(function))


def test_a_small_image_in_tiles_and_a_hole_without_a_measurement() -> None:
    small = torch.rand(1, 3, 20, 40)
    result = restore(small, Downsample(4), config=CONFIG, max_steps=3, sigma=0.0)
    assert result.image.shape == (1, 3, 80, 160)
    assert "In 6 tiles of 64 x 64" in result.message
    known = torch.ones(64, 160)
    known[:, 45:115] = 0
    filled = restore(torch.full((1, 3, 64, 160), 0.5), Mask(known), config=CONFIG, max_steps=3, sigma=0.0)
    assert filled.image[..., 60:100].sub(0.5).abs().max() < 0.2


def _ctrl_c(tile: tuple[int, int], number: int) -> Callback:
    """Press Ctrl-C at a step of a tile."""

    def press(step: Step) -> None:
        if (step.tile, step.number) == (tile, number):
            signal.raise_signal(signal.SIGINT)

    return press


def test_with_tiles_and_after_ctrl_c_known_pixels_are_as_they_were() -> None:
    rng = torch.Generator().manual_seed(2)
    y, known = torch.rand(1, 3, 64, 160, generator=rng), (torch.rand(64, 160, generator=rng) < 0.6).float()
    options = {"config": CONFIG, "max_steps": 8, "sigma": 0.0}
    whole = restore(y * known, Mask(known), **options)
    part = restore(y * known, Mask(known), callbacks=[_ctrl_c((2, 3), 4)], **options)
    on = restore(y * known, Mask(known), checkpoint=part.checkpoint, **options)
    assert part.status is Status.INTERRUPTED
    place = known.expand_as(y) > 0
    for result in (whole, part, on):
        assert torch.equal(result.image[place], y[place])
    assert torch.equal(on.image, whole.image)


def test_a_run_in_tiles_that_was_broken_off_goes_on_to_the_same_bits() -> None:
    y = torch.rand(1, 3, 64, 160, generator=torch.Generator().manual_seed(1))
    whole = restore(y, sigma=0.1, config=CONFIG, max_steps=8)
    part = restore(y, sigma=0.1, config=CONFIG, max_steps=8, callbacks=[_ctrl_c((2, 3), 4)])
    assert part.status is Status.INTERRUPTED
    assert part.image.isfinite().all()
    on = restore(y, sigma=0.1, config=CONFIG, max_steps=8, checkpoint=part.checkpoint)
    assert on.status is whole.status
    assert torch.equal(on.image, whole.image)


def test_between_two_tiles_a_state_belongs_to_one_run_too() -> None:
    y = torch.rand(1, 3, 64, 160, generator=torch.Generator().manual_seed(1))
    whole = restore(y, sigma=0.1, config=CONFIG, max_steps=8)
    part = restore(y, sigma=0.1, config=CONFIG, max_steps=8, callbacks=[_ctrl_c((1, 3), 8)])
    assert part.checkpoint["run"] is None
    for other in ({"sigma": 0.2}, {"max_steps": 9}, {"seed": 3}):
        with pytest.raises(ConfigError, match="another"):
            restore(y, **{"sigma": 0.1, "config": CONFIG, "max_steps": 8, "checkpoint": part.checkpoint} | other)
    on = restore(y, sigma=0.1, config=CONFIG, max_steps=8, checkpoint=part.checkpoint)
    assert torch.equal(on.image, whole.image)
    assert on.trace == whole.trace and on.step == whole.step
    assert on.timings.steps > part.timings.steps > 0


def test_a_tile_that_diverged_is_not_forgotten() -> None:
    class Poison(Regulariser):
        poisonous = True

        def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
            return x.sum() * (float("nan") if self.poisonous and step > 3 else 0.0)

    y = torch.rand(1, 3, 64, 160, generator=torch.Generator().manual_seed(1))
    options = {"sigma": 0.1, "config": CONFIG, "max_steps": 12, "regulariser": Poison()}
    part = restore(y, callbacks=[_ctrl_c((2, 3), 1)], **options)
    assert part.status is Status.INTERRUPTED
    buffer = io.BytesIO()
    torch.save(part.checkpoint, buffer)
    buffer.seek(0)
    Poison.poisonous = False  # from here on: what diverged is the first tile alone
    assert restore(y, regulariser=Poison(), sigma=0.1, config=CONFIG, max_steps=12).status is not Status.DIVERGED
    assert restore(y, checkpoint=torch.load(buffer, weights_only=True), **options).status is Status.DIVERGED


def test_what_cannot_be_cut_is_solved_whole(caplog: pytest.LogCaptureFixture) -> None:
    result = restore(torch.rand(1, 3, 32, 160), lambda x: x.flip(-1), config=CONFIG, max_steps=2, sigma=0.1)
    assert result.config.tiles.side == 0
    assert "cannot be cut" in caplog.text


def test_the_side_follows_from_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = []
    for room in (1, 4):
        monkeypatch.setattr("hybridprior.solvers.tile_size.free_memory", lambda device, room=room: room * 2**30)
        sides.append(
            longest_side(build_generator("skip", 3, SMALL), (1, 3, 4096, 4096), torch.device("cpu"), bf16=False)
        )
    assert sides[0] % 64 == 0
    assert sides[1] == pytest.approx(2 * sides[0], rel=0.15)


def test_what_goes_wrong_in_a_tile_is_no_hole() -> None:
    def refuse(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        raise InputError("The service does not answer.")

    config = RestoreConfig(solver=SolverConfig(max_steps=2), tiles=TileConfig(side=32, overlap=8), method="splitting")
    prior = RED(denoiser=CallableDenoiser(refuse))
    with pytest.raises(InputError, match="does not answer"):
        restore(torch.rand(1, 1, 48, 48), sigma=0.1, config=config, generator="pixels", regulariser=prior)


def test_tiles_are_fused_each_by_itself_and_have_one_map() -> None:
    y = torch.rand(1, 3, 64, 160, generator=torch.Generator().manual_seed(1))
    options = {
        "sigma": 0.1,
        "config": dataclasses.replace(CONFIG, regulariser=Component("auto", {"finetuning": {"steps": 0}})),
        "max_steps": 8,
    }
    whole = restore(y, **options)
    assert whole.fusion is not None and whole.fusion.kind == "tiles"
    assert whole.fusion.map.shape == (len(whole.fusion.names), 64, 160)
    torch.testing.assert_close(whole.fusion.map.sum(0), torch.ones(64, 160))
    torch.testing.assert_close(torch.tensor(whole.fusion.weights), whole.fusion.map.mean((1, 2)))
    assert "In 3 tiles of 64 x 64" in whole.message and f"Stacking weights: {whole.fusion.shares}" in whole.message
    part = restore(y, callbacks=[_ctrl_c((2, 3), 4)], **options)
    assert part.status is Status.INTERRUPTED and part.fusion is None
    buffer = io.BytesIO()
    torch.save(part.checkpoint, buffer)
    buffer.seek(0)
    on = restore(y, checkpoint=torch.load(buffer, weights_only=True), **options)
    assert on.fusion is not None and on.fusion.to_dict() == whole.fusion.to_dict()
    assert torch.equal(on.fusion.map, whole.fusion.map)


def test_a_candidate_that_a_tile_does_not_have_weighs_nothing_there() -> None:
    boxes = [Box(0, 0, 8, 12), Box(0, 8, 8, 12)]
    wide, narrow = uniform_weights(["local", "global"], (1, 1, 8, 12)), uniform_weights(["local"], (1, 1, 8, 12))
    wide = dataclasses.replace(
        wide, kind="map", errors=(4.0, 2.0), standard_errors=(0.3, 0.1), gain=1.0, gain_standard_error=0.4
    )
    narrow = dataclasses.replace(
        narrow, kind="few", errors=(2.0,), standard_errors=(0.4,), gain=3.0, gain_standard_error=0.3
    )
    found = join([(boxes[0], wide), (boxes[1], narrow)], (1, 1, 8, 24), 4)
    assert found.names == ("local", "global") and found.kind == "tiles"
    torch.testing.assert_close(found.map.sum(0), torch.ones(8, 24))
    assert torch.equal(found.map[:, :, :8], torch.full((2, 8, 8), 0.5))
    assert torch.equal(found.map[1, :, 12:20], torch.zeros(8, 8))
    assert bool((found.map[1, :, 8:12].diff(dim=-1) < 0).all())  # the tiles fade into each other
    assert torch.equal(found.map[:, :, 20:], torch.full((2, 8, 4), 0.5))  # a hole that no tile has
    assert (*found.errors, *found.standard_errors) == pytest.approx((3.0, 2.0, 0.25, 0.1))
    assert (found.gain, found.gain_standard_error) == pytest.approx((2.0, 0.25))


@pytest.mark.parametrize(("kind", "said"), [("map", "Stacking weights"), ("none", "The noise is correlated")])
@pytest.mark.parametrize("interrupted", [False, True])
def test_between_two_tiles_there_is_no_evidence_of_the_whole(interrupted: bool, kind: str, said: str) -> None:
    y = torch.rand(1, 3, 64, 160, generator=torch.Generator().manual_seed(1))
    problem, one = (
        Problem.make(y, Identity(), Gaussian(0.1)),
        restore(y[..., :64], sigma=0.1, config=CONFIG, max_steps=1),
    )
    fusion_weights = dataclasses.replace(uniform_weights(["local", "global"], (1, 3, 64, 64)), kind=kind)
    tile = dataclasses.replace(one, fusion=fusion_weights)

    def solve(part: Problem, callbacks, state):
        if interrupted:
            signal.raise_signal(signal.SIGINT)
        return tile

    result = restore_tiles(problem, CONFIG, lay_out(y.shape, CONFIG.tiles, 1), solve)
    assert (result.status is Status.INTERRUPTED) is (result.fusion is None) is interrupted
    assert (said in result.message) is not interrupted
