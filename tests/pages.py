"""The pages of the documentation, their blocks of code, commands and code spans; and the examples as modules."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"

PAGES = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    *sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")),
]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def text(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """The text of a page without its blocks of code."""
    return _FENCE.sub("", text(name))


def blocks(name: str, language: str) -> list[str]:
    """The blocks of code in a language; "" is that of the shell."""
    return [code for found, code in _FENCE.findall(text(name)) if found == language]


def spans(name: str) -> list[str]:
    """The code spans of a page."""
    return re.findall(r"`([^`\n]+)`", prose(name))


def shell_lines(code: str) -> list[str]:
    """The commands of a block of the shell, without comments."""
    lines = re.sub(r"\\\n\s*", " ", code).splitlines()
    commands = [command.strip() for line in lines for command in re.sub(r"(^|\s)#.*", "", line).split("&&")]
    return [command for command in commands if command]


def commands(name: str, program: str) -> list[str]:
    """The commands of a page that start with a program, those in code spans included."""
    found = [line for code in blocks(name, "") for line in shell_lines(code)] + spans(name)
    return [command for command in found if command.split()[0] == program]


def example(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
