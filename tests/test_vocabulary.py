"""Plain technical English: the words that the vocabulary leaves out do not occur in code, messages or documentation.

Names are split at underscores and capitals. Strings that are hashed into random streams are not vocabulary.
"""

import ast
import re
from pathlib import Path

from source_tree import ROOT

# Left out everywhere: in names, docstrings, comments, messages, templates and documentation.
WORDS = (
    r"pictures?|judges?|judged|judging|judge?ments?|lessons?|taught|believ(?:e|es|ed|ing)|told|handed|"
    r"jitter(?:ed)?|accidents?|afresh|rivals?|nobody|somebody|plugged|rehears(?:al|e|ed)|pressed|look_up|looks|"
    r"asked|asks|mends?|parted|evidence|weighs?|weighed|by heart|nats a measurement|who\.png"
)
# Left out as a name of a function, class, argument, attribute or variable.
# fmt: off
NAMES = {
    "held", "kept", "parted", "weigh", "spreads", "tuned", "lesson", "Alone", "plugged", "Race", "rival", "averaging",
    "jitter", "shorter", "afresh", "memory", "recall", "go_on", "Captured", "Stride", "forth", "rehearsal",
    "PressedError", "look_up", "coupling", "dual", "reconcile",
}
# fmt: on
# Other meanings: (path, text) pairs that are correct English or fixed by a file format.
ALLOWED: tuple[tuple[str, str], ...] = (
    ("hybridprior/", 'stream(seed, "noise on the picture")'),
    ("docs/", "--told"),  # an option of `hprior bench`
    ("cli/commands/bench.py", '"--told"'),
)
STREAMS = re.compile(r"""(?:stream|drawn|derive)\([^()]*?["'][^"']*["']""")

# Folders and files whose text is still being rewritten. This list only gets shorter.
PENDING: tuple[str, ...] = ()

_WORD = re.compile(rf"(?<![A-Za-z])(?i:{WORDS})(?![a-z])")


def _texts() -> list[Path]:
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    for folder in ("hybridprior", "cli", "weights", "examples", "docs"):
        for suffix in ("*.py", "*.md", "*.j2", "*.js", "*.css", "*.toml"):
            found += sorted((ROOT / folder).rglob(suffix))
    return found


def _pending(name: str) -> bool:
    return name.startswith(PENDING)


def _words(line: str) -> list[str]:
    """The words in a line that are left out; the first letters of a longer name in capitals are no word."""
    return [
        match.group()
        for match in _WORD.finditer(line)
        if not (match.group().isupper() and line[match.end() : match.end() + 1].isupper())
    ]


def left_out_words(name: str, text: str) -> list[str]:
    """The lines of a text with a word that is left out, as `path:line: word`."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        checked = STREAMS.sub("", line)
        for path, allowed in ALLOWED:
            checked = checked.replace(allowed, "") if name.startswith(path) else checked
        found += [f"{name}:{number}: {word}" for word in _words(checked)]
    return found


def left_out_names(name: str, text: str) -> list[str]:
    """The definitions in a module with a name that is left out, as `path:line: name`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined = node.name
        elif isinstance(node, ast.arg):
            defined = node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            defined = node.attr
        else:
            continue
        if defined.lstrip("_") in NAMES:
            found.append(f"{name}:{node.lineno}: {defined}")
    return found


def test_words() -> None:
    found = []
    for path in _texts():
        name = path.relative_to(ROOT).as_posix()
        if not _pending(name):
            found += left_out_words(name, path.read_text(encoding="utf-8"))
    assert not found, "Use the terms of the field in place of these words."


def test_names() -> None:
    found = []
    for path in _texts():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and not _pending(name):
            found += left_out_names(name, path.read_text(encoding="utf-8"))
    assert not found, "Use the terms of the field in place of these names."


def test_a_word_is_found_in_a_name_a_string_and_a_comment() -> None:
    text = 'def picture_of(x): return "a judge"  # told\nclass PressedError: ...\nstream(seed, "parted")\n'
    words = [line.rpartition(" ")[2] for line in left_out_words("module.py", text)]
    assert words == ["picture", "judge", "told", "Pressed"]
    assert left_out_names("module.py", "held = 1\nbeholden = 2\n") == ["module.py:1: held"]
