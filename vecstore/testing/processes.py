"""Other processes for tests: Python programs that talk in lines, and die with the test."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

from .threads import PATIENCE


class Python:
    """A Python program in a process of its own.

    Parameters
    ----------
    *arguments : str
        As on the command line: ``"-c", program`` or ``"-m", module``, and what the program reads.
    """

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def read(self) -> str:
        """Return the next line; an empty one where the program ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def write(self, line: str = "") -> None:
        """Hand the program a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ask(self, line: str = "") -> str:
        """Hand the program a line and return its answer."""
        self.write(line)
        return self.read()

    def finish(self) -> str:
        """End the program's input; return the rest of what it says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        rest = self._process.stdout.read()  # communicate() would skip the lines that readline() has read ahead
        assert self._process.wait(PATIENCE) == 0
        return rest

    def kill(self) -> None:
        """Send SIGKILL, as a machine short of memory does."""
        with self._process:  # which closes its ends
            self._process.kill()
