"""`hprior`, the command line. One file a verb; torch is imported only inside functions, so that `--help` is quick."""

from .app import main

__all__ = ["main"]
