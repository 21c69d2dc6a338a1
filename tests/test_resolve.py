"""The decisions of `resolve`: what becomes of a configuration and of what a caller asks for."""

import dataclasses

import pytest
import torch

from hybridprior import Component, ConfigError, Overrides, Problem, RestoreConfig, SolverConfig
from hybridprior.operators import Blur, Identity
from hybridprior.presets import preset
from hybridprior.regularisers import TotalVariation
from hybridprior.regularisers.red import RED
from hybridprior.resolve import configure, resolve

FUSION = preset("balanced", "denoise")
WITHOUT_STACKING = preset("balanced", "dejpeg")
NETWORK = preset("fast", "denoise")
ALIAS = dataclasses.replace(NETWORK, regulariser=Component("auto", {"runs": 2}))
PIXELS = RestoreConfig(generator=Component("pixels"), regulariser=Component("denoiser"))
PNP = dataclasses.replace(PIXELS, method="pnp", solver=SolverConfig(max_steps=7))
SPLIT_PIXELS = dataclasses.replace(PIXELS, method="splitting", solver=SolverConfig(max_steps=7))

# Configuration, overrides, and then: solver, generator, regulariser, stopping rule.
TABLE = [
    # The solver "fusion" and its alias.
    (FUSION, {}, ("fusion", "skip", "denoiser", "heldout")),
    (NETWORK, {"regulariser": "auto"}, ("fusion", "skip", "denoiser", "heldout")),
    (NETWORK, {"solver": "fusion"}, ("fusion", "skip", "denoiser", "heldout")),
    (ALIAS, {}, ("fusion", "skip", "denoiser", "heldout")),
    (FUSION, {"denoiser": "shipped"}, ("fusion", "skip", "denoiser", "heldout")),
    (FUSION, {"generator": "decoder"}, ("fusion", "decoder", "denoiser", "heldout")),
    (WITHOUT_STACKING, {"regulariser": "auto"}, ("fusion", "skip", "denoiser", "heldout")),
    # What the fusion has no room for.
    (FUSION, {"regulariser": "none"}, ("gradient", "skip", "none", "heldout")),
    (FUSION, {"regulariser": "denoiser"}, ("gradient", "skip", "denoiser", "heldout")),
    (FUSION, {"solver": "gradient"}, ("gradient", "skip", "denoiser", "heldout")),
    (FUSION, {"solver": "splitting"}, ("splitting", "skip", "denoiser", "heldout")),
    (FUSION, {"denoiser_sigma": (0.2, 0.1)}, ("gradient", "skip", "denoiser", "heldout")),
    (FUSION, {"stopping": "fixed"}, ("gradient", "skip", "none", "fixed")),
    (FUSION, {"stopping": "fixed", "denoiser": "shipped"}, ("gradient", "skip", "denoiser", "fixed")),
    (FUSION, {"generator": "pixels"}, ("gradient", "pixels", "none", "heldout")),
    (FUSION, {"generator": "pixels", "denoiser": "shipped"}, ("pnp", "pixels", "denoiser", "fixed")),
    # A fusion without stacking weights is its denoiser alone.
    (WITHOUT_STACKING, {}, ("pnp", "pixels", "denoiser", "fixed")),
    (WITHOUT_STACKING, {"generator": "decoder"}, ("gradient", "decoder", "none", "heldout")),
    # Plug-and-play.
    (NETWORK, {"solver": "pnp"}, ("pnp", "pixels", "denoiser", "fixed")),
    (FUSION, {"solver": "pnp"}, ("pnp", "pixels", "denoiser", "fixed")),
    (NETWORK, {"generator": "pixels", "regulariser": "denoiser"}, ("pnp", "pixels", "denoiser", "fixed")),
    (NETWORK, {"generator": "pixels", "regulariser": RED()}, ("pnp", "pixels", "denoiser", "fixed")),
    (
        NETWORK,
        {"generator": "pixels", "regulariser": "denoiser", "stopping": "heldout"},
        ("pnp", "pixels", "denoiser", "heldout"),
    ),
    (
        NETWORK,
        {"generator": "pixels", "regulariser": "denoiser", "solver": "gradient"},
        ("gradient", "pixels", "denoiser", "heldout"),
    ),
    (NETWORK, {"generator": "pixels", "regulariser": "tv"}, ("gradient", "pixels", "tv", "heldout")),
    (NETWORK, {"generator": "pixels", "regulariser": TotalVariation()}, ("gradient", "pixels", "tv", "heldout")),
    (PIXELS, {}, ("gradient", "pixels", "denoiser", "fixed")),
    (SPLIT_PIXELS, {}, ("pnp", "pixels", "denoiser", "fixed")),
    (PNP, {}, ("pnp", "pixels", "denoiser", "fixed")),
    # Networks.
    (NETWORK, {}, ("gradient", "skip", "none", "heldout")),
    (NETWORK, {"regulariser": "denoiser+tv"}, ("gradient", "skip", "denoiser+tv", "heldout")),
    (NETWORK, {"regulariser": "denoiser", "solver": "splitting"}, ("splitting", "skip", "denoiser", "heldout")),
    (NETWORK, {"stopping": "auto"}, ("gradient", "skip", "none", "heldout")),
]


def _problem(sigma: float = 0.1) -> Problem:
    return Problem.make(torch.rand(1, 3, 32, 32), Blur(torch.ones(3, 3) / 9), sigma=sigma)


def _names(config: RestoreConfig) -> tuple[str, str, str, str]:
    return config.method, config.generator.name, config.regulariser.name, config.stopping.name


@pytest.mark.parametrize(("config", "asked", "names"), TABLE)
def test_the_decision_table(config: RestoreConfig, asked: dict, names: tuple[str, ...]) -> None:
    ran, components = resolve(config, Overrides(**asked), _problem())
    assert _names(ran) == names
    assert components.stopping.__class__.__name__.lower() == names[3]
    assert RestoreConfig.from_json(ran.to_json()) == ran


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        (NETWORK, {"regulariser": "auto", "generator": "pixels"}),
        (NETWORK, {"regulariser": "auto", "solver": "splitting"}),
        (NETWORK, {"regulariser": "auto", "stopping": "fixed"}),
        (NETWORK, {"regulariser": "auto", "denoiser_sigma": (0.2, 0.1)}),
        (NETWORK, {"regulariser": "auto+tv"}),
        (NETWORK, {"solver": "fusion", "regulariser": "tv"}),
        (FUSION, {"weight": {"denoiser": 1.0}}),
        (PNP, {"regulariser": "auto"}),
        (NETWORK, {"solver": "pnp", "generator": "skip"}),
        (NETWORK, {"solver": "magic"}),
        (NETWORK, {"denoiser": "shipped"}),
    ],
)
def test_what_does_not_go_together_is_refused(config: RestoreConfig, asked: dict) -> None:
    with pytest.raises(ConfigError):
        configure(config, Overrides(**asked))


def test_the_alias_keeps_the_options_of_the_fusion() -> None:
    assert configure(ALIAS, Overrides()).fusion == {"runs": 2}
    with pytest.raises(ConfigError, match="wrong"):
        configure(dataclasses.replace(NETWORK, regulariser=Component("auto", {"wrong": 1})), Overrides())


def test_the_stopping_rule_auto_depends_on_the_noise() -> None:
    names = [resolve(NETWORK, Overrides(stopping="auto"), _problem(sigma))[0].stopping.name for sigma in (0.0, 0.1)]
    assert names == ["fixed", "heldout"]


def test_plug_and_play_takes_one_step_where_one_pass_is_the_answer() -> None:
    noisy = Problem.make(torch.rand(1, 3, 32, 32), Identity(), sigma=0.1)
    assert resolve(NETWORK, Overrides(solver="pnp"), noisy)[0].solver.max_steps == 1
    assert resolve(NETWORK, Overrides(solver="pnp"), _problem())[0].solver.max_steps == NETWORK.splitting.iterations


def test_one_pixel_has_no_fusion() -> None:
    ran, _ = resolve(FUSION, Overrides(), Problem.make(torch.rand(1, 3, 1, 1), Identity(), sigma=0.1))
    assert _names(ran) == ("gradient", "skip", "none", "fixed")


def test_a_configuration_has_names_and_components_have_objects() -> None:
    def half(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return 0.5 * x

    ran, components = resolve(NETWORK, Overrides(regulariser="denoiser", denoiser=half), _problem())
    assert isinstance(ran.regulariser.options["denoiser"], str)
    assert torch.equal(components.denoiser.denoise(torch.ones(1, 3, 8, 8), 0.1), torch.full((1, 3, 8, 8), 0.5))


def test_two_functions_of_one_name_have_two_identities() -> None:
    def identity(factor: float) -> object:
        def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return factor * x

        asked = Overrides(regulariser="denoiser", denoiser=denoiser)
        return resolve(NETWORK, asked, _problem())[1].identity

    assert identity(0.5) == identity(0.5)
    assert identity(0.5) != identity(0.6)
    first, second = (
        resolve(NETWORK, Overrides(regulariser="denoiser", denoiser=each), _problem())[1].identity
        for each in (lambda x, sigma: 0.5 * x, lambda x, sigma: 0.6 * x)
    )
    assert first != second
