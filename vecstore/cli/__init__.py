"""The command line `vecstore`."""

from .app import main

__all__ = ["main"]
