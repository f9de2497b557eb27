"""Measure filters on undeclared keys beside the same ones declared: ``python -m benchmarks.undeclared_keys [URL]``.

Each record has its fields twice, declared and not. Both filters of a pair are asked in turns, each time with other
operands, so that no cache of a filter answers. First use is the first count by a key in a new connection, with the
columns of declared fields loaded; its CPU time is beside, because other processes may be busy. Without a URL the store
is in a directory that is removed afterwards; any other URL gets a store that is dropped at the end.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import vecstore
from vecstore import F, Filter, Flat, Record, Schema, VectorStore, fields

from . import sources
from .corpus import Corpus, split

NAME = "undeclared_keys"
TURNS, COLD = 60, 3
DECLARED: Mapping[str, fields.Field] = MappingProxyType({"section": fields.Keyword(), "size": fields.Int()})

Pair = Callable[[int], tuple[Filter, Filter]]
"""Takes the number of a turn; returns a filter on a declared field, and the same on an undeclared key."""


def compare_sections(corpus: Corpus) -> Pair:
    """Ask for one section after the other."""
    sections = sorted({str(row["section"]) for row in corpus.metadata})

    def make(turn: int) -> tuple[Filter, Filter]:
        section = sections[turn % len(sections)]
        return F.section == section, F["Section Name"] == section

    return make


def compare_sizes(corpus: Corpus) -> Pair:
    """Ask for the exact size of one record after the other."""

    def make(turn: int) -> tuple[Filter, Filter]:
        size = corpus.metadata[turn]["size"]
        return F.size == size, F.path("file", "size") == size

    return make


def compare_larger(corpus: Corpus) -> Pair:
    """Ask for records beyond a size."""

    def make(turn: int) -> tuple[Filter, Filter]:
        return F.size > 20_000 + turn, F.path("file", "size") > 20_000 + turn

    return make


def make_record(corpus: Corpus, place: int) -> Record:
    """Return a record with its fields declared and undeclared."""
    declared = corpus.metadata[place]
    twice = {**declared, "Section Name": declared["section"], "file": {"size": declared["size"]}}
    return Record(corpus.ids[place], corpus.vectors[place], corpus.texts[place], twice)


@contextmanager
def open_url(url: str | None) -> Iterator[str]:
    """Give the URL, or that of a directory which is removed afterwards."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"file:{folder}"


def measure_first_use(url: str) -> tuple[float, float]:
    """Return the median seconds and CPU seconds of the first count by an undeclared key."""
    took = []
    for _ in range(COLD):
        with vecstore.connect(url) as database:
            store = database.open(NAME)
            store.count(F.section == "games")
            wall, cpu = time.perf_counter(), time.process_time()
            store.count(F["Section Name"] == "games")
            took.append((time.perf_counter() - wall, time.process_time() - cpu))
    return statistics.median(wall for wall, _ in took), statistics.median(cpu for _, cpu in took)


def measure_pair(call: Callable[[Filter], object], pair: Pair) -> tuple[float, float]:
    """Return the median milliseconds of a filter on a declared field and of the same on a key."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS):
        for which, where in enumerate(pair(turn)):
            start = time.perf_counter()
            call(where)
            times[which].append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.undeclared_keys", description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--rows", type=int)
    options = parser.parse_args(arguments)
    whole = sources.read_files(*sources.PACKAGES) if sources.has_packages() else sources.generate_corpus()
    corpus, held_out = split(whole, min(1_000, len(whole) // 10), sources.SEED)
    rows = min(options.rows or len(corpus), len(corpus))
    with open_url(options.url) as url, vecstore.connect(url) as database:
        schema = Schema(dim=corpus.dim, index=Flat(), fields=DECLARED, dynamic=True)
        store = database.create(NAME, schema)
        try:
            store.insert(make_record(corpus, place) for place in range(rows))
            print_figures(url, store, corpus, held_out)
        finally:
            database.drop(NAME)
    return 0


def print_figures(url: str, store: VectorStore, corpus: Corpus, held_out: Corpus) -> None:
    """Print first use, then every pair by count and by search."""
    wall, cpu = measure_first_use(url)
    print(f"{store.count():,} x {corpus.dim}, first use of a key: {wall:.2f} s, CPU {cpu:.2f} s")
    print(f"{'':30} {'declared':>9} {'dynamic':>9} {'ratio':>6}")
    query = held_out.vectors[0]
    calls: Mapping[str, Callable[[Filter], object]] = {
        "count": store.count,
        "search": lambda where: store.search(query, where=where),
    }
    pairs = {"section ==": compare_sections(corpus), "size ==": compare_sizes(corpus), "size >": compare_larger(corpus)}
    for name, pair in pairs.items():
        for what, call in calls.items():
            call(pair(0)[1])
            declared, dynamic = measure_pair(call, pair)
            print(f"{what + ' ' + name:30} {declared:9.3f} {dynamic:9.3f} {dynamic / declared:6.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
