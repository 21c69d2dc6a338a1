"""`hprior ablate`: the contribution of each component, the noise impedance of networks, and spectra over the run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from hybridprior.presets import TASKS

from ..console import bar, note, say
from ..files import prepare
from ..options import DEFAULT_PRESET, Device, Preset, Seed, Threads, check_sigma, set_threads

if TYPE_CHECKING:
    from hybridprior.evaluation.ablation import Row

__all__ = ["app"]

EXECUTOR = "local:1"

ROOM = 2**26
"""Approximate number of bytes of an ablation."""


class _Commands(TyperGroup):
    """Commands; "grid" is the default."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert "grid" if the first argument is not a command."""
        if args and args[0] not in self.commands:
            args.insert(0, "grid")
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Measure the contribution of each component on clean images.",
)

Images = Annotated[
    list[Path] | None, typer.Argument(metavar="IMAGES", help="Clean images, or folders of them. They are degraded.")
]
Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")]
Names = Annotated[
    str | None, typer.Option("--generator", help="Names of f_theta, separated by commas: skip,decoder,pixels.")
]
Seeds = Annotated[str | None, typer.Option(help="Seeds of the restorations, separated by commas. Default: 0.")]
Sigmas = Annotated[
    str | None,
    typer.Option(
        "--sigma",
        help="Noise levels in units of 0-255, separated by commas. Default: 25 for denoise, 2.55 for deblur, else 0.",
    ),
]
PresetName = Annotated[str | None, typer.Option("--preset", help="Preset of the configurations.")]
Crop = Annotated[int | None, typer.Option(min=16, help="Side of a centre crop in pixels.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Largest number of steps. Default: that of the preset.")]


@app.command()
def grid(
    images: Images = None,
    output: Output = Path("ablation"),
    config: Annotated[
        Path | None, typer.Option(help="TOML file with the same options. Options given here override it.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help=f"{', '.join(TASKS)}, separated by commas. Default: denoise.")
    ] = None,
    generator: Names = None,
    reg: Annotated[
        str | None,
        typer.Option(
            help="Names of R, separated by commas: none,tv,denoiser,score,feature,auto. Default: none,denoiser."
        ),
    ] = None,
    weight: Annotated[
        str | None, typer.Option(help="Values of lambda, separated by commas: 0.3,1,3. Default: 1.")
    ] = None,
    denoiser: Annotated[str | None, typer.Option(help="The denoiser of R. Default: shipped.")] = None,
    seeds: Seeds = None,
    sigma: Sigmas = None,
    scale: Annotated[
        str | None, typer.Option(help="sr: downsampling factors, separated by commas. Default: 4.")
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(help="sr: lanczos2, lanczos3, bicubic or area. Default: lanczos2.")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(help="inpaint: fractions of missing pixels, separated by commas. Default: 0.5.")
    ] = None,
    blur: Annotated[
        str | None, typer.Option(help="deblur: blur kernels, separated by commas. Default: gaussian:2.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="dejpeg: qualities of the JPEG file, separated by commas. Default: 20.")
    ] = None,
    data_seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the noise and the missing pixels. Default: 0.")
    ] = None,
    preset: PresetName = None,
    crop: Crop = None,
    steps: Steps = None,
    executor: Annotated[
        str, typer.Option(help="local:N processes, dask-local:N workers, or a scheduler: dask://HOST:PORT.")
    ] = EXECUTOR,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Run every combination of components on every image, and compute the contribution of each prior.

    Also: `hprior ablate impedance IMAGE` and `hprior ablate spectrum IMAGE`; each has its --help. The same command
    resumes an interrupted ablation, and runs its failed cells again.
    """
    from ..run.ablation_grid import read_grid

    options = {
        "task": task,
        "generator": generator,
        "reg": reg,
        "weight": weight,
        "denoiser": denoiser,
        "seeds": seeds,
        "sigma": sigma,
        "scale": scale,
        "kernel": kernel,
        "missing": missing,
        "blur": blur,
        "quality": quality,
        "data_seed": data_seed,
        "preset": preset,
        "crop": crop,
        "steps": steps,
    }
    chosen, paths = read_grid(config, {name: value for name, value in options.items() if value is not None}, images)

    from hybridprior.evaluation.ablation import ablate
    from hybridprior.evaluation.ablation.executor import check_executor

    check_executor(executor)
    prepare(output / "ablation.json", ROOM)
    if check_executor(executor) == ("local", "1"):
        set_threads(threads)
    with bar("cells", 1, shown=True) as move:

        def report(row: Row | None, done: int, of: int) -> None:
            move(done, of)
            if row is not None and not row.done:
                note(f"{row.image}, {row.condition}, {row.parts.label}, seed {row.seed}: {row.error}")

        command = shlex.join(["hprior", *sys.argv[1:]])
        table = ablate(
            paths,
            chosen,
            output=output,
            executor=executor,
            threads=threads,
            device=device,
            callback=report,
            command=command,
        )
    say((output / "attribution.md").read_text(encoding="utf-8").rstrip("\n"))
    if table.failed:
        note(f"{len(table.failed)} of {len(table)} cells failed; the same command runs them again.")
    raise typer.Exit(1 if table.failed else 0)


@app.command()
def impedance(
    image: Image,
    output: Output = Path("ablation"),
    generator: Names = None,
    seeds: Seeds = None,
    sigma: Annotated[float, typer.Option(help="Noise level in units of 0-255.")] = 25.0,
    preset: Preset = DEFAULT_PRESET,
    crop: Crop = None,
    steps: Steps = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Rank networks by noise impedance: how much faster they fit an image than the same pixels in random order.

    Writes impedance.png, .json and .md. No ground truth is needed; a degraded image is sufficient.
    """
    level = check_sigma(sigma) or 0.0
    set_threads(threads)

    from hybridprior.evaluation.ablation import draw_impedance, impedance_table
    from hybridprior.evaluation.ablation import impedance as measure
    from hybridprior.evaluation.bench import read_truth

    from ..run.ablation_grid import integers, words

    prepare(output / "impedance.json", ROOM)
    names = words(generator or "skip,decoder,pixels", "--generator")
    with bar("fits", len(names) * 4, shown=True) as move:
        found = measure(
            read_truth(image, crop=crop),
            names,
            preset=preset,
            max_steps=steps,
            seeds=integers(seeds or "0", "--seeds"),
            sigma=level,
            device=device,
            callback=move,
        )
    _written(
        output,
        "impedance",
        {"ranking": [one.to_dict() for one in found]},
        impedance_table(found).markdown(),
        draw_impedance(found),
    )


@app.command()
def spectrum(
    image: Image,
    output: Output = Path("ablation"),
    generator: Annotated[str, typer.Option(help="Name of f_theta.")] = "skip",
    reg: Annotated[str, typer.Option(help="Name of R, for the network with R.")] = "denoiser",
    weight: Annotated[float, typer.Option(help="lambda.")] = 1.0,
    seed: Seed = 0,
    sigma: Annotated[float, typer.Option(help="Noise level in units of 0-255.")] = 25.0,
    bands: Annotated[int, typer.Option(min=1, max=32, help="Number of frequency bands.")] = 5,
    preset: Preset = DEFAULT_PRESET,
    crop: Crop = None,
    steps: Steps = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Show at which step a network fits each frequency band, without R and with it.

    Writes spectrum.png, .json and .md.
    """
    level = check_sigma(sigma) or 0.0
    set_threads(threads)

    from hybridprior.evaluation.ablation import draw_spectra, spectra, spectra_table
    from hybridprior.evaluation.bench import read_truth

    prepare(output / "spectrum.json", ROOM)
    found = spectra(
        read_truth(image, crop=crop),
        generator=generator,
        regulariser=reg,
        weight=weight,
        sigma=level,
        preset=preset,
        max_steps=steps,
        seed=seed,
        bands=bands,
        device=device,
    )
    _written(
        output,
        "spectrum",
        {"runs": [one.to_dict() for one in found]},
        spectra_table(found).markdown(),
        draw_spectra(found),
    )


def _written(folder: Path, name: str, figures: dict[str, Any], table: str, drawing: bytes) -> None:
    """Write figures, table and plot, and print the table."""
    from hybridprior.io.files import write_atomically
    from hybridprior.io.records import write_json

    write_json(folder / f"{name}.json", {"command": shlex.join(["hprior", *sys.argv[1:]]), **figures})
    write_atomically(folder / f"{name}.md", table.encode())
    write_atomically(folder / f"{name}.png", drawing)
    say(table.rstrip("\n"))
