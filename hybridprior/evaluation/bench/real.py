"""The suite of real photographs: pairs of a noisy image and the mean of many exposures.

Protocol of the published figures: sRGB of eight bits, the result rounded and clipped, one mean squared error over all
channels, no border removed, mean of the images' PSNRs. Nothing is chosen by the ground truth. Sets: Xu et al.,
"Real-world Noisy Image Denoising: A New Benchmark", 2018 (PolyU); Abdelhamed et al., "A High-Quality Denoising Dataset
for Smartphone Cameras", CVPR 2018 (SIDD).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from hybridprior.analysis.estimate import estimate_noise
from hybridprior.denoisers import Denoiser
from hybridprior.errors import InputError
from hybridprior.evaluation.tables import Cell, Column, Table, document
from hybridprior.io.files import SUFFIXES, read_image

__all__ = ["PUBLISHED", "RealRow", "find_pairs", "markdown", "measure_pair", "summary"]

PUBLISHED: dict[str, dict[str, float]] = {
    "CC15": {
        "noisy": 33.41,
        "CBM3D": 35.19,
        "MCWNNM": 37.70,
        "TWSC": 37.81,
        "DnCNN": 33.86,
        "Restormer": 36.27,
        "Self2Self": 37.52,
        "AP-BSN": 34.86,
        "ScoreDVI": 37.09,
        "DMID-d": 37.99,
    },
    "PolyU": {
        "noisy": 35.67,
        "Restormer": 37.51,
        "Self2Self": 38.37,
        "AP-BSN": 36.45,
        "ScoreDVI": 37.77,
        "DMID-d": 38.62,
    },
    "SIDD validation": {"noisy": 23.66, "Self2Self": 29.46, "ScoreDVI": 34.75, "SSID, trained on SIDD": 37.39},
}
"""Published PSNR in dB by set and method."""

MARKS = (("_real", "_mean"), ("_noisy", "_gt"))
"""Endings of the names of a pair, of the noisy and of the clean image."""

FOLDERS = ("noisy", "GT")
"""Folders of the noisy and of the clean images, with files of the same name or in the same order."""


@dataclass(frozen=True)
class RealRow:
    """One pair."""

    image: str
    """Name of the noisy image."""
    noisy_psnr: float
    """PSNR of the noisy image, dB."""
    psnr: float
    """PSNR of the denoised image, dB."""
    sigma: float
    """Estimated level of the noise, of 255."""
    true_sigma: float
    """Level of the difference of the pair, of 255."""
    correlation: float
    """Estimated correlation of neighbours."""


def find_pairs(data: Path) -> list[tuple[Path, Path]]:
    """Return the noisy and the clean image of each pair in a folder, sorted.

    Args:
        data: A folder with `NAME_real.EXT` beside `NAME_mean.EXT`, or with folders `noisy` and `GT`.

    Raises:
        InputError: No folder, or no pair in it.
    """
    if not data.is_dir():
        raise InputError(f"There is no folder '{data}'.")
    noisy_folder, clean_folder = (data / name for name in FOLDERS)
    if noisy_folder.is_dir() and clean_folder.is_dir():
        noisy, clean = (_images(folder) for folder in (noisy_folder, clean_folder))
        if len(noisy) != len(clean) or not noisy:
            raise InputError(f"'{data}' has {len(noisy)} noisy and {len(clean)} clean images; they are not pairs.")
        return list(zip(noisy, clean, strict=True))
    pairs = []
    for path in _images(data):
        for mark, other in MARKS:
            partner = path.with_name(path.name.replace(mark, other))
            if mark in path.name and partner.is_file():
                pairs.append((path, partner))
    if not pairs:
        raise InputError(f"'{data}' has no pairs: NAME_real beside NAME_mean, or folders 'noisy' and 'GT'.")
    return pairs


def measure_pair(
    noisy: Path, clean: Path, denoise: Callable[[torch.Tensor], torch.Tensor] | Denoiser
) -> tuple[RealRow, torch.Tensor]:
    """Return the figures of a pair, and the denoised image `(1, 3, H, W)`.

    Args:
        noisy: File of the noisy image.
        clean: File of the clean image.
        denoise: A denoiser, which is given the estimated noise model, or a function of the noisy image.

    Raises:
        InputError: The images have different sizes.
    """
    y, truth = (read_image(path).pixels[:, :3].float() for path in (noisy, clean))
    if y.shape != truth.shape:
        raise InputError(f"'{noisy}' and '{clean}' have different sizes.")
    model = estimate_noise(y)
    with torch.no_grad():
        x = denoise.denoise(y, model) if isinstance(denoise, Denoiser) else denoise(y)
    x = (x.clamp(0, 1) * 255).round() / 255
    row = RealRow(
        noisy.name,
        _psnr(y, truth),
        _psnr(x, truth),
        255 * model.sigma,
        255 * float((y - truth).square().mean().sqrt()),
        model.correlation[0],
    )
    return row, x


def summary(rows: list[RealRow]) -> dict[str, Any]:
    """Return the means over pairs, and the rows.

    Args:
        rows: Those of one set.
    """
    return {
        "pairs": len(rows),
        "noisy_psnr": fmean(row.noisy_psnr for row in rows),
        "psnr": fmean(row.psnr for row in rows),
        "level_ratio": math.exp(fmean(math.log(max(row.sigma, 0.1) / max(row.true_sigma, 0.1)) for row in rows)),
        "rows": [asdict(row) for row in rows],
    }


def markdown(rows: list[RealRow]) -> str:
    """Return a table of the pairs with their mean, and one of the published means of the sets.

    Args:
        rows: Those of one set.
    """
    columns = (Column("image"), Column("noisy", 2), Column("denoised", 2), Column("estimated", 1), Column("true", 1))
    cells: list[tuple[Cell, ...]] = [(row.image, row.noisy_psnr, row.psnr, row.sigma, row.true_sigma) for row in rows]
    figures = zip(*((row.noisy_psnr, row.psnr, row.sigma, row.true_sigma) for row in rows), strict=True)
    means: tuple[Cell, ...] = ("mean", *(fmean(column) for column in figures))
    ours = Table("PSNR in dB, and noise level of 255", columns, (*cells, means), summary=1)
    known = tuple((name, method, value) for name, values in PUBLISHED.items() for method, value in values.items())
    published = Table("Published means", (Column("set"), Column("method"), Column("PSNR", 2)), known)
    return document((ours, published))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")


def _psnr(x: torch.Tensor, truth: torch.Tensor) -> float:
    return float(-10 * (x - truth).square().mean().clamp_min(1e-10).log10())
