"""The pages are in the navigation, and their links lead somewhere."""

import re

import pytest
from pages import DOCS, PAGES, ROOT, text


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    pages = re.findall(r"^\s+- .*?([\w-]+\.md)$", nav, flags=re.MULTILINE)
    assert len(pages) == len(set(pages))
    assert set(pages) == {path.name for path in DOCS.glob("*.md")}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)\)", text(name)):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{name} links to {target}"
