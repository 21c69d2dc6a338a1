"""`load_denoiser()`: makes a denoiser from a name, a network of another library, or a function."""

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
        given: One of

            - a name: "shipped", "hf-hub:org/name@revision", "local-dir:PATH", "file:PATH.safetensors", a registered
              name, or an import path "module:function", which is also searched in the working folder;
            - a denoiser, or a descriptor of spandrel;
            - a function or module of `(x, sigma)`, as the denoisers of deepinv, with x `(B, C, H, W)` and sigma `(B,)`
              in units of intensity.

    Raises:
        ConfigError: An unknown name, or an object that is no denoiser.
        WeightsError: Weights that are missing, corrupt, unsafe or made for another network.

    Example:
        >>> import torch
        >>> from hybridprior import load_denoiser
        >>> denoiser = load_denoiser("shipped")
        >>> noisy = torch.full((1, 3, 32, 32), 0.5) + 0.1 * torch.randn(1, 3, 32, 32)
        >>> float((denoiser.denoise(noisy, 0.1) - 0.5).std()) < 0.05
        True
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
        raise ConfigError(f"{name} is a class; pass an instance of it: {name}(...).")
    if callable(given):
        return CallableDenoiser(given)
    raise ConfigError(f"A denoiser is a name, a Denoiser, or a function of (x, sigma), not {type(given).__name__}.")


def owned(given: Any) -> Any:
    """Return a copy of a caller's network, so that it is not changed; any other object is returned unchanged.

    Args:
        given: An argument of `load_denoiser`.

    Example:
        >>> import torch
        >>> from hybridprior.denoisers import owned
        >>> network = torch.nn.Identity()
        >>> owned(network) is network, owned("shipped")
        (False, 'shipped')
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
        with DRAWING:  # a module may draw random weights
            return import_part("denoiser", name, lambda found: load_denoiser(owned(found)))
    path = resolve(name)
    return once(_file if scheme == "file" else _folder, path)


def _folder(folder: Path) -> Denoiser:
    """Return the denoiser in a folder: a diffusion network of diffusers, or the only file of weights."""
    if (folder / "model_index.json").is_file() or (folder / "scheduler_config.json").is_file():
        from hybridprior.denoisers.diffusers import DiffusersDenoiser

        return DiffusersDenoiser.read(folder)
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    found = [path for path in found if path.suffix == ".safetensors"] or found
    if len(found) != 1:
        count = f"{len(found)} files" if found else "no file"
        raise WeightsError(f"'{folder}' contains no diffusion network and {count} of weights; give one: file:PATH.")
    return _file(found[0])


def _file(path: Path) -> Denoiser:
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"'{path}' is no file of weights; use one that ends in {', '.join(SUFFIXES)}.")
    if path.suffix == ".safetensors" and describe(path) is not None:
        return UNetDenoiser.read(path)
    from hybridprior.denoisers.spandrel import SpandrelDenoiser

    return SpandrelDenoiser.read(path)
