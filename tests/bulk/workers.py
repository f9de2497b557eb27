"""Functions of a module, which worker processes import."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecstore import embedders
from vecstore.bulk import Ticket, write_batch, write_part

DIM = 8


def make_table(first: int, rows: int, text: str = "text") -> pa.Table:
    """Return a table of records, the same for the same numbers."""
    numbers = range(first, first + rows)
    vectors = np.stack([np.random.default_rng(n).normal(size=DIM) for n in numbers]).astype(np.float32)
    return pa.table(
        {
            "id": [f"r{n:06}" for n in numbers],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM),
            "text": [f"{text} {n}" for n in numbers],
            "year": pa.array([n % 30 for n in numbers], pa.int64()),
        }
    )


def make_texts(first: int, rows: int) -> pa.Table:
    return pa.table({"id": [f"t{n}" for n in range(first, first + rows)], "text": [f"text {n}" for n in range(rows)]})


def make_hashed() -> embedders.FunctionEmbedder:
    """Return a cheap model, which each process makes itself."""
    return embedders.FunctionEmbedder(
        lambda texts: np.array([[len(text), sum(text.encode()), *text.encode()[-2:]] for text in texts], np.float32),
        dim=4,
        name="bytes",
    )


def write_and_die(task: tuple[Ticket, Path, int]) -> int:
    """Write one part; the first call for each task writes it and dies before it can say so."""
    ticket, marks, first = task
    written = write_part(ticket, make_table(first, 50))
    mark = marks / str(first)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return written


def die(task: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return task


def refuse(task: int) -> int:
    raise ValueError(f"task {task}")


class OddError(Exception):
    """As those of some clients of services: what it was made of is not in its args."""

    def __init__(self, reason: str, *, response: object) -> None:
        super().__init__(reason)
        self.response = response


def raise_odd(task: int) -> int:
    raise OddError("refused", response=task)


def report_and_wait(pipe: Path) -> int:
    """Say who works once somebody reads the pipe, and never end."""
    pipe.write_text(str(os.getpid()))
    while True:
        signal.pause()


def work_beside(task: tuple[Path, Path, str]) -> str:
    """Wait for a minute and say so, or end once another task waits."""
    pipe, mark, what = task
    if what == "wait":
        pipe.write_text("begun")
        threading.Event().wait(60)
        mark.touch()
        return what
    pipe.read_text()
    if what == "raise":
        raise ValueError(what)
    return what


def write_one(task: tuple[str, str, int]) -> int:
    url, name, first = task
    return write_batch(url, name, make_table(first, 50))
