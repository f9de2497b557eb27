"""Long writes: how far they read, and where they stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from ..database import Database
from ..errors import PartialWrite
from ..index_options import Flat
from ..records import Record
from ..rows.batches import BATCH_RECORDS
from ..schema import Schema
from ..store import VectorStore
from .place import Places
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents


class _CallersError(Exception):
    """An error of the caller's own."""


class StreamTests(Places):
    """Long writes: consumed once, batch by batch, and what is there when they break off."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store of books."""
        return db.create("docs", SCHEMA)

    @staticmethod
    def watched(store: VectorStore, records: Iterable[Record], at: Iterable[int]) -> tuple[Iterator[Record], list[int]]:
        """Return a generator of the records, and the counts that it finds before it gives certain ones."""
        counts: list[int] = []

        def given() -> Iterator[Record]:
            for number, record in enumerate(records):
                if number in at:
                    counts.append(store.count())
                yield record

        return given(), counts

    def test_a_generator_is_read_no_further_than_its_batch(self, store: VectorStore) -> None:
        records, counts = self.watched(store, make_books(range(10)), range(10))
        assert store.upsert(records, batch_size=3) == 10
        assert counts == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_a_batch_has_5000_records(self, db: Database) -> None:
        store = db.create("small", Schema(dim=1, metric="l2", index=Flat()))
        many = (Record(f"r{number}", [number]) for number in range(BATCH_RECORDS + 2))
        records, counts = self.watched(store, many, {BATCH_RECORDS - 1, BATCH_RECORDS, BATCH_RECORDS + 1})
        assert store.insert(records) == BATCH_RECORDS + 2
        assert counts == [0, BATCH_RECORDS, BATCH_RECORDS]
        assert store.count() == BATCH_RECORDS + 2

    def test_a_batch_has_16_mib_of_text(self, store: VectorStore) -> None:
        texts = (Record(f"r{number}", [1, 2, 3, 4], "x" * (6 << 20)) for number in range(5))
        records, counts = self.watched(store, texts, range(5))
        assert store.upsert(records) == 5
        assert counts == [0, 0, 0, 3, 3]

    def test_a_batch_has_16_mib_of_metadata(self, store: VectorStore) -> None:
        blob = "x" * 1_000_000
        blobs = (Record(f"r{number}", [1, 2, 3, 4], metadata={"deep": [{"in": blob}]}) for number in range(19))
        records, counts = self.watched(store, blobs, range(19))
        assert store.upsert(records) == 19
        assert counts == [0] * 17 + [17] * 2

    @pytest.mark.parametrize("error", [_CallersError, KeyboardInterrupt, GeneratorExit])
    def test_an_error_of_the_callers_own_comes_out_as_it_is(
        self, store: VectorStore, error: type[BaseException]
    ) -> None:
        raised = error("mine")

        def given() -> Iterator[Record]:
            yield from make_books(range(5))
            raise raised

        with pytest.raises(error) as caught:
            store.upsert(given(), batch_size=2)
        assert caught.value is raised
        assert any("4 records" in note for note in caught.value.__notes__)
        assert read_contents(store) == key_by_id(make_books(range(4)))

    def test_a_write_goes_on_after_a_partial_one(self, store: VectorStore) -> None:
        wrong = [*make_books(range(3)), Record("bad", [1])]
        with pytest.raises(PartialWrite) as caught:
            store.insert(wrong, batch_size=3)
        rest = [*wrong[caught.value.committed : -1], make_book(3)]
        assert store.insert(rest) == 1
        assert read_contents(store) == key_by_id(make_books(range(4)))
