"""Count the frames between a call of a store and its driver: ``python -m benchmarks.call_depth [memory file …]``.

Every figure is of the third call with the same arguments, in a store of 3,000 rows of 32 dimensions with an HNSW index:

* *depth*: frames of vecstore on the stack where it calls its driver, the deepest of all such calls;
* *calls*: how often a function of vecstore is entered or resumed;
* *files*: modules of vecstore that are entered;
* *changes*: how often a call enters another module than the call before it.

Before Python 3.12, comprehensions are frames too. Redis and PostgreSQL are measured on servers of their own,
and left out where these cannot be started.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import vecstore
from vecstore import HNSW, Flat, Record, Schema, VectorStore, fields

from . import postgres_server, redis_server

ROWS, DIM = 3_000, 32
CALLS = 3
HERE = str(Path(vecstore.__file__).parent)
DRIVERS = {"faiss": "replacement_search", "psycopg": "", "redis": ""}
"""Packages of Python code, and the one function of them that counts, where it is one."""
IGNORED = {"closed"}
"""Functions that do not reach the server."""
BACKENDS = ("memory", "file", "postgres", "redis")


@dataclass(slots=True)
class Trace:
    """What one call does; an instance is a profile function."""

    backend: str
    depth: int = 0
    deepest: str = ""
    calls: int = 0
    changes: int = 0
    files: set[str] = field(default_factory=set)
    last: str = ""

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Take in one event of the interpreter."""
        if event == "c_call":
            if isinstance(getattr(arg, "__self__", None), sqlite3.Connection | sqlite3.Cursor):
                self.note_driver(frame, f"sqlite3 {arg.__name__}")
        elif event == "call":
            if is_own(frame):
                self.note_call(frame)
            elif frame.f_back is not None and is_own(frame.f_back):
                self.note_python(frame, frame.f_back)

    def note_call(self, frame: FrameType) -> None:
        """Count a frame of vecstore."""
        name = frame.f_code.co_filename
        self.calls += 1
        self.changes += name != self.last
        self.files.add(name)
        self.last = name
        if self.backend == "memory" and name.endswith("memory.py") and not self.depth:
            self.note_driver(frame, frame.f_code.co_name)

    def note_python(self, frame: FrameType, caller: FrameType) -> None:
        """Count a call into a driver that is written in Python."""
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        function = frame.f_code.co_name
        if package in DRIVERS and function not in IGNORED and DRIVERS[package] in {"", function}:
            self.note_driver(caller, f"{package} {function}")

    def note_driver(self, frame: FrameType, what: str) -> None:
        """Count a call into the driver."""
        depth = sum(map(is_own, stack_of(frame)))
        if depth > self.depth:
            self.depth, self.deepest = depth, what


def is_own(frame: FrameType) -> bool:
    """Say whether a frame is of vecstore."""
    return frame.f_code.co_filename.startswith(HERE)


def stack_of(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that wait for it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


@contextmanager
def open_url(backend: str, folder: Path) -> Iterator[str]:
    """Give the URL of a backend that builds an index over few rows."""
    if backend == "memory":
        yield "memory:"
    elif backend == "file":
        yield f"file://{folder}/files?index_min_rows=32"
    else:
        with (postgres_server if backend == "postgres" else redis_server).run_server(folder) as url:
            yield f"{url}{'&' if '?' in url else '?'}index_min_rows=32"


def make_store(database: vecstore.Database) -> VectorStore:
    """Create a store with all rows and its index."""
    random = np.random.default_rng(1)
    vectors = random.normal(size=(ROWS, DIM)).astype(np.float32)
    index = HNSW() if "hnsw" in database.capabilities.indexes else Flat()
    store = database.create("depths", Schema(dim=DIM, fields={"number": fields.Int()}, index=index))
    store.upsert([Record(f"id{n}", vector, f"text {n}", {"number": n}) for n, vector in enumerate(vectors)])
    store.reindex()
    return store


def trace(backend: str, call: Callable[[int], object]) -> Trace:
    """Trace the last of a few calls."""
    for number in range(CALLS - 1):
        call(number)
    found = Trace(backend)
    sys.setprofile(found)
    try:
        call(CALLS - 1)
    finally:
        sys.setprofile(None)
    return found


def measure(backend: str) -> Iterator[tuple[str, Trace]]:
    """Yield what the calls of one backend do, by name."""
    query = np.random.default_rng(2).normal(size=DIM).astype(np.float32)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_url(backend, Path(folder)) as url,
        vecstore.connect(url, migrate=backend == "postgres") as database,
    ):
        store = make_store(database)
        rows: dict[str, Callable[[int], object]] = {
            "search": lambda _: store.search(query),
            "search, exact": lambda _: store.search(query, exact=True),
            "search, filtered": lambda _: store.search(query, where={"number": {"$lt": ROWS // 2}}),
            "upsert": lambda n: store.upsert([Record(f"new{n}", query, "text", {"number": n})]),
        }
        for name, call in rows.items():
            yield name, trace(backend, call)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.call_depth", description=__doc__)
    parser.add_argument("backends", nargs="*", help=f"of {', '.join(BACKENDS)}; all where none is named")
    chosen = parser.parse_args(arguments).backends or BACKENDS
    print(f"{'backend':9} {'call':18} {'depth':>5} {'calls':>6} {'files':>5} {'changes':>7}  deepest driver call")
    for backend in chosen:
        try:
            for name, found in measure(backend):
                counts = f"{found.depth:5} {found.calls:6} {len(found.files):5} {found.changes:7}"
                print(f"{backend:9} {name:18} {counts}  {found.deepest}")
        except (ImportError, OSError, vecstore.VecstoreError) as error:
            print(f"{backend:9} cannot be measured here: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
