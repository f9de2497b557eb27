"""A process that writes one batch after another until it is told to stop: ``python -m tests.batch_writer URL``.

It says ``acked N`` for each batch that was acknowledged, and ``lost N ERROR`` for each failed try, which it repeats.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import vecstore
from vecstore import VecstoreError

from .batches import batch
from .sources import ROOT

PAUSE = 0.02


class BatchWriter:
    """The process, and what it has said; a context manager that waits for its first batch, and kills it.

    Parameters
    ----------
    url : str
        Of a database with a store ``a`` of the schema that batches have.
    """

    def __init__(self, url: str) -> None:
        self.acknowledged: set[int] = set()
        self.failures: set[str] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        self.listen_for("acked")
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # which closes its ends
            self._process.kill()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it stand still."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def listen(self) -> str:
        """Take in the next thing that it says."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        match line.split():
            case ["acked", number, "20"]:
                self.acknowledged.add(int(number))
                return "acked"
            case ["lost", _, error]:
                self.failures.add(error)
                return "lost"
            case ["end"]:
                return "end"
        raise AssertionError(line)

    def listen_for(self, word: str) -> None:
        while self.listen() != word:
            pass

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self.listen_for("end")
        assert self._process.wait(60) == 0


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(url: str) -> None:
    stopped = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        stopped.set()

    threading.Thread(target=listen, daemon=True).start()
    number = 0
    with vecstore.connect(url) as database:
        store = database.open("a")
        while not stopped.is_set():
            number += 1
            while not stopped.is_set():
                try:
                    written = store.upsert(batch(number))
                except VecstoreError as error:
                    say("lost", number, type(error).__name__)
                    stopped.wait(PAUSE)
                    continue
                say("acked", number, written)
                break
    say("end")


if __name__ == "__main__":
    main(sys.argv[1])
