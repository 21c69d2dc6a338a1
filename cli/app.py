"""The application: its commands. An error is reported as one sentence and an exit code.

Exit codes: 0 success, 1 some images of a batch failed, 2 usage or input error, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from hybridprior import __version__
from hybridprior.errors import HybridPriorError

from .commands import ablate, bench, degrade, demo, info, report, restore, train, weights
from .console import note

__all__ = ["app", "run"]

SUMMARY = "Image restoration with an untrained network (deep image prior), a pretrained denoiser, or both."

app = typer.Typer(
    name="hprior",
    help=SUMMARY,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(restore.restore)
app.command()(demo.demo)
app.command()(degrade.degrade)
app.command()(info.info)
app.command()(bench.bench)
app.command()(report.report)
app.add_typer(ablate.app, name="ablate")
app.add_typer(train.app, name="train")
app.add_typer(weights.app, name="weights")


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"hprior {__version__}")
        raise typer.Exit


@app.callback(help=SUMMARY)
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the application itself."""


def run() -> int:
    """Run `hprior` and return its exit code."""
    logging.basicConfig(format="hprior: %(message)s", level=logging.WARNING)
    arguments = sys.argv[1:] or ["--help"]
    try:
        code = app(arguments, standalone_mode=False)
    except HybridPriorError as error:
        note(str(error))
        return 2
    except typer.Abort:
        return 130
    except Exception as error:
        message = getattr(error, "format_message", None)  # click's usage errors
        if message is None:
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{message()}\n")
        else:
            note(message())
        return int(getattr(error, "exit_code", 2))
    return code if isinstance(code, int) else 0
