"""`hprior train denoiser`: trains a denoiser, the pretrained prior, on a folder of photographs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridprior.errors import ConfigError, InputError, OutputError

from ..console import note, say
from ..files import prepare
from ..options import DTYPES, Device, Threads, check_name, set_threads

if TYPE_CHECKING:
    from hybridprior.training import Trainer, Validation
    from hybridprior.training.trainer import Progress as Seen

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a denoiser, the pretrained prior.")

CHECKPOINT, CURVE, HISTORY, WEIGHTS = "checkpoint.pt", "curve.png", "history.json", "denoiser.safetensors"

ROOM = 2**28
"""Approximate number of bytes of a run."""


@app.callback()
def train() -> None:
    """Train a denoiser, the pretrained prior."""


@app.command()
def denoiser(
    data: Annotated[Path, typer.Option(help="Folder of photographs; subfolders are included.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="RUN", help="Folder for the run.")],
    validation: Annotated[
        Path | None,
        typer.Option(
            help="Text file with the names of the validation photographs, one per line. Default: every thirtieth."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps. Default: 100000.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Number of patches in a batch.")] = None,
    patch: Annotated[int | None, typer.Option(min=16, help="Side of a patch in pixels.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    optimiser: Annotated[str | None, typer.Option(help="An optimiser of timm: muon, adamw ...")] = None,
    widths: Annotated[str | None, typer.Option(help="Channels of each level, separated by commas.")] = None,
    blocks: Annotated[int | None, typer.Option(min=1, help="Residual blocks of each level.")] = None,
    degradation: Annotated[
        str | None,
        typer.Option(help="Degradations of the training data: white, camera, jpeg or mixed. Default: white."),
    ] = None,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations and checkpoints.")] = 2000,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in RUN.")] = False,
    init: Annotated[str | None, typer.Option(help="Start from the weights of a denoiser: shipped, file:PATH.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of all random numbers.")] = None,
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="Arithmetic: auto, fp32 or bf16.")] = "auto",
    threads: Threads = None,
) -> None:
    """Train a denoiser for all noise levels, colour and grey. Ctrl-C saves a checkpoint.

    RUN contains checkpoint.pt, history.json, the validation curve curve.png and the weights denoiser.safetensors,
    updated at each validation. `--denoiser file:RUN/denoiser.safetensors` uses the weights.
    """
    check_name("dtype", dtype, DTYPES)
    if resume and init is not None:
        raise ConfigError("--resume continues with the weights of the run; leave --init out.")
    if resume and not (output / CHECKPOINT).is_file():
        raise InputError(f"There is no checkpoint in '{output}'; start without --resume.")
    if not resume and (output / CHECKPOINT).exists():
        raise OutputError(f"'{output}' contains a training run; continue it with --resume, or choose another folder.")
    changes: dict[str, Any] = {
        **_shares(degradation),
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "learning_rate": learning_rate,
        "optimiser": optimiser,
        "seed": seed,
    }
    size = {"widths": _widths(widths), "blocks": blocks}
    set_threads(threads)

    from hybridprior.training import read_checkpoint

    prepare(output / CHECKPOINT, ROOM)
    state = read_checkpoint(output / CHECKPOINT) if resume else None
    trainer, validator = _prepare(data, output, validation, _given(changes), _given(size), device, DTYPES[dtype], state)
    if init is not None:
        _start_from(trainer, init)
    if state is not None:
        trainer.resume(state)
    _run(trainer, validator, output, validate_every)


@app.command()
def estimator(
    data: Annotated[Path, typer.Option(help="Folder of photographs, folders in it included.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File of the weights, .safetensors.")],
    validation: Annotated[
        Path | None, typer.Option(help="Text file naming photographs to leave out, one a line; none if not given.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of everything that is drawn.")] = None,
    threads: Threads = None,
) -> None:
    """Train the network that estimates noise, on the degradations of `train denoiser --degradation mixed`."""
    if output.suffix != ".safetensors":
        raise ConfigError(f"The weights are a .safetensors file, not '{output.name}'.")
    set_threads(threads)

    from hybridprior._internal.registry import build_config
    from hybridprior.analysis.estimator import pack
    from hybridprior.io.files import write_atomically
    from hybridprior.training.data import Photographs, find_photographs, read_names, split
    from hybridprior.training.estimator import EstimatorConfig, train_estimator

    prepare(output, ROOM)
    config = build_config(EstimatorConfig, _given({"steps": steps, "seed": seed}), part="training")
    paths = find_photographs(data)
    if validation is not None:
        paths, _ = split(paths, read_names(validation), folder=data)

    def report(step: int, loss: float, _network: object) -> None:
        if step % 250 == 0 or step == config.steps:
            say(json.dumps({"step": step, "loss": round(loss, 4)}))

    network = train_estimator(Photographs(paths, smallest=config.patch), config, callback=report)
    write_atomically(output, pack(network, note=f"{config.steps} steps"))


def _shares(degradation: str | None) -> dict[str, float]:
    """Return the fractions of the degradations in the training data."""
    from hybridprior.training.config import DEGRADATIONS

    if degradation is None:
        return {}
    check_name("degradation", degradation, tuple(DEGRADATIONS))
    camera, jpeg = DEGRADATIONS[degradation]
    return {"camera": camera, "jpeg": jpeg}


def _widths(text: str | None) -> tuple[int, ...] | None:
    try:
        return None if text is None else tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--widths are integers separated by commas, such as 48,96,128,192, not '{text}'.") from error


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _prepare(
    data: Path,
    output: Path,
    validation: Path | None,
    changes: dict[str, Any],
    size: dict[str, Any],
    device: str,
    dtype: str,
    state: dict[str, Any] | None,
) -> tuple[Trainer, Validation]:
    """Read the photographs and build the network, or that of the checkpoint."""
    from hybridprior._internal.device import choose_device, choose_precision
    from hybridprior._internal.registry import build_config
    from hybridprior.denoisers.unet import UNetConfig
    from hybridprior.training import Photographs, TrainConfig, Trainer, Validation
    from hybridprior.training.data import find_photographs, read_names, split
    from hybridprior.training.degradations import PLANES

    before = {"config": {}, "size": {}} if state is None else state
    config = build_config(TrainConfig, {**before["config"], **changes}, part="training")
    conditions = PLANES if config.camera or config.jpeg else 0
    network = build_config(UNetConfig, {"conditions": conditions, **before["size"], **size}, part="network")
    where = choose_device(device)
    paths = find_photographs(data, without=output)
    last = paths[29::30] or paths[-1:]
    usual = [_below(path, data) for path in last] if state is None else [path.name for path in last]
    names = read_names(validation) if validation else before.get("validation") or usual
    training, validating = split(paths, names, folder=data)
    names = [_below(path, data) for path in validating]
    if validation and before.get("validation") and set(before["validation"]) != set(names):
        raise InputError(f"The run has other validation photographs than '{validation}'; leave --validation out.")
    validator = Validation.read(validating)
    photographs = Photographs(training, smallest=2 * config.patch)
    note(f"{len(photographs)} training photographs, {len(validator.images)} validation photographs.")
    precision = choose_precision(where, dtype)
    return Trainer(
        photographs, config, network=network, device=where, precision=precision, validation_names=names
    ), validator


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _start_from(trainer: Trainer, name: str) -> None:
    from hybridprior.denoisers import UNetDenoiser, load_denoiser

    given = load_denoiser(name)
    if not isinstance(given, UNetDenoiser) or not trainer.fits(given.network):
        raise ConfigError(f"'{name}' is not a network of this size; set --widths and --blocks to those of the network.")
    trainer.start_from(given.network)


def _run(trainer: Trainer, validator: Validation, output: Path, every: int) -> None:
    """Train, with a validation and a checkpoint every `every` steps; Ctrl-C saves a checkpoint."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from hybridprior._internal.interrupt import interruptible

    columns = [BarColumn(24), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"), TimeElapsedColumn()]
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), redirect_stdout=False)
    with bar, interruptible() as interrupted:
        task = bar.add_task("", total=trainer.config.steps, completed=trainer.step, loss="-")
        usual: float | None = None

        def move(progress: Seen) -> None:
            nonlocal usual
            if math.isfinite(progress.loss):
                usual = progress.loss if usual is None else 0.99 * usual + 0.01 * progress.loss
                bar.update(task, completed=progress.step, loss=f"{usual:.4f}")

        while trainer.step < trainer.config.steps:
            whole = trainer.run((trainer.step // every + 1) * every, callback=move)
            trainer.save(output / CHECKPOINT)
            if whole:
                _keep(trainer, validator, output, usual)
            if not whole or interrupted.is_set():
                note(f"Step {trainer.step} is saved; continue with --resume.")
                raise typer.Exit(130)


def _keep(trainer: Trainer, validator: Validation, output: Path, loss: float | None) -> None:
    """Validate, and write checkpoint, history, curve and weights."""
    from hybridprior.denoisers.pretrained import pack
    from hybridprior.io.files import write_atomically
    from hybridprior.io.records import write_json
    from hybridprior.training.plot import draw_curve

    figures = {str(sigma): round(value, 3) for sigma, value in validator.measure(trainer.denoise).items()}
    row: dict[str, Any] = {"step": trainer.step, "loss": loss, "psnr": figures}
    if trainer.mean.config.conditions:
        row["gain"] = {name: round(gain, 3) for name, gain in validator.measure_degraded(trainer.denoise).items()}
    trainer.history.append(row)
    trainer.save(output / CHECKPOINT)
    record = {"config": asdict(trainer.config), "network": asdict(trainer.mean.config), "history": trainer.history}
    write_json(output / HISTORY, record)
    write_atomically(output / CURVE, draw_curve(trainer.history))
    write_atomically(output / WEIGHTS, pack(trainer.mean, note=f"{trainer.step} of {trainer.config.steps} steps"))
    say(json.dumps(trainer.history[-1]))
