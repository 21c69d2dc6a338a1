"""Every block of Python in the documentation runs, at a small size and in a few steps."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import PAGES, blocks

import hybridprior
from hybridprior import RestoreConfig, applications, data, read_image, restore, restore_with_uncertainty
from hybridprior.config import Component, SolverConfig
from hybridprior.data import demo_image
from hybridprior.denoisers import DENOISERS
from hybridprior.generators import GENERATORS
from hybridprior.io.image import to_pil
from hybridprior.operators import OPERATORS, Identity
from hybridprior.regularisers import REGULARISERS
from hybridprior.stopping import STOPPING_RULES
from hybridprior.uncertainty import UncertaintyConfig

CONFIG = RestoreConfig(generator=Component("pixels"), solver=SolverConfig(max_steps=3), precision="fp32")
ALL = [(name, number) for name in PAGES for number in range(len(blocks(name, "python")))]
NOT_RUN = {("docs/ablation.md", "dask_jobqueue"): "needs a cluster"}


def _few_steps(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with three steps where its caller names no other number; plug-and-play as it is."""

    @functools.wraps(function)
    def short(*arguments: Any, **options: Any) -> Any:
        if options.get("generator") != "pixels" and options.get("regulariser") != "auto":
            options.setdefault("max_steps", 3)
        return function(*arguments, **options)

    return short


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, imagenet: Path) -> dict[str, Any]:
    """A folder to write to, functions that take three steps, and the names that the pages suppose."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hybridprior, "restore", _few_steps(restore), raising=False)
    options = UncertaintyConfig(samples=4, burn_in=2)
    sampled = functools.partial(restore_with_uncertainty, max_steps=3, options=options)
    monkeypatch.setattr(hybridprior, "restore_with_uncertainty", sampled, raising=False)
    for name in ("restore_flash", "compare_priors"):
        monkeypatch.setattr(applications, name, functools.partial(getattr(applications, name), max_steps=2))
    for name in ("features_of", "score_of"):
        monkeypatch.setattr(applications, name, functools.partial(getattr(applications, name), weights=str(imagenet)))
    Path("Set5").mkdir()
    image = read_image(demo_image()).pixels
    to_pil(torch.nn.functional.pad(image, (0, 0, 4, 4), "reflect")).save("Set5/woman_GT.bmp")
    crop = image[..., 8:40, 8:40].contiguous()
    to_pil(crop).save("demo.png")
    monkeypatch.setattr(data, "demo_image", lambda: Path("demo.png"))
    return {"__name__": "example", "y": crop, "x": crop[:, :1], "operator": Identity()} | {
        "dim": crop, "flash": crop, "photograph": crop
    }  # fmt: skip


@pytest.mark.parametrize(("name", "number"), ALL)
def test_a_block_runs(name: str, number: int, small: dict[str, Any]) -> None:
    code = blocks(name, "python")[number]
    compile(code, name, "exec")
    code = code.replace("64, 64", "32, 32").replace("max_steps=30", "max_steps=5")
    if any(name == page and word in code for page, word in NOT_RUN):
        return
    if name == "docs/extending.md":
        return  # below, where what it registers is removed
    if "Tomography" in code:
        small["x"] = torch.nn.functional.pad(small["x"], (16, 16, 16, 16))
        code = code.replace("angles=24", "angles=4").replace('"auto", preset', '"none", preset')
    exec(code, small)
    _check(small)


def _check(made: dict[str, Any]) -> None:
    """Check what a block made, by the names in it."""
    if "compare" in made:
        assert set(made["compare"](demo_image(), "gaussian:1", side=24)) == {"blurred", "valid", "replicate", "reflect"}
    if "both" in made:
        assert made["both"].config.regulariser.name == "denoiser"
        assert made["alone"].config.method == "pnp"
    if "table" in made:
        assert len(made["table"]) == 4
    if "page" in made:
        assert Path("noise.html").read_text().count("data:image/png") == 3


def test_the_examples_of_extending_run() -> None:
    y = torch.rand(1, 3, 8, 8)
    try:
        space: dict = {"__name__": "example"}
        for block in blocks("docs/extending.md", "python"):
            exec(block, space)
        result = restore(y, space["Flip"](), config=CONFIG, sigma=0.1, regulariser="grey", stopping="discrepancy")
        assert result.image.shape == y.shape
        assert result.config.regulariser.name == "grey"
        assert restore(y, config=CONFIG, sigma=0.1, regulariser="denoiser", denoiser="blur").image.shape == y.shape
        coarse = restore(y, config=CONFIG, sigma=0.1, generator="coarse", max_steps=3)
        assert coarse.config.generator.name == "coarse"
        assert coarse.image.shape == y.shape
    finally:
        for registry, name in (
            (OPERATORS, "flip"),
            (REGULARISERS, "grey"),
            (STOPPING_RULES, "discrepancy"),
            (DENOISERS, "blur"),
            (GENERATORS, "coarse"),
        ):
            registry.pop(name, None)


def test_the_pages_are_found() -> None:
    assert len(ALL) > 15
