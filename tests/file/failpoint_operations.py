"""The operations in which the failpoint trials make calls fail, and the stores that they begin with."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.file.samples import (
    INDEXED,
    OPTIONAL,
    SCHEMA,
    connect_backend,
    make_busy_store,
    make_generation,
    make_rows,
    make_sparse_rows,
    read_contents,
)
from vecstore import Database, Record, Schema, UpkeepWarning
from vecstore.backend import Change, Rows, Update
from vecstore.backends.file.backend import FileBackend
from vecstore.filters.nodes import Compare
from vecstore.groups import make_member


def write(numbers: range, stamp: int, make: Callable[..., Rows] = make_rows) -> Callable[[FileBackend], None]:
    def operation(backend: FileBackend) -> None:
        backend.write(backend.find(name="docs").active, make(numbers, stamp), insert=False)

    return operation


def update(backend: FileBackend) -> None:
    where = Compare("lang", "in", ("de", "en"))
    backend.update(backend.find(name="docs").active, where, Update({"year": 7}, {}))


def remove_vectors(backend: FileBackend) -> None:
    where = Compare("lang", "in", ("de", "en"))
    backend.update(backend.find(name="docs").active, where, Update({}, {}, removes_vector=True))


def delete(backend: FileBackend) -> None:
    backend.delete(backend.find(name="docs").active, ["id-00004", "id-00302", "absent"], [9, 9, 9])


def write_groups(numbers: range, fences: dict[str, int]) -> Callable[[FileBackend], None]:
    """Return an operation that gives a group so many records as there are numbers, and leaves the others empty."""

    def operation(backend: FileBackend) -> None:
        ids = [make_member(next(iter(fences)), place) for place in range(len(numbers))]
        rows = replace(make_rows(numbers, 34), ids=ids)
        backend.write_groups(backend.find(name="docs").active, rows, fences)

    return operation


def create(backend: FileBackend) -> None:
    backend.create("second", make_generation())


def drop(backend: FileBackend) -> None:
    backend.drop(backend.find(name="docs").uid)


def drop_standby(backend: FileBackend) -> None:
    entry = backend.find(name="docs")
    assert entry.standby is not None
    backend.drop(entry.uid, entry.standby.id)


def switch(backend: FileBackend) -> None:
    entry = backend.find(name="docs")
    old, new = entry.active, entry.standby
    assert new is not None

    def drain(_changes: object) -> None:
        page = backend.page(old, None, None, 10_000)
        backend.write(new, page, insert=False, fence=page.versions)

    backend.switch(entry.uid, new.id, drain)


def settle(backend: FileBackend) -> None:
    active = backend.find(name="docs").active
    noted = backend.changes(active, (), 2)
    assert all(isinstance(change, Change) for change in noted)
    backend.changes(active, noted, 2)


def compact(backend: FileBackend) -> None:
    backend.compact(backend.find(name="docs").active)


def reindex(backend: FileBackend) -> None:
    backend.build_index(backend.find(name="docs").active)


def tend(backend: FileBackend) -> None:
    backend.tend(backend.find(name="docs").active)


def write_and_tend(backend: FileBackend) -> None:
    """Write as users do: what fails after the write is a warning."""
    vectors = make_rows(range(600, 640), 32).vectors
    assert vectors is not None
    records = [Record(f"id-{600 + number:05}", vector) for number, vector in enumerate(vectors)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        written = Database(backend).open("docs").upsert(records)
    assert written == len(records)
    assert {warning.category for warning in caught} <= {UpkeepWarning}


def read(backend: FileBackend) -> None:
    with closing(connect_backend(backend._layout.root)) as fresh:
        read_contents(fresh, fresh.find(name="docs").active)


OPERATIONS: dict[str, Callable[[FileBackend], None]] = {
    "small write": write(range(3), 30),
    "bulk write": write(range(150, 250), 31),
    "sparse write": write(range(60, 260), 33, make_sparse_rows),
    "removal of vectors": remove_vectors,
    "update": update,
    "delete": delete,
    "groups": write_groups(range(3), {"id-00004": 9, "id-00302": 9, "absent": 9}),
    "create": create,
    "drop": drop,
    "drop of a standby": drop_standby,
    "switch": switch,
    "settle": settle,
    "compact": compact,
    "compact with an index": compact,
    "build": reindex,
    "reindex": reindex,
    "tend": tend,
    "give up": reindex,
    "write and tend": write_and_tend,
    "read": read,
    "first create": create,
}


def make_busy(place: Path, schema: Schema = SCHEMA) -> None:
    make_busy_store(place, schema).backend.close()


def make_grouped(place: Path) -> None:
    """Make a store with a group that is larger than it is going to be."""
    store = make_busy_store(place, SCHEMA)
    write_groups(range(7), {"id-00004": 5})(store.backend)
    store.backend.close()


def make_sparse(place: Path) -> None:
    """Make a store in which many records lack a vector, in segments with gaps and in the memtable."""
    store = make_busy_store(place, OPTIONAL)
    store.upsert(range(50, 150), 8, make_sparse_rows)
    store.upsert(range(145, 160), 9, make_sparse_rows)
    store.backend.close()


def make_indexed(place: Path, *, wanted: bool = True) -> None:
    """Make a store with an index, and with enough rows beside it for the index to grow."""
    store = make_busy_store(place, INDEXED, index_min_rows="32")
    store.backend.build_index(store.active)
    store.upsert(range(500, 560), 8)
    store.delete([10, 501])
    if not wanted:
        store.backend.amend(replace(store.active, schema=SCHEMA))
    store.backend.close()


BEFORE: dict[str, Callable[[Path], object]] = {
    "groups": make_grouped,
    "sparse write": make_sparse,
    "removal of vectors": make_sparse,
    "build": partial(make_busy, schema=INDEXED),
    "compact with an index": make_indexed,
    "reindex": make_indexed,
    "tend": make_indexed,
    "give up": partial(make_indexed, wanted=False),
    "write and tend": make_indexed,
    "first create": Path.mkdir,
}
"""Makes the store that an operation begins with."""
