"""A directory of this format as it was once written, and directories of formats to come."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from tests.file.golden_maker import EXPECTED, GOLDEN, PLACE, SCHEMAS, describe, find_nearest, make_records
from tests.file.samples import INDEXED, Store, connect_backend, make_busy_store
from tests.force_graph import MIN_ROWS, force_graph
from vecstore import Database, F, StoreCorrupt, Unsupported
from vecstore.backend import Generation
from vecstore.backends.file.backend import FileBackend
from vecstore.backends.file.index import index_file
from vecstore.backends.file.vectors import segment

MOST_BYTES = 400 * 1024


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(PLACE, tmp_path / "kb"))


@pytest.fixture
def expected() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(EXPECTED.read_text())
    return data


@pytest.fixture
def backend(golden: Path) -> Iterator[FileBackend]:
    with closing(connect_backend(golden)) as backend:
        yield backend


def roles(backend: FileBackend, expected: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for name, of_store in expected.items():
        for role, data in of_store.items():
            yield getattr(backend.find(name=name), role), data


def test_everything_is_read_as_it_was_written(backend: FileBackend, expected: dict[str, Any]) -> None:
    found = describe(backend)
    for name, of_store in expected.items():
        for role, data in of_store.items():
            for key, value in data.items():
                assert key == "nearest" or found[name][role][key] == value, f"{name}, {role}: {key}"
    assert found.keys() == expected.keys()


def test_it_has_what_is_to_be_read() -> None:
    """A golden directory proves nothing about what is not in it."""
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < MOST_BYTES
    for pattern in ("idx/*.faiss", "seg/*.vec", "rows.db"):
        assert len(list(PLACE.glob(f"g/*/{pattern}"))) >= 3
    # A clone has no empty directories.
    assert all(any(path.iterdir()) for path in PLACE.rglob("seg"))
    assert not list(PLACE.rglob("*.tmp"))
    assert not list(PLACE.rglob("*-journal"))


@pytest.mark.parametrize("exact", [True, False])
def test_searches_find_what_they_found(backend: FileBackend, expected: dict[str, Any], *, exact: bool) -> None:
    with force_graph():
        for generation, data in roles(backend, expected):
            for hits, known in zip(find_nearest(backend, generation, exact=exact), data["nearest"], strict=True):
                assert [hit[1] for hit in hits] == [hit[1] for hit in known]
                scores = [hit[0] for hit in hits]
                assert scores == pytest.approx([hit[0] for hit in known], rel=1e-5, abs=1e-6)


def test_indexes_are_used_as_they_are(golden: Path, backend: FileBackend, expected: dict[str, Any]) -> None:
    before = sorted(golden.rglob("*.faiss"))
    for generation, data in roles(backend, expected):
        if data["index"][0] == "ready":
            assert not backend.tend(generation)
            assert backend.index_state(generation).state == "ready"
    assert sorted(golden.rglob("*.faiss")) == before


def test_every_byte_is_right(backend: FileBackend, expected: dict[str, Any]) -> None:
    for generation, data in roles(backend, expected):
        found = backend.verify(generation)
        assert (found.records, found.problems) == (len(data["records"]), ())


def test_it_is_written_to(golden: Path, expected: dict[str, Any]) -> None:
    with vecstore.connect(f"file:{golden}?{MIN_ROWS}") as db:
        for name in SCHEMAS:
            store, before = db.open(name), expected[name]["active"]["records"]
            assert store.upsert(make_records(name, range(100, 300), 9)) == 200
            assert store.delete(ids=["r50", "r200"]) == (2 if "r50" in before else 1)
            store.compact()
            ids = {*before, *(f"r{number}" for number in range(100, 300))} - {"r50", "r200"}
            assert {record.id for record in store.scan()} == ids
            assert store.index_status().state == "ready"
            assert store.verify().ok
        _check_rollback(db, expected)


def _check_rollback(db: Database, expected: dict[str, Any]) -> None:
    """What was noted before the directory was kept, and since, comes along."""
    active = {record.id: record.metadata for record in db.open("products").scan()}
    assert expected["products"]["active"]["changes"]
    db.rollback("products")
    back = {record.id: record.metadata for record in db.open("products").scan()}
    assert back == active
    assert "r0" not in back
    assert db.open("products").schema == SCHEMAS["products"]
    assert db.open("products").count(F.number == 299) == 1
    assert db.open("products").verify().ok


# -- other formats


def set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("name", ["catalog.db", "rows.db"])
def test_a_newer_database_file_is_refused(golden: Path, expected: dict[str, Any], name: str) -> None:
    for path in golden.rglob(name):
        set_version(path, 3)
    with pytest.raises(Unsupported, match=r"format 3 .* Upgrade: "), vecstore.connect(f"file:{golden}") as db:
        db.open("articles").count()
    with pytest.raises(Unsupported, match=r"format 3 .* Upgrade: "), vecstore.connect(f"file:{golden}") as db:
        db.open("articles").upsert(make_records("articles", range(3), 1))


LOOKS: list[Callable[[FileBackend, Generation], object]] = [
    lambda backend, active: backend.count(active, None),
    lambda backend, active: backend.delete(active, ["id-00001"]),
    lambda backend, active: backend.compact(active),
]


def test_a_newer_segment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(segment, "_FORMAT", 2)
        store = make_busy_store(tmp_path)
        store.backend.close()
    for look in LOOKS:
        with (
            pytest.raises(Unsupported, match=r"format 2 .*\.vec.* Upgrade: "),
            closing(connect_backend(tmp_path)) as fresh,
        ):
            look(fresh, store.active)


def test_an_index_of_another_format_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(index_file, "_FORMAT", 2)
        store = make_busy_store(tmp_path, INDEXED, index_min_rows="32")
        store.backend.build_index(store.active)
        store.backend.close()
    store.backend = connect_backend(tmp_path, index_min_rows="32")
    assert store.backend.index_state(store.active).state == "invalid"
    assert store.backend.tend(store.active)
    assert store.backend.index_state(store.active).state == "ready"
    store.check()


def make_foreign_segment(store: Store) -> Path:
    """Turn the header of a segment into what a machine of the other byte order would write."""
    path = min((store.place / "g" / store.active.id / "seg").iterdir())
    data = bytearray(path.read_bytes())
    values = struct.unpack_from("<8s4I3Q16s16s", data)
    header = struct.pack(">8s4I3Q16s16s", *values).ljust(124, b"\0")
    data[:128] = header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(bytes(data))
    return path


def test_the_other_byte_order_is_refused(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    store.backend.close()
    path = make_foreign_segment(store)
    with closing(connect_backend(tmp_path)) as fresh, pytest.raises(StoreCorrupt, match=path.name):
        fresh.count(store.active, None)


def test_vectors_are_stored_in_one_byte_order(tmp_path: Path) -> None:
    """Wherever they were given in another one."""
    with vecstore.connect(f"file:{tmp_path}") as db:
        docs = db.create("docs", SCHEMAS["products"])
        vectors = np.arange(1, 301, dtype=">f4").reshape(100, 3)
        docs.upsert(vecstore.Record(f"r{number:03}", vector) for number, vector in enumerate(vectors))
    (path,) = tmp_path.rglob("*.vec")
    assert path.read_bytes()[128:][:1200] == vectors.astype("<f4").tobytes()
