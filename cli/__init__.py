"""`hprior`, the command line. One file per command; torch is imported inside functions, so that `--help` is fast."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run `hprior` and exit with its exit code."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # closed by the caller
            os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))
    try:
        from .app import run

        code = run()
    except KeyboardInterrupt:
        code = 130
    if code == 130:
        sys.stderr.write("hprior: Interrupted.\n")
    sys.exit(code)
