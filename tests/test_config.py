"""Configurations in JSON, and options that do not exist."""

import pytest

from hybridprior import Component, ConfigError, RestoreConfig, SolverConfig
from hybridprior.generators import build_generator


def test_configuration_goes_to_json_and_back() -> None:
    config = RestoreConfig(
        generator=Component("skip", {"down": (8, 8), "up": (8, 8), "skip": (2, 2)}),
        regulariser=Component("tv", {"scale": 0.1}),
        weight=0.3,
        solver=SolverConfig(max_steps=7, input_noise_std=0.1),
        seed=9,
    )
    assert RestoreConfig.from_json(config.to_json()) == config
    assert RestoreConfig.from_dict({"generator": "pixels", "solver": {"max_steps": 3}}).solver.max_steps == 3
    for values, words in (
        ({"sead": 3}, "Did you mean 'seed'"),
        ({"solver": {"step": 3}}, "Did you mean 'max_steps'"),
        ({"solver": {"ema_decay": 1.0}}, "ema_decay"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ConfigError, match=words):
            RestoreConfig.from_dict(values)
    for text in ("{", "3"):
        with pytest.raises(ConfigError, match="JSON"):
            RestoreConfig.from_json(text)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("skip", {"dwn": (8,)}, "Did you mean 'down'"),
        ("skip", {"down": (8,), "up": (8, 8), "skip": (2,)}, "one number for each level"),
        ("skip", {"padding": "zero"}, "Did you mean 'zeros'"),
        ("skip", {"filter_up": 4}, "odd"),
        ("decoder", {"channels": ()}, "at least one layer"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_generator(name, 3, options)
