"""One of several processes that use a store concurrently.

``python -m tests.file.concurrent_member PLACE ROLE NUMBER STAMP`` starts it. It works until its standard input ends,
and prints a line for each step.

A batch of a writer has a stamp in every record, and a batch is replaced as a whole: a reader that sees two
stamps in one batch has seen half of a commit. If the store has an index, searches use it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.file.samples import DIM, INDEXED, SCHEMA, connect_backend, make_rows, read_contents
from tests.force_graph import force_graph
from vecstore.backend import Generation, Rows, Search
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import StoreLocked
from vecstore.filters.nodes import Compare

BATCH = 10
LARGE = 80


def list_numbers(writer: int) -> range:
    """A writer's own records; every second writer's batches are large enough for segments."""
    size = LARGE if writer % 2 else BATCH
    return range(1_000 * writer, 1_000 * writer + size)


def make_stamped_rows(writer: int, stamp: int) -> Rows:
    batch = make_rows(list_numbers(writer), stamp)
    return replace(batch, fields={**(batch.fields or {}), "year": [stamp] * len(batch)})


def write(place: Path, number: int, stamp: int, stopped: threading.Event) -> None:
    """Replace the same batch again and again, sometimes through a new connection; print each acknowledged stamp.

    The first one is ``stamp + 1``.
    """
    backend = connect_backend(place)
    while not stopped.is_set():
        if stamp % 10 == 9:
            backend.close()
            backend = connect_backend(place)
        active = backend.find(name="docs").active
        try:
            backend.write(active, make_stamped_rows(number, stamp + 1), insert=False)
        except StoreLocked:
            print("locked", flush=True)  # noqa: T201
        else:
            stamp += 1  # only now: the stored stamp is the last printed one or the next
            print(stamp, flush=True)  # noqa: T201


def read(place: Path, _number: int, _stamp: int, stopped: threading.Event) -> None:
    """Read whole batches in every way; print each time whether a search used an index."""
    backend = connect_backend(place)
    active = backend.find(name="docs").active
    newest: dict[int, int] = {}
    while not stopped.is_set():
        graph_searches = 0
        for writer in range(4):
            check_batch(backend, writer, newest)
            graph_searches += check_nearest(backend, active)
        for writer, size in count_batches(read_contents(backend, active, limit=10_000)).items():
            assert size == len(list_numbers(writer))
        print("searched" if graph_searches else "looked", flush=True)  # noqa: T201


def compact(place: Path, _number: int, _stamp: int, stopped: threading.Event) -> None:
    """Compact again and again; print a line each time there was something to do."""
    backend = connect_backend(place)
    active = backend.find(name="docs").active
    while not stopped.is_set():
        before = backend.stats(active).details["commit"]
        try:
            backend.compact(active)
        except StoreLocked:
            continue
        if backend.stats(active).details["commit"] != before:
            print("compacted", flush=True)  # noqa: T201


def index(place: Path, _number: int, _stamp: int, stopped: threading.Event) -> None:
    """Build, extend, replace and remove an index again and again; print the name of each new one."""
    backend = connect_backend(place, index_min_rows="32")
    active = backend.find(name="docs").active
    seen: set[str] = set()
    rounds = 0
    while not stopped.is_set():
        rounds += 1
        try:
            if rounds % 4 == 0:
                schema = SCHEMA if rounds % 8 else INDEXED
                backend.amend(replace(active, schema=schema))
            if rounds % 4 in {0, 2}:
                backend.build_index(backend.find(name="docs").active)
            else:
                backend.tend(active)
        except StoreLocked:
            continue
        for path in (place / "g" / active.id / "idx").iterdir():
            if path.name not in seen:
                seen.add(path.name)
                print(path.name, flush=True)  # noqa: T201


def check_batch(backend: FileBackend, writer: int, newest: dict[int, int]) -> None:
    active = backend.find(name="docs").active
    ids = [f"id-{number:05}" for number in list_numbers(writer)]
    mine = Compare("id", "in", tuple(ids))
    found = backend.fetch(active, ids)
    stamps = set((found.fields or {})["year"])
    assert len(stamps) <= 1, f"a torn batch: {stamps}"
    assert len(found) in {0, len(ids)}
    for stamp in stamps:
        assert isinstance(stamp, int)
        assert stamp >= newest.get(writer, 0), "an older state after a newer one"
        newest[writer] = stamp
        # Vectors and rows come from one commit.
        expected = make_rows(list_numbers(writer), stamp)
        assert expected.vectors is not None
        assert found.vectors is not None
        order = np.argsort(np.array(found.ids))
        assert found.vectors[order].tobytes() == expected.vectors.tobytes()
    query = np.ones((1, DIM), np.float32)
    for search in (
        Search(query, 10_000, include=frozenset({"metadata"})),
        Search(query, 10_000, where=mine, include=frozenset({"metadata", "vector"})),
    ):
        one = backend.search(active, search)[0].rows
        assert len(set(one.ids)) == len(one)
        of_mine = [year for id_, year in zip(one.ids, (one.fields or {})["year"], strict=True) if id_ in ids]
        assert len(set(of_mine)) <= 1, "a torn batch in a search"
        assert len(of_mine) in {0, len(ids)}


def check_nearest(backend: FileBackend, active: Generation) -> bool:
    """Check that the nearest rows come from one commit; return whether the search used an index."""
    stored = backend.count(active, None)
    query = np.random.default_rng().standard_normal((1, DIM)).astype(np.float32)
    (one,) = backend.search(active, Search(query, 10, include=frozenset({"metadata", "vector"}), ef=64))
    assert len(set(one.rows.ids)) == len(one.rows) >= min(10, stored)
    stamps: dict[int, int] = {}
    vectors = one.rows.vectors
    assert vectors is not None
    for place, (id_, stamp) in enumerate(zip(one.rows.ids, (one.rows.fields or {})["year"], strict=True)):
        number = int(id_.removeprefix("id-"))
        writer = number // 1_000
        assert isinstance(stamp, int)
        assert stamps.setdefault(writer, stamp) == stamp, "a torn batch along an index"
        expected = make_rows(list_numbers(writer), stamp).vectors
        assert expected is not None
        assert vectors[place].tobytes() == expected[number % 1_000].tobytes()
        distance = float(np.linalg.norm(vectors[place].astype(np.float64) - query[0]))
        assert abs(one.scores[place] + distance) < 1e-5 * max(1, distance)
    return not one.exact


def count_batches(found: Iterable[str]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for id_ in found:
        writer = int(id_.removeprefix("id-")) // 1_000
        sizes[writer] = sizes.get(writer, 0) + 1
    return sizes


def main(place: Path, role: str, number: int, stamp: int) -> None:
    stopped = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        stopped.set()

    threading.Thread(target=listen, daemon=True).start()
    {"write": write, "read": read, "compact": compact, "index": index}[role](place, number, stamp, stopped)


if __name__ == "__main__":
    with force_graph():
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
