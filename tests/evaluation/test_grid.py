"""The grid of an ablation: its combinations and conditions, and what is wrong with it."""

import dataclasses

import pytest

from hybridprior.errors import ConfigError, HybridPriorError
from hybridprior.evaluation.ablation import Combination, Grid, conditions
from hybridprior.presets import TASKS

SMALL = Grid(generators=("decoder", "pixels"), preset="fast", steps=3)


def test_combinations_without_sense_are_left_out() -> None:
    grid = Grid(regularisers=("none", "tv", "auto"), weights=(0.3, 3.0))
    assert grid.combinations() == [
        Combination("skip", "none", None),
        Combination("skip", "tv", 0.3),
        Combination("skip", "tv", 3.0),
        Combination("skip", "auto", None),
        Combination("pixels", "none", None),
        Combination("pixels", "tv", 0.3),
        Combination("pixels", "tv", 3.0),
    ]
    with pytest.raises(ConfigError, match="auto"):
        Grid(generators=("pixels",), regularisers=("auto",))


def test_conditions_are_those_of_the_bench() -> None:
    every = conditions(TASKS, scales=[2, 4], missing=[0.8])
    assert [(how.task, how.label) for how in every] == [
        ("denoise", "sigma 25"),
        ("sr", "x2"),
        ("sr", "x4"),
        ("inpaint", "80 % missing"),
        ("deblur", "gaussian:2, sigma 2.55"),
        ("dejpeg", "quality 20"),
        ("demosaic", "RGGB"),
    ]
    assert Grid(conditions=every).multiple == 32
    assert Grid(conditions=conditions(["sr"], scales=[3])).multiple == 3
    noisy = conditions(["inpaint"], sigmas=[10 / 255], missing=[0.5])
    assert noisy[0].label == "50 % missing, sigma 10"


def test_pixels_are_solved_to_the_end_and_plug_and_play_where_r_splits() -> None:
    how = SMALL.conditions[0]
    nothing = SMALL.configure(how, Combination("pixels", "none", None))
    alone = SMALL.configure(how, Combination("pixels", "denoiser", 1.0))
    assert (nothing.stopping.name, nothing.solver.max_steps) == ("fixed", 1000)
    assert (alone.method, alone.solver.max_steps) == ("pnp", alone.splitting.iterations)
    assert SMALL.configure(how, Combination("decoder", "none", None)).solver.max_steps == 3


def test_a_grid_says_what_is_wrong_with_it() -> None:
    for changes in (
        {"generators": ()},
        {"generators": ("skp",)},
        {"regularisers": ("denoyser",)},
        {"seeds": (0, 0)},
        {"preset": "slow"},
        {"conditions": conditions(["denoise"], seed=1) + conditions(["denoise"], seed=2)},
    ):
        with pytest.raises(ConfigError):
            Grid(**changes)
    with pytest.raises(HybridPriorError):
        dataclasses.replace(SMALL, denoiser="file:nowhere.safetensors").check()
