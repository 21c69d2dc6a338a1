"""Every command in the documentation parses, and every option, module, file and message in it exists."""

import ast
import functools
import importlib
import re
import shlex
from typing import Any

import pytest
import typer
from hybridprior.cli.app import app
from pages import EXAMPLES, PAGES, ROOT, commands, example, spans, text

CLI = typer.main.get_command(app)
OTHERS = {"--strict", "--name"}  # of mkdocs, and the prose's own placeholder


def parsed(command: Any, arguments: list[str]) -> None:
    """Parse the arguments of a command or of a verb below it, and run nothing."""
    if "--help" in arguments:
        arguments = [argument for argument in arguments if argument != "--help"]
        if not arguments:
            return
    context = command.make_context(command.name, list(arguments))
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        _, verb, after = command.resolve_command(context, rest)
        if after or not hasattr(verb, "resolve_command"):
            parsed(verb, after)


def options(command: Any) -> set[str]:
    """The options of a command and of all verbs below it."""
    found = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    for verb in getattr(command, "commands", {}).values():
        found |= options(verb)
    return found


def arguments_of(command: str) -> list[str]:
    """The arguments of a command whose placeholder for "all options as above" is left out."""
    return [argument for argument in shlex.split(command)[1:] if argument != "..." and "VERB" not in argument]


@pytest.mark.parametrize("name", PAGES)
def test_commands_parse(name: str) -> None:
    for command in commands(name, "hprior"):
        arguments = arguments_of(command)
        if len(arguments) < 2 or "..." in command:
            known = [flag for flag in arguments if flag.startswith("-")]
            assert set(known) <= options(CLI) | {"--help"}, f"{name}: {command}"
            continue
        try:
            parsed(CLI, arguments)
        except Exception as error:  # of click, which newer versions of typer contain
            if not hasattr(error, "format_message"):
                raise
            only_named = type(error).__name__ == "MissingParameter" and command in spans(name)
            assert only_named, f"{name}: {command}: {error.format_message()}"


@pytest.mark.parametrize("name", PAGES)
def test_commands_of_the_examples_parse(name: str) -> None:
    for command in commands(name, "python"):
        script, *arguments = shlex.split(command)[1:]
        assert (ROOT / script).exists(), f"{name}: {command}"
        example((ROOT / script).stem)._parser().parse_args(arguments)


def test_the_commands_in_the_docstrings_of_the_examples_parse() -> None:
    for path in EXAMPLES.glob("*.py"):
        for line in (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines():
            command = line.strip()
            if command.startswith("python examples/"):
                example(path.stem)._parser().parse_args(shlex.split(command)[2:])
            elif command.startswith("hprior "):
                parsed(CLI, shlex.split(command)[1:])


@pytest.mark.parametrize("name", PAGES)
def test_options_exist(name: str) -> None:
    known = options(CLI) | OTHERS | {"--help"}
    for path in EXAMPLES.glob("*.py"):
        known |= set(re.findall(r'"(--[a-z-]+)"', path.read_text()))
    for span in spans(name):
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span):
            assert flag in known, f"{name}: {flag} in `{span}`"


def _exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for attribute in parts[count:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


GROUPS = {"hybridprior.noise_models", "hybridprior.stopping_rules"}  # entry points, not modules


@pytest.mark.parametrize("name", PAGES)
def test_modules_and_files_exist(name: str) -> None:
    for span in spans(name):
        for dotted in re.findall(r"\bhybridprior(?:\.\w+)+", span):
            assert dotted in GROUPS or _exists(dotted), f"{name}: {dotted}"
        if re.fullmatch(r"(?:hybridprior|cli|tests|docs|examples|weights)/[\w./-]+", span) and "yours" not in span:
            assert (ROOT / span).exists(), f"{name}: {span}"


# Of other packages, of entry points, and placeholders.
FOREIGN = {"Reconstructor", "StackedPhysics", "UNet2DModel", "Image", "YoursConfig", "Grey", "maximum_jobs"}
FOREIGN |= {group.partition(".")[2] for group in GROUPS}


@functools.cache
def _words() -> frozenset[str]:
    """Every name, and every word of every string, in the code, the templates and the packaging."""
    found: set[str] = set()
    for folder in ("hybridprior", "cli", "weights", "examples"):
        for suffix in ("*.py", "*.j2", "*.toml", "*.js"):
            for path in (ROOT / folder).rglob(suffix):
                found |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return frozenset(found)


@pytest.mark.parametrize("name", PAGES)
def test_names_exist(name: str) -> None:
    for span in spans(name):
        if re.search(r"[/:=\s-]|^[A-Z_]+$", span.partition("(")[0]):
            continue  # a path, a command or an assignment
        for word in re.findall(r"\b(?:[A-Z]+[a-z]\w*|[a-z]+_\w+)", span):
            assert word in _words() | FOREIGN, f"{name}: {word} in `{span}`"


def _messages() -> list[str]:
    """Every string of the code, with "..." for what is filled in."""
    found = []
    for folder in ("hybridprior", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(p.value if isinstance(p, ast.Constant) else "..." for p in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return found


def test_the_messages_of_troubleshooting_exist() -> None:
    table = text("docs/troubleshooting.md").partition("## Messages")[2].partition("\n## ")[0]
    strings = _messages()
    for message in re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE):
        pattern = re.compile(".*?".join(re.escape(piece) for piece in message.split("...")), flags=re.IGNORECASE)
        assert any(pattern.search(string) for string in strings), f"No message has '{message}'."
