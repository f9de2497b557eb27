"""Insert and upsert: what is written and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from ..database import Database
from ..errors import (
    DimensionMismatch,
    EmbedderRequired,
    InvalidArgument,
    InvalidId,
    InvalidMetadata,
    InvalidVector,
    PartialWrite,
    RecordExists,
    VecstoreError,
)
from ..records import Record
from ..store import VectorStore
from .place import Place, Places
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents

BAD_RECORDS: dict[str, tuple[Record, type[VecstoreError]]] = {
    "empty id": (Record("", [1, 2, 3, 4]), InvalidId),
    "id is an int": (Record(3, [1, 2, 3, 4]), InvalidId),  # type: ignore[arg-type]
    "id with NUL": (Record("a\0", [1, 2, 3, 4]), InvalidId),
    "vector too short": (Record("bad", [1, 2, 3]), DimensionMismatch),
    "vector with NaN": (Record("bad", [1, 2, 3, np.nan]), InvalidVector),
    "no vector, no text": (Record("bad"), InvalidVector),
    "no vector, no embedder": (Record("bad", text="a text"), EmbedderRequired),
    "text is bytes": (Record("bad", [1, 2, 3, 4], b"text"), InvalidMetadata),  # type: ignore[arg-type]
    "text with NUL": (Record("bad", [1, 2, 3, 4], "\0"), InvalidMetadata),
    "wrong type in a field": (make_book(1, id="bad", metadata={"year": "2024"}), InvalidMetadata),
    "naive date": (make_book(1, id="bad", metadata={"at": "yesterday"}), InvalidMetadata),
    "metadata not JSON": (make_book(1, id="bad", metadata={"x": object()}), InvalidMetadata),
    "metadata is a list": (Record("bad", [1, 2, 3, 4], metadata=[("a", 1)]), InvalidMetadata),  # type: ignore[arg-type]
}

Write = Callable[..., int]


def make_mapping(record: Record) -> dict[str, Any]:
    """Return a record as JSON has it."""
    return {"id": record.id, "vector": record.vector, "text": record.text, "metadata": dict(record.metadata)}


class WriteTests(Places):
    """`VectorStore.insert` and `VectorStore.upsert`."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store of books."""
        return db.create("docs", SCHEMA)

    @pytest.fixture(params=["insert", "upsert"])
    def write(self, store: VectorStore, request: pytest.FixtureRequest) -> Write:
        """Return either way to write."""
        method: Write = getattr(store, request.param)
        return method

    def test_what_was_written_is_there(self, store: VectorStore, write: Write) -> None:
        assert write(make_books(range(10))) == 10
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_what_was_written_lies_in_the_storage(self, place: Place, store: VectorStore) -> None:
        store.insert(make_books(range(4)))
        store.upsert([make_book(9, id="book-00001")])
        store.update(ids=["book-00002"], metadata={"lang": None, "note": 1}, text="new", vector=[1, 2, 3, 4])
        store.delete(ids=["book-00003"])
        raw = place.raw("docs")
        if raw is None:
            pytest.skip("this place cannot be read without vecstore")
        assert raw.keys() == {"book-00000", "book-00001", "book-00002"}
        for record in store.scan():
            found = raw[record.id]
            assert found.text == record.text
            assert found.vector == np.asarray(record.vector, "<f4").tobytes()
            assert dict(found.metadata).keys() == dict(record.metadata).keys()

    @pytest.mark.parametrize("make", [list, tuple, iter, reversed])
    def test_any_iterable_will_do(self, store: VectorStore, write: Write, make: Callable[..., Any]) -> None:
        assert write(make(make_books(range(3)))) == 3
        assert read_contents(store) == key_by_id(make_books(range(3)))

    @pytest.mark.parametrize("empty", [[], (), iter(()), {}], ids=["list", "tuple", "iterator", "dict"])
    def test_nothing_to_write(self, store: VectorStore, write: Write, empty: Any) -> None:
        assert write(empty) == 0
        assert store.count() == 0

    @pytest.mark.parametrize(
        "records", [None, 3, "abc", b"abc", make_book(1)], ids=["None", "int", "str", "bytes", "Record"]
    )
    def test_what_is_no_iterable_of_records(self, store: VectorStore, write: Write, records: Any) -> None:
        with pytest.raises(InvalidArgument, match="iterable of Record"):
            write(records)
        assert store.count() == 0

    @pytest.mark.parametrize("item", [None, "a", ("a", [1, 2, 3, 4]), Record])
    def test_items_are_records(self, store: VectorStore, write: Write, item: Any) -> None:
        with pytest.raises(InvalidArgument, match="Record objects"):
            write([make_book(1), item])
        assert store.count() == 0

    @pytest.mark.parametrize("size", [None, 1, 2])
    def test_plain_mappings_are_records(self, store: VectorStore, write: Write, size: int | None) -> None:
        books = make_books(range(4))
        mixed = [make_mapping(books[0]), books[1], MappingProxyType(make_mapping(books[2])), make_mapping(books[3])]
        bare = {"id": "bare", "vector": [1, 2, 3, 4], "text": None, "metadata": None}
        assert write(iter([*mixed, bare, {"vector": [1, 2, 3, 4], "id": "barer"}]), batch_size=size) == 6
        expected = [*books, Record("bare", [1, 2, 3, 4]), Record("barer", [1, 2, 3, 4])]
        assert read_contents(store) == key_by_id(expected)

    @pytest.mark.parametrize(
        "part, error, message",
        [
            ({"txt": "a"}, InvalidArgument, r"records\[1\] has the unknown key 'txt'. Did you mean 'text'"),
            ({"year": 2020}, InvalidArgument, r"records\[1\] .*'year'.* metadata"),
            ({"Id": "a"}, InvalidArgument, r"records\[1\] .*'Id'"),
            ({b"text": "a"}, InvalidArgument, r"records\[1\] has a key of type bytes"),
            ({"id": None}, InvalidId, r"records\[1\] has no 'id'"),
            ({"id": 3}, InvalidId, r"records\[1\]"),
            ({"vector": None}, InvalidVector, "'bad'"),
            ({"metadata": [("a", 1)]}, InvalidMetadata, "'bad'"),
            ({"text": 3}, InvalidMetadata, "'bad'"),
        ],
    )
    def test_wrong_mappings_are_refused(
        self, store: VectorStore, write: Write, part: Any, error: type[VecstoreError], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            write([make_mapping(make_book(1)), {"id": "bad", "vector": [1, 2, 3, 4], **part}])
        assert store.count() == 0
        assert write([{"id": "good", "vector": [1, 2, 3, 4]}]) == 1
        with pytest.raises(InvalidArgument, match=r"iterable of Record.*\[record\]"):
            write(make_mapping(make_book(1)))

    @pytest.mark.parametrize("size", [0, -1, 1.5, True, "5"])
    def test_a_batch_size_is_a_whole_number(self, store: VectorStore, write: Write, size: Any) -> None:
        with pytest.raises(InvalidArgument, match="batch_size"):
            write(make_books(range(3)), batch_size=size)
        assert store.count() == 0

    @pytest.mark.parametrize("kind", BAD_RECORDS)
    @pytest.mark.parametrize("where", [0, 3])
    def test_of_a_bad_batch_nothing_is_written(self, store: VectorStore, write: Write, kind: str, where: int) -> None:
        bad, error = BAD_RECORDS[kind]
        store.upsert([make_book(90)])
        batch = make_books(range(3))
        with pytest.raises(error) as caught:
            write([*batch[:where], bad, *batch[where:]])
        assert not isinstance(caught.value, PartialWrite)
        assert read_contents(store) == key_by_id([make_book(90)])

    @pytest.mark.parametrize("kind", BAD_RECORDS)
    def test_after_good_batches_a_bad_one_is_a_partial_write(self, store: VectorStore, write: Write, kind: str) -> None:
        bad, error = BAD_RECORDS[kind]
        with pytest.raises(PartialWrite, match="4 records are written") as caught:
            write([*make_books(range(5)), bad, *make_books(range(5, 9))], batch_size=2)
        assert caught.value.committed == 4
        assert type(caught.value.__cause__) is error
        assert not caught.value.retryable
        assert read_contents(store) == key_by_id(make_books(range(4)))

    def test_a_caller_keeps_what_it_gave(self, store: VectorStore, write: Write) -> None:
        given = np.array([1, 2, 3, 4], np.float32)
        values: dict[str, Any] = {"tags": ["x"], "shelf": {"row": 1}}
        write([Record("a", given, "text", values)])
        given[:] = 9
        values["shelf"]["row"] = 2
        values["tags"].append("y")
        expected = Record("a", [1, 2, 3, 4], "text", {"tags": ["x"], "shelf": {"row": 1}})
        assert store.get(["a"]) == [expected]

    def test_what_a_reader_does_to_a_record_changes_nothing_stored(self, store: VectorStore) -> None:
        store.upsert([make_book(1)])
        read: list[Any] = [*store.get(["book-00001"]), *store.scan()]
        for record in read:
            record.metadata["shelf"]["row"] = -1
            record.metadata["tags"].append("y")
            if record.vector.flags.writeable:
                record.vector[:] = 0
        assert read_contents(store) == key_by_id([make_book(1)])

    def test_another_database_sees_every_write_at_once(self, place: Place, store: VectorStore) -> None:
        if not place.shared:
            pytest.skip("a second connection sees nothing of this place")
        with place.connect() as other:
            seen = other.open("docs")
            store.insert(make_books(range(3)))
            assert read_contents(seen) == key_by_id(make_books(range(3)))
            store.upsert([make_book(9, id="book-00001")])
            assert seen.get(["book-00001"]) == [make_book(9, id="book-00001")]
            store.update(ids=["book-00001"], metadata={"year": 1999})
            assert seen.count({"year": 1999}) == 1
            store.delete(ids=["book-00001"])
            assert seen.search(make_book(9).vector, k=1)[0].id != "book-00001"
            seen.delete(ids=["book-00002"])
            assert read_contents(store) == read_contents(seen) == key_by_id([make_book(0)])


class InsertTests(Places):
    """What sets `insert` apart: an id that exists is an error."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store with three books."""
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        return store

    def test_an_id_that_exists_refuses_the_batch(self, store: VectorStore) -> None:
        with pytest.raises(RecordExists, match="book-00001") as caught:
            store.insert([make_book(5), make_book(9, id="book-00001"), make_book(6)])
        assert caught.value.ids == ("book-00001",)
        assert read_contents(store) == key_by_id(make_books(range(3)))

    def test_an_id_that_exists_in_a_later_batch(self, store: VectorStore) -> None:
        with pytest.raises(PartialWrite) as caught:
            store.insert([make_book(5), make_book(6), make_book(7), make_book(1)], batch_size=2)
        assert caught.value.committed == 2
        assert isinstance(caught.value.__cause__, RecordExists)
        assert read_contents(store) == key_by_id(make_books([0, 1, 2, 5, 6]))

    def test_a_removed_id_is_free_again(self, store: VectorStore) -> None:
        store.delete(ids=["book-00001"])
        assert store.insert([make_book(9, id="book-00001")]) == 1
        assert store.get(["book-00001"]) == [make_book(9, id="book-00001")]


class UpsertTests(Places):
    """What sets `upsert` apart: it replaces."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store with three books."""
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        return store

    def test_a_record_is_replaced_whole(self, store: VectorStore) -> None:
        assert store.upsert([Record("book-00001", [9, 9, 9, 9])]) == 1
        assert store.get(["book-00001"]) == [Record("book-00001", [9, 9, 9, 9])]
        assert store.count({"lang": "en"}) == 0
        assert store.count() == 3
        assert store.search([9, 9, 9, 9], k=1)[0].id == "book-00001"

    def test_new_and_known_ids_count_alike(self, store: VectorStore) -> None:
        assert store.upsert(make_books(range(1, 6))) == 5
        assert read_contents(store) == key_by_id(make_books(range(6)))

    def test_writing_the_same_again_changes_nothing(self, store: VectorStore) -> None:
        assert store.upsert(make_books(range(3))) == 3
        assert read_contents(store) == key_by_id(make_books(range(3)))
