"""`hprior info`: versions, the device, and the precision with its reason."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import Annotated

import typer

import hybridprior

from ..console import say
from ..options import Device, check_name

__all__ = ["info"]


def info(
    device: Device = "auto",
    format: Annotated[str, typer.Option(help="human or json.")] = "human",
) -> None:
    """Show versions, the device, the precision and the reason for it, and the names of all components."""
    check_name("format", format, ("human", "json"))

    import torch

    from hybridprior._internal.device import choose_device, choose_precision
    from hybridprior.denoisers import DENOISERS
    from hybridprior.generators import GENERATORS
    from hybridprior.operators import OPERATORS
    from hybridprior.presets import PRESETS
    from hybridprior.regularisers import REGULARISERS
    from hybridprior.solvers import SOLVERS
    from hybridprior.stopping import STOPPING_RULES

    where = choose_device(device)
    facts = {
        "hybridprior": hybridprior.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else str(where),
        "threads": torch.get_num_threads(),
        "precision": str(choose_precision(where)),
        "presets": list(PRESETS),
        "generators": GENERATORS.names(),
        "operators": OPERATORS.names(),
        "regularisers": REGULARISERS.names(),
        "denoisers": DENOISERS.names(),
        "solvers": SOLVERS.names(),
        "stopping rules": STOPPING_RULES.names(),
    }
    if format == "json":
        say(json.dumps(facts))
        return
    for name, value in facts.items():
        say(f"{name:<15} {', '.join(value) if isinstance(value, list) else value}")
