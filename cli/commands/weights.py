"""`hprior weights`: lists, fetches and verifies pretrained weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from hybridprior.errors import WeightsError

from ..console import note, say

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, fetch and verify pretrained weights.")


@app.command("list")
def list_() -> None:
    """List the weights that are included in the package, one JSON object per line."""
    from hybridprior.denoisers.weights import manifest

    for entry in manifest().values():
        row = asdict(entry)
        say(json.dumps({"name": "shipped", "kind": row.pop("name"), **row}))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="hf-hub:org/name@revision, local-dir:PATH, file:PATH.")],
) -> None:
    """Fetch weights into the cache, check that they can be loaded, and print their path."""
    from hybridprior.denoisers import load_denoiser
    from hybridprior.denoisers.weights import resolve, shipped_file

    place = shipped_file("denoiser") if name == "shipped" else resolve(name)
    load_denoiser(name)
    say(str(place))


@app.command()
def verify() -> None:
    """Compare the shipped weights with their checksums."""
    from hybridprior.denoisers.weights import manifest
    from hybridprior.denoisers.weights import verify as is_intact

    for name in manifest():
        if not is_intact(name):
            raise WeightsError(f"The included weights '{name}' do not match their checksum; install the package again.")
        note(f"The included {name} matches its checksum.")
