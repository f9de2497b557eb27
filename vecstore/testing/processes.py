"""Other processes for tests: functions that talk in lines, and die with the test."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from ..backend import Backend
from ..errors import StoreLocked
from ..registry import schemes
from .threads import PATIENCE

_context = multiprocessing.get_context("forkserver")


class TalkingProcess:
    """A function in a process of its own.

    Its process is forked from one that has imported the library and has no thread, connection or store: Python and the
    library take longer to start than most tests to do what they do with it.

    Parameters
    ----------
    work : callable
        A function of a module, which reads lines from standard input and says lines with `tell`.
    *arguments : object
        What it is called with.
    """

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        _context.set_forkserver_preload(["vecstore.testing", *(each.partition(":")[0] for each in schemes().values())])
        heard, giving = _context.Pipe(duplex=False)
        answers, told = _context.Pipe(duplex=False)
        with heard, giving, answers, told:
            self._process = _context.Process(target=_run, args=(work, arguments, heard, told), daemon=True)
            self._process.start()
            self._giving = os.fdopen(os.dup(giving.fileno()), "w", encoding="utf-8")
            self._answers = os.fdopen(os.dup(answers.fileno()), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def read(self) -> str:
        """Return the next line; an empty one where the function ended."""
        return self._answers.readline().rstrip("\n")

    def write(self, line: str = "") -> None:
        """Hand the function a line."""
        self._giving.write(line + "\n")
        self._giving.flush()

    def ask(self, line: str = "") -> str:
        """Hand the function a line and return its answer."""
        self.write(line)
        return self.read()

    def finish(self) -> str:
        """End the function's input; return the rest of what it says."""
        self._giving.close()
        rest = self._answers.read()
        self._process.join(PATIENCE)
        assert self._process.exitcode == 0
        return rest

    def kill(self) -> None:
        """Send SIGKILL, as a machine short of memory does."""
        self._process.kill()
        self._process.join()
        self._giving.close()
        self._answers.close()


def wait_for_lock(backend: Backend, name: str) -> None:
    """Wait until nobody builds a store: a server may take a moment to notice that a process was killed that did."""
    uid, until = backend.find(name=name).uid, time.monotonic() + PATIENCE
    while True:
        try:
            with backend.builder(uid):
                return
        except StoreLocked:
            if time.monotonic() > until:
                raise


def tell(line: str) -> None:
    """Say a line to the test that started this process."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tell_and_wait(line: str) -> None:
    """Say a line, and go on when the test hands one over."""
    tell(line)
    sys.stdin.readline()


def _run(work: Callable[..., None], arguments: tuple[object, ...], heard: Connection, told: Connection) -> None:
    with heard, told:
        os.dup2(heard.fileno(), 0)
        os.dup2(told.fileno(), 1)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    work(*arguments)
