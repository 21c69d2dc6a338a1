"""Sizes: files of at most 280 lines, functions of at most 40 without their docstring, classes of at most 12 attributes.

The verbs of the command line, whose signature lists every option, and the CUDA kernels are exempt from the second.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from source_tree import ROOT

FILE_LINES, FUNCTION_LINES, ATTRIBUTES = 280, 40, 12
EXEMPT = ("cli/commands/", "hybridprior/generators/cuda/kernels/")

# `restore()` lists every choice in its signature, as the verbs do.
EXEMPT_FUNCTION = "hybridprior/restoration.py::restore"


def _files() -> list[Path]:
    folders = ("hybridprior", "cli", "weights", "examples", "tests")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def _docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) - first.lineno + 1 if documented else 0


def _attributes(class_: ast.ClassDef) -> set[str]:
    """The names that methods assign on `self`."""
    stored = (node for node in ast.walk(class_) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"}


def _too_large(path: Path) -> Iterator[str]:
    name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    if len(text.splitlines()) > FILE_LINES:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not name.startswith(EXEMPT):
            if (node.end_lineno or 0) - node.lineno + 1 - _docstring_lines(node) > FUNCTION_LINES:
                yield f"{name}::{node.name}"
        elif isinstance(node, ast.ClassDef) and len(_attributes(node)) > ATTRIBUTES:
            yield f"{name}::{node.name}"


def test_sizes() -> None:
    found = {name for path in _files() for name in _too_large(path)}
    assert not found - {EXEMPT_FUNCTION}, "These files, functions or classes are too large; split them."
