"""The presets: named configurations for each task.

`paper` is the published configuration of Deep Image Prior, in fp32 and with its own number of steps, to be compared
with; `paper-*` are its settings for single images. `balanced` and `fast` are ours and stop without ground truth. They
were chosen on a few photographs; `input_noise_std` of `inpaint` in `fast` also on two benchmark images, see
docs/results.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hybridprior.config import Component, RestoreConfig, SolverConfig, SplittingConfig
from hybridprior.errors import unknown_name

__all__ = ["PRESETS", "TASKS", "preset"]

TASKS = ("denoise", "sr", "inpaint", "deblur", "dejpeg", "demosaic")


def _paper(generator: Mapping[str, Any] | None = None, **solver: Any) -> RestoreConfig:
    return RestoreConfig(
        generator=Component("skip", generator or {}),
        stopping=Component("fixed"),
        solver=SolverConfig(**solver),
        precision="fp32",
    )


def _patient(config: RestoreConfig) -> RestoreConfig:
    """Return the configuration with more rounds of splitting: holes fill from their borders inwards."""
    return dataclasses.replace(config, splitting=SplittingConfig(iterations=48))


_SAME = {"down": (128,) * 5, "up": (128,) * 5}
_SNAIL = {"input_depth": 3, "down": (8, 16, 32, 64, 128), "up": (8, 16, 32, 64, 128), "skip": (0, 0, 0, 4, 4)}
_TAPER = (16, 32, 64, 128, 128)
_VASE = {**_SAME, "input": "mesh", "skip": (0,) * 5, "upsample": "nearest"}
_KATE = {**_SAME, "skip": (128,) * 5, "upsample": "nearest"}
_KATE98 = {"down": _TAPER, "up": _TAPER, "skip": (0,) * 5, "downsample": "avg"}
_WIDTHS = (16, 32, 64, 128, 128, 128)
_DEEP = {"input_depth": 1, "down": _WIDTHS, "up": _WIDTHS, "skip": (0,) * 6, "upsample": "nearest"}
_LIBRARY = {**_DEEP, "filter_down": 5, "conv1x1_up": False}

_TAPERED = {"input_depth": 8, "down": (32, 64, 128, 128, 128), "up": (32, 64, 128, 128, 128), "padding": "zeros"}
_WIDE = (64, 128, 128, 128, 128)
_FILLING = {"input_depth": 32, "down": _WIDE, "up": _WIDE}
_SLIM = {"input_depth": 8, "down": (16, 32, 64, 128, 128), "up": (16, 32, 64, 128, 128), "padding": "zeros"}


def _ours(generator: Mapping[str, Any], stopping: str, **solver: Any) -> RestoreConfig:
    return RestoreConfig(
        generator=Component("skip", generator), stopping=Component(stopping), solver=SolverConfig(**solver)
    )


def _both(config: RestoreConfig) -> RestoreConfig:
    """Return the configuration with the fusion of both priors."""
    return dataclasses.replace(config, method="fusion", regulariser=Component("denoiser"))


def _alone(config: RestoreConfig) -> RestoreConfig:
    """Return the configuration with the denoiser alone: JPEG errors leave no independent validation measurements."""
    return dataclasses.replace(_both(config), fusion={"stacking": False})


PRESETS: dict[str, dict[str, RestoreConfig]] = {
    "balanced": {
        "denoise": _both(_ours(_TAPERED, "heldout", max_steps=2000, beta2=0.95)),
        "sr": _both(_ours(_TAPERED, "auto", max_steps=1000, input_noise_std=0.03, optimiser="muon")),
        "inpaint": _both(_ours(_FILLING, "auto", max_steps=1200, input_noise_std=0.04, optimiser="muon")),
        "deblur": _both(_ours(_TAPERED, "auto", max_steps=2000, input_noise_std=0.015, optimiser="muon")),
        "dejpeg": _alone(_ours(_TAPERED, "heldout", max_steps=2000, beta2=0.95)),
        "demosaic": _both(_ours(_TAPERED, "auto", max_steps=2000, input_noise_std=0.02, optimiser="muon")),
    },
    "fast": {
        "denoise": _ours(_SLIM, "heldout", max_steps=1000, input_noise_std=0.015, beta2=0.95),
        "sr": _ours(_SLIM, "auto", max_steps=400, input_noise_std=0.03, optimiser="muon"),
        "inpaint": _ours(_SLIM, "auto", max_steps=1200, input_noise_std=0.02, optimiser="muon"),
        "deblur": _ours(_SLIM, "auto", max_steps=800, input_noise_std=0.015, optimiser="muon"),
        "dejpeg": _alone(_ours(_SLIM, "heldout", max_steps=1000, input_noise_std=0.015, beta2=0.95)),
        "demosaic": _ours(_SLIM, "auto", max_steps=600, input_noise_std=0.02, optimiser="muon"),
    },
    "paper": {
        "denoise": _paper(max_steps=1800, input_noise_std=1 / 30, ema_decay=0.99),
        "sr": _paper(max_steps=2000, input_noise_std=0.03, ema_decay=0.0),
        "inpaint": _paper(max_steps=11000, input_noise_std=0.03, ema_decay=0.0, learning_rate=0.001),
        "dejpeg": _paper(_SNAIL, max_steps=2400, input_noise_std=1 / 30, ema_decay=0.99),
    },
    "paper-sr8": {"sr": _paper(max_steps=4000, input_noise_std=0.05, ema_decay=0.0)},
    "paper-snail": {"denoise": _paper(_SNAIL, max_steps=2400, input_noise_std=1 / 30, ema_decay=0.99)},
    "paper-vase": {"inpaint": _paper(_VASE, max_steps=5000, input_noise_std=0.03, ema_decay=0.0)},
    "paper-kate": {"inpaint": _paper(_KATE, max_steps=6000, input_noise_std=0.03, ema_decay=0.0)},
    "paper-kate98": {"inpaint": _paper(_KATE98, max_steps=1000, input_noise_std=0.0, ema_decay=0.0)},
    "paper-library": {"inpaint": _paper(_LIBRARY, max_steps=3000, input_noise_std=0.0, ema_decay=0.0)},
}


PRESETS = {
    name: {task: _patient(config) if task == "inpaint" else config for task, config in tasks.items()}
    for name, tasks in PRESETS.items()
}


def preset(name: str, task: str) -> RestoreConfig:
    """Return the configuration that preset `name` has for a task.

    Args:
        name: "paper", "balanced", "fast", or one of the `paper-*`.
        task: One of `TASKS`.

    Raises:
        ConfigError: No such preset, or none for this task.

    Example:
        >>> preset("fast", "sr").solver.max_steps
        400
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    if task not in PRESETS[name]:
        raise unknown_name("preset", f"{name} for {task}", [known for known in PRESETS if task in PRESETS[known]])
    return PRESETS[name][task]
