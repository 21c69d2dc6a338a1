"""Folders that reports are made of: a small ablation, and a restored image with its sidecar."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from hybridprior.io.files import ImageData, write_image
from hybridprior.presets import preset

PARTS = (
    ("pixels", "none", None),
    ("skip", "none", None),
    ("pixels", "denoiser", 1.0),
    ("skip", "denoiser", 0.3),
    ("skip", "auto", None),
)
SIGMAS = (25, 50)
LEFT_OF_NOISE = {"none": 0.6, "denoiser": 0.3, "auto": 0.25}
STEPS = tuple(range(1, 402, 20))


def noisy(x: torch.Tensor, sigma: float, seed: int) -> torch.Tensor:
    """Return the image with noise of this seed."""
    return x + sigma / 255 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB."""
    return -10 * math.log10(float((a.clamp(0, 1) - b).square().mean()))


def trace(peak: int, best: float) -> dict[str, list[Any]]:
    """Return a run that is best at `peak` and then takes up noise."""
    return {
        "step": list(STEPS),
        "energy": [0.5 + 3 * math.exp(-step / 60) for step in STEPS],
        "score": [0.01 + 0.05 * math.exp(-step / 60) + 2e-8 * max(0, step - peak) ** 2 for step in STEPS],
        "psnr": [None if step < 20 else best - 9 * abs(math.log(step / peak)) / 4 for step in STEPS],
    }


def write_ablation(folder: Path, x: torch.Tensor, *, images: tuple[str, ...] = ("otter",), seeds: int = 1) -> Path:
    """Write an ablation of an image under several names, noise 25 and 50, five choices of parts."""
    (folder / "cells").mkdir(parents=True)
    (folder / "images").mkdir()
    cells: list[str] = []
    for number, name in enumerate(images):
        write_image(folder / f"images/{name}.png", ImageData(x))
        for sigma in SIGMAS:
            degraded = f"images/{name}-denoise-sigma-{sigma}.png"
            write_image(folder / degraded, ImageData(noisy(x, sigma, 99 + number)))
            for parts in PARTS:
                for seed in range(seeds):
                    identity = f"{len(cells):04x}"
                    record = _cell(folder, x, identity, parts, sigma, seed)
                    record |= {"id": identity, "image": name, "degraded": degraded}
                    (folder / f"cells/{identity}.json").write_text(json.dumps(record))
                    cells.append(identity)
    index = {
        "version": 1,
        "request": {"sigma": list(SIGMAS), "seeds": seeds},
        "command": "hprior ablate otter.png -o ablation --sigma 25,50",
        "images": {name: {"truth": f"images/{name}.png"} for name in images},
        "cells": cells,
    }
    (folder / "ablation.json").write_text(json.dumps(index))
    (folder / "attribution.json").write_text(json.dumps(_attribution()))
    write_image(folder / "noise_impedance.png", ImageData(torch.rand(1, 3, 30, 50)))
    return folder


def _cell(folder: Path, x: torch.Tensor, name: str, parts: tuple, sigma: int, seed: int) -> dict[str, Any]:
    generator, regulariser, weight = parts
    left = 1.0 if parts == PARTS[0] else LEFT_OF_NOISE[regulariser]
    restored = noisy(x, left * sigma, seed)
    write_image(folder / f"cells/{name}.png", ImageData(restored))
    figure = psnr(restored, x)
    fusion = None
    if regulariser == "auto":
        height, width = x.shape[-2:]
        share = torch.linspace(0, 1, width).expand(height, width)
        write_image(folder / f"cells/{name}.weights.png", ImageData(torch.stack([1 - share, 0 * share, share])[None]))
        each = {"local": (0.4, 0.0112), "global": (0.5, 0.0109), "hybrid": (0.1, 0.0115)}
        candidates = {n: {"weight": w, "error": e, "standard_error": 2e-4} for n, (w, e) in each.items()}
        map = f"cells/{name}.weights.png"
        fusion = {"kind": "map", "candidates": candidates, "gain": 3e-4, "gain_standard_error": 1e-4, "map": map}
    return {
        "task": "denoise",
        "condition": f"sigma {sigma}",
        "generator": generator,
        "regulariser": regulariser,
        "weight": weight,
        "seed": seed,
        "preset": "fast",
        "status": "done",
        "psnr": figure,
        "ssim": figure / (figure + 6),
        "oracle_psnr": figure + 0.2,
        "oracle_step": 181,
        "chosen_step": 201,
        "steps": STEPS[-1],
        "seconds": 12.5 + seed,
        "baseline_psnr": 20.0 if sigma == 25 else 14.0,
        "result": f"cells/{name}.png",
        "config": preset("fast", "denoise").to_dict(),
        "trace": {key: values for key, values in trace(201, figure).items() if key != "psnr"},
        "oracle_trace": {key: trace(201, figure)[key] for key in ("step", "psnr")},
        "fusion": fusion,
    }


def _attribution() -> dict[str, Any]:
    values = {"nothing": 20.0, "local": 26.0, "global": 29.0, "together": 29.5}
    shares = {"shapley_local": 3.25, "shapley_global": 6.25, "interaction": -5.5, "seed_spread": 0.1}
    where = {"task": "denoise", "condition": "sigma 25", "generator": "skip", "both": "denoiser 0.3"}
    row = {**where, "step": "chosen", "metric": "psnr", **values, **shares}
    low = {name: value - 0.5 for name, value in shares.items()}
    high = {name: value + 0.5 for name, value in shares.items()}
    return {"rows": [{"image": "otter", **row}], "means": [{"image": "mean", **row, "low": low, "high": high}]}


def write_restored(folder: Path, x: torch.Tensor, *, name: str = "clean.png") -> Path:
    """Write a degraded image, its truth, and a result with its sidecar."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = folder.parent / "inputs"
    inputs.mkdir(exist_ok=True)
    write_image(inputs / "noisy.png", ImageData(noisy(x, 25, 0)))
    write_image(inputs / "truth.png", ImageData(x))
    restored = noisy(x, 8, 1)
    write_image(folder / name, ImageData(restored))
    every = trace(201, psnr(restored, x))
    record = {
        "input": str(inputs / "noisy.png"),
        "output": str(folder / name),
        "status": "stopped",
        "message": "The stopping rule ended the run.",
        "chosen_step": 201,
        "steps": STEPS[-1],
        "seconds": 12.5,
        "sigma": 25.0,
        "psnr": psnr(restored, x),
        "request": {"task": "denoise", "reference": str(inputs / "truth.png")},
        "config": preset("fast", "denoise").to_dict(),
        "seed": 0,
        "trace": {key: every[key] for key in ("step", "energy", "score")},
        "oracle_trace": {key: every[key] for key in ("step", "psnr")},
    }
    (folder / f"{name}.json").write_text(json.dumps(record))
    return folder
