"""The command line `vecstore`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        from .app import main as run
    except KeyboardInterrupt:  # imports take a second or more, in which Python would print a traceback
        sys.stderr.write("vecstore: Interrupted.\n")
        sys.exit(130)  # `exits.INTERRUPTED`, which may be what was being imported
    run(arguments)
