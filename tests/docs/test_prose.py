"""A line of Markdown ends with its sentence, and a line has one sentence."""

import re

import pytest
from pages import PAGES, prose

END = re.compile(r"[.:?!;][)*\"']*$")
TWO = re.compile(r"(?<=[a-z0-9)`*])[.?!] +(?=[A-Z`*])")
ABBREVIATIONS = ("et al. ", "vs. ")


def _sentences(name: str) -> list[str]:
    lines = [line.rstrip() for line in prose(name).splitlines()]
    return [line for line in lines if line and not re.match(r"\||#|!\[|    |---", line)]


@pytest.mark.parametrize("name", PAGES)
def test_lines_end_with_their_sentence(name: str) -> None:
    lines = prose(name).splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        ordinary = line.strip() and not re.match(r"\||#|!\[|    ", line)
        if ordinary and after.strip() and not re.match(r"\||#|\s*[-*] |\s*\d+\. ", after):
            assert END.search(line.rstrip()), f"{name}: {line}"


@pytest.mark.parametrize("name", PAGES)
def test_a_line_has_one_sentence(name: str) -> None:
    for line in _sentences(name):
        plain = re.sub(r"`[^`]*`|\([^)]*\)", "", line)
        for abbreviation in ABBREVIATIONS:
            plain = plain.replace(abbreviation, "")
        plain = re.sub(r"^\s*\d+\. ", "", plain)
        assert not TWO.search(plain), f"{name}: {line}"
