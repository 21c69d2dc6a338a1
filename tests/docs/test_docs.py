"""The examples of docs/extending.md run, and their parts keep the contract."""

import re
from pathlib import Path

import pytest
import torch

from hybridprior import Component, RestoreConfig, SolverConfig, restore
from hybridprior.denoisers import DENOISERS
from hybridprior.generators import GENERATORS
from hybridprior.operators import OPERATORS
from hybridprior.regularisers import REGULARISERS
from hybridprior.stopping import STOPPING_RULES

DOCS = Path(__file__).parents[2] / "docs"
CONFIG = RestoreConfig(generator=Component("pixels"), solver=SolverConfig(max_steps=3), precision="fp32")


def _blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), flags=re.DOTALL)


def test_the_examples_of_extending_run() -> None:
    y = torch.rand(1, 3, 8, 8)
    try:
        space: dict = {"__name__": "example"}
        for block in _blocks("extending.md"):
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


def test_the_examples_of_the_global_prior_run() -> None:
    (block,) = (block for block in _blocks("api.md") if "load_denoiser" in block)
    space: dict = {}
    exec(block, space)
    assert space["both"].config.regulariser.name == "denoiser"
    assert space["alone"].config.method == "splitting"


def test_the_example_of_ablation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in _blocks("ablation.md") if "import ablate" in block)
    space: dict = {}
    exec(block, space)
    assert len(space["table"]) == 4


def test_every_page_is_in_the_navigation() -> None:
    nav = (DOCS.parent / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    pages = re.findall(r"^\s+- .*?([\w-]+\.md)$", nav, flags=re.MULTILINE)
    assert len(pages) == len(set(pages))
    assert set(pages) == {path.name for path in DOCS.glob("*.md")}


PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", *(f"docs/{path.name}" for path in DOCS.glob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = DOCS.parent / name
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{name} links to {target}"


def test_the_example_of_the_report_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = _blocks("report.md")
    exec(block, {})
    assert (tmp_path / "noise.html").read_text().count("data:image/png") == 3
