"""An id that appears more than once in one call: the last record is stored, wherever batches are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from ..database import Database
from ..errors import DimensionMismatch, DuplicateId, InvalidMetadata, InvalidVector, PartialWrite, RecordExists
from ..index_options import Flat
from ..records import Record
from ..rows.batches import BATCH_RECORDS
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents
from .toy_embedder import ToyEmbedder

APART = (1, 2, 10, 49)
SIZES = (None, 1, 2, 3, 7, 10, 50, 51)


def place_twin(last: Record, distance: int) -> list[Record]:
    """Return 50 books and a second record of the id of one of them, ``distance`` places after it."""
    records = make_books(range(50))
    place = 49 - distance
    return [*records[: place + distance + 1], Record(records[place].id, last.vector, last.text, last.metadata)]


class TwinTests(Places):
    """Records of the same id in one call."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store of books."""
        return db.create("docs", SCHEMA)

    @pytest.mark.parametrize("distance", APART)
    def test_the_last_one_is_stored_whatever_the_batches(self, store: VectorStore, distance: int) -> None:
        for number, size in enumerate(SIZES):
            records = place_twin(make_book(100 + number), distance)
            assert store.upsert(iter(records), batch_size=size) == 51
            assert read_contents(store) == key_by_id(records)

    def test_twins_6000_apart(self, db: Database) -> None:
        store = db.create("small", Schema(dim=1, metric="l2", index=Flat()))
        assert BATCH_RECORDS < 6_000
        records = (Record(f"r{number % 6_000}", [number], f"text {number}") for number in range(6_001))
        assert store.upsert(records) == 6_001
        assert store.count() == 6_000
        assert store.get(["r0", "r1"]) == [Record("r0", [6_000], "text 6000"), Record("r1", [1], "text 1")]

    @pytest.mark.parametrize(
        "last",
        [
            Record("twin", [9, 9, 9, 9]),
            Record("twin", [9, 9, 9, 9], "", {"lang": "xx"}),
            Record("twin", np.array([1, 2, 3, 4.0]), "other", {"note": [1, None], "year": 1}),
            Record("twin", (1, 2, 3, 4), None, {"year": None, "lang": None, "tags": []}),
        ],
        ids=["bare", "empty text", "other keys", "removed keys"],
    )
    def test_nothing_of_the_first_one_remains(self, place: Place, store: VectorStore, last: Record) -> None:
        first = make_book(3, id="twin")
        for records in ([first, last], [last, first, last], [make_book(1), first, make_book(2), last]):
            for size in (None, 1, 2):
                store.delete(ids=["twin"])
                assert store.upsert(records, batch_size=size) == len(records)
                wanted = {key: value for key, value in last.metadata.items() if value is not None}
                assert store.get(["twin"]) == [Record("twin", last.vector, last.text, wanted)]
        raw = place.raw("docs")
        if raw is not None:
            assert sorted(raw) == ["book-00001", "book-00002", "twin"]
            assert raw["twin"].text == last.text

    def test_groups_of_three(self, store: VectorStore) -> None:
        records = [make_book(number, id=f"r{number % 20}") for number in range(60)]
        for order in (records, records[::-1], sorted(records, key=lambda record: record.id)):
            for size in (None, 7, 59):
                assert store.upsert(order, batch_size=size) == 60
                assert read_contents(store) == key_by_id(order)

    def test_a_replaced_record_has_to_be_right_too(self, store: VectorStore) -> None:
        wrong: Sequence[tuple[Record, type[Exception]]] = [
            (Record("twin", [1, 2, 3]), DimensionMismatch),
            (Record("twin", [1, 2, 3, np.nan]), InvalidVector),
            (Record("twin", [1, 2, 3, 4], metadata={"year": "1"}), InvalidMetadata),
        ]
        for bad, error in wrong:
            for records in ([bad, make_book(1, id="twin")], [make_book(1, id="twin"), bad]):
                with pytest.raises(error, match="'twin'"):
                    store.upsert(records)
                assert store.count() == 0
        with pytest.raises(PartialWrite):
            store.upsert([make_book(1, id="twin"), wrong[0][0]], batch_size=1)

    def test_ids_are_twins_byte_by_byte(self, store: VectorStore) -> None:
        ids = ["\u00e9", "e\u0301", "a", "A", "a ", " a", "\u00e9"]
        assert store.upsert(make_book(number, id=id_) for number, id_ in enumerate(ids)) == 7
        assert store.count() == 6
        assert store.get(["\u00e9"]) == [make_book(6, id="\u00e9")]

    def test_a_stored_record_is_replaced_by_the_last_one(self, store: VectorStore) -> None:
        store.insert([make_book(1), make_book(2)])
        records = [make_book(number, id="book-00001") for number in (7, 8, 9)]
        assert store.upsert(records) == 3
        assert read_contents(store) == key_by_id([records[-1], make_book(2)])
        assert store.search(make_book(9).vector, 1)[0].id == "book-00001"

    def test_the_text_of_the_last_one_is_embedded(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(metric="cosine"), embedder=embedder)
        records = [Record("a", text="red apple"), Record("b", text="sky"), Record("a", text="green pear")]
        for size in (None, 1, 2):
            assert store.upsert(records, batch_size=size) == 3
            (stored,) = store.get(["a"])
            assert stored is not None
            assert stored.text == "green pear"
            assert np.array_equal(np.asarray(stored.vector), embedder.embed_documents(["green pear"])[0])

    @pytest.mark.parametrize("apart", [1, 2, 10])
    def test_insert_refuses_twins_of_a_batch(self, store: VectorStore, apart: int) -> None:
        store.insert([make_book(900)])
        with pytest.raises(DuplicateId, match="book-00003"):
            store.insert([*make_books(range(3 + apart)), make_book(8, id="book-00003"), *make_books(range(50, 55))])
        assert read_contents(store) == key_by_id([make_book(900)])

    def test_insert_refuses_a_twin_of_an_earlier_batch(self, store: VectorStore) -> None:
        with pytest.raises(PartialWrite) as caught:
            store.insert([*make_books(range(6)), make_book(20), make_book(8, id="book-00001")], batch_size=3)
        assert isinstance(caught.value.__cause__, RecordExists)
        assert caught.value.committed == 6
        assert read_contents(store) == key_by_id(make_books(range(6)))

    def test_a_partial_write_counts_both_twins(self, store: VectorStore) -> None:
        records: list[Any] = [make_book(1), make_book(2, id="book-00001"), make_book(3), make_book(4), Record("bad")]
        with pytest.raises(PartialWrite) as caught:
            store.upsert(records, batch_size=2)
        assert caught.value.committed == 4
        rest = records[caught.value.committed : -1]
        store.upsert(rest)
        assert read_contents(store) == key_by_id(records[:-1])

    @pytest.mark.parametrize("make", [list, iter, tuple], ids=["list", "iterator", "tuple"])
    def test_an_id_twice_in_a_selection_is_one_record(
        self, store: VectorStore, make: Callable[[Iterable[str]], Iterator[str]]
    ) -> None:
        store.insert(make_books(range(5)))
        twice = ["book-00001", "book-00003", "book-00001", "absent", "absent", "book-00001"]
        found = store.get(make(twice))
        assert [record and record.id for record in found] == [None if id_ == "absent" else id_ for id_ in twice]
        assert store.update(ids=make(twice), metadata={"year": 1}) == 2
        assert store.count({"year": 1}) == 2
        assert store.delete(ids=make(twice)) == 2
        assert sorted(read_contents(store)) == ["book-00000", "book-00002", "book-00004"]
