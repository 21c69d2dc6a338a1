"""`load_denoiser()`: a name, a network of another library, or a function becomes a denoiser."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hybridprior._internal.imports import import_part, is_import
from hybridprior._internal.random import DRAWING
from hybridprior.denoisers.base import DENOISERS, Denoiser, once
from hybridprior.denoisers.callable import CallableDenoiser
from hybridprior.denoisers.pretrained import UNetDenoiser, describe
from hybridprior.denoisers.weights import SCHEMES, resolve
from hybridprior.errors import ConfigError, WeightsError, unknown_name

__all__ = ["load_denoiser", "owned"]

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


def load_denoiser(given: str | Denoiser | nn.Module | Callable[[torch.Tensor, torch.Tensor], Any]) -> Denoiser:
    """Return a denoiser.

    Args:
        given: A name: "shipped", "hf-hub:org/name@revision", "local-dir:PATH", "file:PATH.safetensors", one that is
            registered, or "module:function", imported from the working folder, too; a denoiser; a descriptor of
            spandrel; or any function or module of `(x, sigma)`, with x `(B, C, H, W)` and sigma `(B,)` in units of
            intensity, as deepinv's denoisers are.

    Raises:
        ConfigError: An unknown name, or something that is no denoiser.
        WeightsError: Weights that are missing, corrupt, unsafe or of another network.
    """
    if isinstance(given, Denoiser):
        return given
    if isinstance(given, str):
        return _named(given)
    if hasattr(given, "architecture") and hasattr(given, "size_requirements"):
        from hybridprior.denoisers.spandrel import SpandrelDenoiser

        return SpandrelDenoiser(given)  # type: ignore[arg-type]
    if inspect.isclass(given):
        name = given.__name__
        raise ConfigError(f"{name} is a class and no denoiser yet; make an object of it: {name}(...).")
    if callable(given):
        return CallableDenoiser(given)
    raise ConfigError(f"A denoiser is a name, a Denoiser, or a function of (x, sigma), not {type(given).__name__}.")


def owned(given: Any) -> Any:
    """Return a copy of a network that somebody gave, so that theirs stays as it is; anything else as it is.

    Args:
        given: What `load_denoiser` takes.
    """
    network = isinstance(given, nn.Module) or hasattr(given, "size_requirements")
    return copy.deepcopy(given) if network and not inspect.isclass(given) else given


def _named(name: str) -> Denoiser:
    scheme, colon, _ = name.partition(":")
    if not colon:
        if name not in DENOISERS.names():
            others = (*(f"{scheme}:..." for scheme in SCHEMES), "module:function")
            raise unknown_name("denoiser", name, (*DENOISERS, *others))
        return DENOISERS[name]()
    if scheme not in SCHEMES and is_import(name):
        with DRAWING:  # a module may draw its weights
            return import_part("denoiser", name, lambda found: load_denoiser(owned(found)))
    path = resolve(name)
    return once(_file if scheme == "file" else _folder, path)


def _folder(folder: Path) -> Denoiser:
    """Return the denoiser in a folder: one of diffusers', or the only file of weights."""
    if (folder / "model_index.json").is_file() or (folder / "scheduler_config.json").is_file():
        from hybridprior.denoisers.diffusers import DiffusersDenoiser

        return DiffusersDenoiser.read(folder)
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    found = [path for path in found if path.suffix == ".safetensors"] or found
    if len(found) != 1:
        count = f"{len(found)} files" if found else "no file"
        raise WeightsError(f"'{folder}' holds no diffusion network and {count} of weights; name one: file:PATH.")
    return _file(found[0])


def _file(path: Path) -> Denoiser:
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"'{path}' is no file of weights; those end in {', '.join(SUFFIXES)}.")
    if path.suffix == ".safetensors" and describe(path) is not None:
        return UNetDenoiser.read(path)
    from hybridprior.denoisers.spandrel import SpandrelDenoiser

    return SpandrelDenoiser.read(path)
