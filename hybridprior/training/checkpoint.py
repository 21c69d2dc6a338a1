"""Checkpoints of a training, as `Trainer.save` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hybridprior.errors import InputError

__all__ = ["read_checkpoint"]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint: weights, optimiser, history, the configuration and the size of the network.

    Args:
        path: The file that `Trainer.save` wrote.

    Raises:
        InputError: The file is no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken pickle can raise any error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"'{path}' is no checkpoint ({reason}); start a new training in another folder.") from error
    if not isinstance(state, dict) or not {"network", "mean", "optimiser", "step", "config", "size"} <= state.keys():
        raise InputError(f"'{path}' is no checkpoint of a training; start a new training in another folder.")
    return state
