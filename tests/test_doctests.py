"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import pytest
import torch
from source_tree import modules

# Modules that need an optional package or a GPU.
NOT_IMPORTED = ("hybridprior.generators.cuda.kernels", "hybridprior.cli")


def _documented() -> list[str]:
    return [
        name
        for name, module in modules().items()
        if not name.startswith(NOT_IMPORTED) and ">>> " in module.path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", _documented())
def test_examples_in_docstrings(name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert not failed
