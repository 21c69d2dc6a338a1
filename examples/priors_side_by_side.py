"""The images of an ablation in a grid: a row for each image and condition, a column for each choice of priors.

    hprior ablate photographs --generator skip,pixels --reg none,denoiser,auto --crop 96 -o ablation
    python examples/priors_side_by_side.py ablation -o side_by_side.png

The columns: the ground truth, pixels without R (neither prior), the network alone (local), the denoiser alone (global),
and the fusion of both.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from hybridprior import read_image, write_image
from hybridprior.io.image import ImageData

COLUMNS = {
    "neither": ("pixels", "none"),
    "local": ("skip", "none"),
    "global": ("pixels", "denoiser"),
    "both": ("skip", "auto"),
}


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Write the images, print a table, and return the PSNRs in dB by row and column."""
    options = _parser().parse_args(arguments)
    rows, figures = [], {}
    for folder in options.folders:
        index = json.loads((folder / "ablation.json").read_text())
        cells = [json.loads((folder / "cells" / f"{cell}.json").read_text()) for cell in index["cells"]]
        for image, condition in dict.fromkeys((cell["image"], cell["condition"]) for cell in cells):
            found = _found(cells, image, condition, options.seed)
            if len(found) < len(COLUMNS) or (options.images and image not in options.images):
                continue
            files = [index["images"][image]["truth"], *(cell["result"] for cell in found.values())]
            rows.append(torch.cat([read_image(folder / file).pixels for file in files], dim=-1))
            figures[f"{image}, {condition}"] = {name: cell["psnr"] for name, cell in found.items()}
    for name, row in figures.items():
        print(f"{name:32s}" + "".join(f"{column:>10s} {figure:5.2f} dB" for column, figure in row.items()))
    if not rows:
        raise SystemExit("There is no image with all four choices of priors; see the docstring of this file.")
    widest = max(row.shape[-1] for row in rows)
    padded = [torch.nn.functional.pad(row, (0, widest - row.shape[-1]), value=1.0) for row in rows]
    write_image(options.output, ImageData(torch.cat(padded, dim=-2)))
    return figures


def _found(cells: Sequence[dict], image: str, condition: str, seed: int) -> dict[str, dict]:
    """Return the finished cells, by column."""
    wanted = (image, condition, seed, "done")
    done = [cell for cell in cells if (cell["image"], cell["condition"], cell["seed"], cell["status"]) == wanted]
    by_components = {(cell["generator"], cell["regulariser"]): cell for cell in done}
    return {name: by_components[pair] for name, pair in COLUMNS.items() if pair in by_components}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="folders written by hprior ablate")
    parser.add_argument("-o", "--output", type=Path, default=Path("side_by_side.png"))
    parser.add_argument("--images", nargs="*", default=[], help="names of the images to show; all if not given")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
