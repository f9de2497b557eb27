"""Measure copies and moves between places: ``python -m benchmarks.swap``.

A copy without its proof is compared with the slower of its two halves, reading all columns of the source and loading
them into the target; the proof with the digests of both. Then a store moves from place to place and back under another
process that writes 200 records a second, and the longest of its writes is the pause. All stores are ``Flat()``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import vecstore
from vecstore import Database, Flat, Record, Schema

from . import digest, sources
from .clock import time_call
from .corpus import Corpus

PAIRS = (("file", "postgres"), ("postgres", "redis"), ("redis", "file"))
RATE = 200
NAME, COPY = "swap", "swap_copy"


class PhaseClock:
    """A progress callback that keeps when the comparison began."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.before_proof = 0.0

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Take a report."""
        if phase == "comparing" and not self.before_proof:
            self.before_proof = time.perf_counter() - self._began

    def read(self) -> float:
        """Return the seconds since it was made."""
        return time.perf_counter() - self._began


def measure_copy(source: Database, target: Database, count: int) -> str:
    """Copy the store, and return the figures beside those of its halves."""
    store = source.open(NAME)
    copies, proofs = list[float](), list[float]()
    for _ in range(2):  # the first round warms the caches
        _drop(target, COPY)
        clock = PhaseClock()
        store.copy_to(target, COPY, on_progress=clock)
        copies.append(clock.before_proof)
        proofs.append(clock.read() - clock.before_proof)
    reading, _ = time_call(lambda: sum(batch.num_rows for batch in store.scan_arrow(batch_size=5_000)))
    table = store.scan_arrow(batch_size=5_000).read_all()
    _drop(target, COPY)
    other = target.create(COPY, store.schema)
    loading, _ = time_call(lambda: other.insert(table))
    digests = time_call(store.digest)[0] + time_call(other.digest)[0]
    _drop(target, COPY)
    speed = max(reading, loading) / copies[-1]
    return (
        f"copy {count / copies[-1]:,.0f}/s = {speed:.2f} × the slower half (reading {reading:.2f} s, loading "
        f"{loading:.2f} s; bar ≥ 0.8); proof {proofs[-1]:.2f} s = {proofs[-1] / digests:.2f} × both digests (bar ≤ 1.5)"
    )


def measure_pause(source: Database, target: Database, urls: tuple[str, str]) -> str:
    """Move the store there and back under a writer, and return the longest of its writes."""
    command = [sys.executable, "-m", "benchmarks.swap", "--writer", *urls]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        if writer.stdin is None or writer.stdout is None:
            raise TypeError("both are pipes")
        writer.stdout.readline()  # it writes
        there = source.open(NAME).move_to(target, accept_volatile=True)
        back = target.open(NAME).move_back(source, accept_volatile=True)
        writer.stdin.close()
        longest, median, count = writer.stdout.readline().split()
    target.drop(NAME, moved=True)
    return (
        f"longest of {count} writes {float(longest) * 1e3:.0f} ms, median {float(median) * 1e3:.1f} ms "
        f"(bar ≤ 250 ms); there in {there.seconds:.1f} s, back in {back.seconds:.1f} s"
    )


def write_until_told(source: str, successor: str) -> None:
    """Write records at a rate until stdin ends, then print the longest write, the median, and their number."""
    import threading

    stopped = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stopped.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    with vecstore.connect(source, successor=successor) as database:
        store, times = database.open(NAME), list[float]()
        vector = np.ones(store.schema.width, np.float32)
        store.upsert([Record("warm", vector, "text")])
        print("ready", flush=True)
        while not stopped.wait(1 / RATE):
            record = Record(f"w{len(times) % 1_000:05}", vector, "text")
            times.append(time_call(lambda record=record: store.upsert([record]))[0])  # type: ignore[misc]
    print(max(times), float(np.median(times)), len(times), flush=True)


def make_store(database: Database, corpus: Corpus) -> None:
    """Make the store that is copied and moved."""
    _drop(database, NAME)
    store = database.create(NAME, Schema(corpus.dim, index=Flat(), fields=digest.SCHEMA_FIELDS))
    rows = zip(corpus.ids, corpus.vectors, corpus.texts, corpus.metadata, strict=True)
    store.insert(Record(*row) for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swap", description=__doc__)
    parser.add_argument("--rows", type=int, default=digest.ROWS)
    parser.add_argument("--writer", nargs=2, metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.writer:
        write_until_told(*options.writer)
        return 0
    corpus = sources.generate_corpus(options.rows)
    with tempfile.TemporaryDirectory(prefix="swap-") as made, digest.open_places(Path(made), list(digest.BARS)) as urls:
        places = {kind: vecstore.connect(url, migrate=kind == "postgres") for kind, url in urls.items()}
        for one, other in PAIRS:
            make_store(places[one], corpus)
            print(f"{one} → {other}: {measure_copy(places[one], places[other], len(corpus))}", flush=True)
            print(f"  {measure_pause(places[one], places[other], (urls[one], urls[other]))}", flush=True)
            places[one].drop(NAME)
        for place in places.values():
            place.close()
    return 0


def _drop(database: Database, name: str) -> None:
    if name in database.names():
        database.drop(name)


if __name__ == "__main__":
    sys.exit(main())
