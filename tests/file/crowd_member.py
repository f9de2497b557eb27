"""One of several processes that use a store at once: ``python -m tests.file.crowd_member PLACE ROLE NUMBER SECONDS``.

A batch of a writer has a stamp in every record, and a batch is replaced as a whole: a reader that sees two
stamps in one batch has seen half of a commit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.file.samples import DIM, contents, opened, rows
from vecstore.backend import Search
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import StoreLocked
from vecstore.filters import Compare

BATCH = 10
LARGE = 80


def batch_of(writer: int) -> range:
    """A writer's own records; every second writer's batches are large enough for segments."""
    size = LARGE if writer % 2 else BATCH
    return range(1_000 * writer, 1_000 * writer + size)


def write(place: Path, number: int, until: float) -> None:
    """Replace the same batch again and again, sometimes through a new connection; tell each acknowledged stamp."""
    backend = opened(place)
    stamp = 0
    while time.monotonic() < until:
        stamp += 1
        if stamp % 10 == 0:
            backend.close()
            backend = opened(place)
        active = backend.find(name="docs").active
        batch = rows(batch_of(number), stamp)
        batch = replace(batch, fields={**(batch.fields or {}), "year": [stamp] * len(batch)})
        try:
            backend.write(active, batch, insert=False)
        except StoreLocked:
            print("locked", flush=True)  # noqa: T201
        else:
            print(stamp, flush=True)  # noqa: T201


def read(place: Path, _number: int, until: float) -> None:
    """Look at whole batches in every way there is."""
    backend = opened(place)
    active = backend.find(name="docs").active
    newest: dict[int, int] = {}
    rounds = 0
    while time.monotonic() < until:
        rounds += 1
        for writer in range(4):
            look(backend, writer, newest)
        for writer, size in whole_batches(contents(backend, active, limit=10_000)).items():
            assert size == len(batch_of(writer))
    print(rounds, flush=True)  # noqa: T201


def look(backend: FileBackend, writer: int, newest: dict[int, int]) -> None:
    active = backend.find(name="docs").active
    ids = [f"id-{number:05}" for number in batch_of(writer)]
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
        expected = rows(batch_of(writer), stamp)
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


def whole_batches(found: Iterable[str]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for id_ in found:
        writer = int(id_.removeprefix("id-")) // 1_000
        sizes[writer] = sizes.get(writer, 0) + 1
    return sizes


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[2]](
        Path(sys.argv[1]), int(sys.argv[3]), time.monotonic() + float(sys.argv[4])
    )
