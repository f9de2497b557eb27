"""Get, scan and count: reading by id, page by page, and how many."""

from __future__ import annotations

from typing import Any

import pytest

from ..database import Database
from ..errors import InvalidArgument, InvalidFilter, InvalidId, UnknownField
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..records import Record
from ..store import PAGE, VectorStore
from .place import Place, Places
from .sample_records import SCHEMA, WIDER, key_by_id, make_book, make_books
from .threads import RepeatingThreads

IDS_IN_ORDER = sorted(
    [
        "a", "A", "a ", " a", "aa", "a\x01", "B", "b", "Z", "é", "e\u0301", "ß", "ss", "ｚ", "\uffff", "\U00010000",
        "😀", "10", "9",
    ],
    key=str.encode,
)  # fmt: skip


class SharedStore(Places):
    """A store with ten books, read only."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, library: Database) -> VectorStore:
        """Return a store with ten books."""
        store = library.create("docs", SCHEMA)
        store.insert(make_books(range(10)))
        return store


class GetTests(SharedStore):
    """`VectorStore.get`."""

    def test_in_the_order_of_the_ids_none_for_absent_repeated_as_asked(self, store: VectorStore) -> None:
        ids = ["book-00003", "absent", "book-00001", "book-00003", "book-0000", "BOOK-00001"]
        assert store.get(ids) == [make_book(3), None, make_book(1), make_book(3), None, None]

    @pytest.mark.parametrize("ids", [[], (), iter([])], ids=["list", "tuple", "iterator"])
    def test_no_ids(self, store: VectorStore, ids: Any) -> None:
        assert store.get(ids) == []

    def test_any_iterable(self, store: VectorStore) -> None:
        assert store.get(f"book-{number:05}" for number in (2, 1)) == [make_book(2), make_book(1)]

    @pytest.mark.parametrize("ids", ["book-00001", b"book-00001", None, 3])
    def test_ids_are_a_list(self, store: VectorStore, ids: Any) -> None:
        with pytest.raises(InvalidArgument, match="list of ids"):
            store.get(ids)

    @pytest.mark.parametrize("bad", ["", "a\0", "x" * 513, "\ud800", None, 3, b"a"], ids=ascii)
    def test_every_id_is_checked(self, store: VectorStore, bad: Any) -> None:
        with pytest.raises(InvalidId):
            store.get(["book-00001", bad])

    def test_more_ids_than_a_page(self, store: VectorStore) -> None:
        ids = [f"absent-{number}" for number in range(PAGE + 1)]
        assert store.get([*ids, "book-00001", *ids, "book-00002"])[PAGE + 1 :: PAGE + 2] == [make_book(1), make_book(2)]


class CountTests(SharedStore):
    """`VectorStore.count`."""

    def test_all_and_some(self, store: VectorStore) -> None:
        assert store.count() == store.count(ALL) == 10
        assert store.count(F.lang == "en") == store.count({"lang": "en"}) == 3
        assert store.count(F.lang == "no such") == 0

    @pytest.mark.parametrize("where", [{}, "lang", 3, True, [F.lang == "en"]], ids=str)
    def test_what_is_no_filter(self, store: VectorStore, where: Any) -> None:
        with pytest.raises(InvalidFilter):
            store.count(where)

    def test_an_empty_store(self, library: Database) -> None:
        empty = library.create("empty", SCHEMA, if_exists="open")
        assert (empty.count(), empty.count(ALL), empty.count(F.lang != "en")) == (0, 0, 0)


class ScanTests(SharedStore):
    """`VectorStore.scan` of a store at rest."""

    @pytest.mark.parametrize("size", [1, 2, 3, 9, 10, 11, 1_000])
    def test_every_record_once_in_order(self, store: VectorStore, size: int) -> None:
        assert list(store.scan(batch_size=size)) == make_books(range(10))

    @pytest.mark.parametrize("size", [1, 2, 1_000])
    def test_the_matching_ones(self, store: VectorStore, size: int) -> None:
        assert list(store.scan(F.lang == "en", batch_size=size)) == make_books([1, 4, 7])
        assert list(store.scan({"year": {"$gte": 2008}}, batch_size=size)) == make_books([8, 9])
        assert list(store.scan(F.lang == "no such", batch_size=size)) == []

    def test_an_empty_store(self, library: Database) -> None:
        assert list(library.create("empty", SCHEMA, if_exists="open").scan()) == []

    def test_ids_are_ordered_by_their_bytes(self, library: Database) -> None:
        store = library.create("ids", SCHEMA)
        store.insert([make_book(1, id=id_) for id_ in reversed(IDS_IN_ORDER)])
        for size in (1, 2, 100):
            assert [record.id for record in store.scan(batch_size=size)] == IDS_IN_ORDER

    @pytest.mark.parametrize(
        "include", [(), ["text"], {"metadata"}, ["vector"], ("vector", "text"), ["text", "metadata", "vector"]], ids=str
    )
    @pytest.mark.parametrize("where", [None, F.year >= 2003], ids=["all", "filter"])
    def test_the_parts_that_are_asked_for(self, store: VectorStore, include: Any, where: Any) -> None:
        expected = [
            Record(
                book.id,
                book.vector if "vector" in include else None,
                book.text if "text" in include else None,
                book.metadata if "metadata" in include else {},
            )
            for book in make_books(range(0 if where is None else 3, 10))
        ]
        for size in (2, 1_000):
            assert list(store.scan(where, include=include, batch_size=size)) == expected

    @pytest.mark.parametrize("limit", [0, 1, 3, 4, 9, 10, 11, 10**9])
    @pytest.mark.parametrize("size", [1, 3, 1_000])
    def test_no_more_than_the_limit(self, store: VectorStore, limit: int, size: int) -> None:
        assert list(store.scan(limit=limit, batch_size=size)) == make_books(range(min(limit, 10)))
        found = [record.id for record in store.scan(F.lang == "en", include=[], limit=limit, batch_size=size)]
        assert found == [f"book-{number:05}" for number in (1, 4, 7)][:limit]

    @pytest.mark.parametrize("limit", [-1, 1.5, True, "5"])
    def test_a_limit_is_a_whole_number(self, store: VectorStore, limit: Any) -> None:
        with pytest.raises(InvalidArgument, match="limit"):
            store.scan(limit=limit)

    @pytest.mark.parametrize("include", ["text", ["texts"], 3, None, [None]], ids=str)
    def test_parts_have_names(self, store: VectorStore, include: Any) -> None:
        with pytest.raises(InvalidArgument, match="include"):
            store.scan(include=include)

    def test_the_filter_alone_goes_by_position(self, store: VectorStore) -> None:
        with pytest.raises(TypeError):
            store.scan(None, 5)  # type: ignore[call-arg, arg-type]

    @pytest.mark.parametrize("size", [0, -1, 1.5, True, "5", None])
    def test_a_batch_size_is_a_whole_number(self, store: VectorStore, size: Any) -> None:
        with pytest.raises(InvalidArgument, match="batch_size"):
            store.scan(batch_size=size)

    def test_a_bad_filter_is_refused_by_the_call_itself(self, store: VectorStore) -> None:
        with pytest.raises(UnknownField):
            store.scan(F.author == "x")
        with pytest.raises(InvalidFilter):
            store.scan({})


class ScanUnderChangeTests(Places):
    """`VectorStore.scan` while the store changes: keyset pages, no transaction that outlives one."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store with ten books, the even numbers up to 18."""
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(0, 20, 2)))
        return store

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_what_is_present_throughout_appears_exactly_once(self, store: VectorStore, size: int) -> None:
        seen = []
        for turn, record in enumerate(store.scan(batch_size=size)):
            seen.append(record.id)
            store.insert([make_book(4 * turn + 1), make_book(4 * turn + 3)])  # first behind and soon ahead of the scan
            store.delete(ids=[f"book-{number:05}" for number in (1, 5, 9)])
            if turn > 50:
                break
        assert seen == sorted(set(seen))
        assert {f"book-{number:05}" for number in range(0, 20, 2)} <= set(seen)

    def test_what_is_removed_ahead_of_the_page_does_not_appear(self, store: VectorStore) -> None:
        scan = store.scan(batch_size=2)
        first = [next(scan), next(scan)]
        store.delete(ids=["book-00000", "book-00002", "book-00004", "book-00018"])
        assert [*first, *scan] == make_books([0, 2, 6, 8, 10, 12, 14, 16])

    def test_a_change_ahead_of_the_page_is_seen(self, store: VectorStore) -> None:
        scan = store.scan(batch_size=2)
        next(scan)
        store.update(ids=["book-00018"], metadata={"lang": "xx"})
        assert list(scan)[-1].metadata["lang"] == "xx"

    def test_removing_every_page_behind_the_scan(self, store: VectorStore) -> None:
        seen = 0
        for record in store.scan(batch_size=3):
            seen += store.delete(ids=[record.id])
        assert (seen, store.count()) == (10, 0)

    def test_an_unfinished_scan_hinders_nobody(self, place: Place, db: Database, store: VectorStore) -> None:
        scan = store.scan(batch_size=2)
        next(scan)
        with place.connect() if place.shared else db as other:
            other.open("docs").upsert(make_books(range(3)))
            other.rebuild("docs", schema=WIDER, keep_previous=False)
            other.open("docs").delete(where=ALL)
            other.drop("docs")
            assert other.names() == []

    def test_a_scan_goes_on_across_a_rebuild(self, db: Database, store: VectorStore) -> None:
        scan = store.scan(batch_size=2)
        seen = [next(scan), next(scan), next(scan)]
        db.rebuild("docs", schema=WIDER, keep_previous=False)
        assert [*seen, *scan] == make_books(range(0, 20, 2))

    def test_writers_all_the_time(self, store: VectorStore) -> None:
        turns = iter(range(1, 10**9, 2))

        def come_and_go() -> None:
            number = next(turns)
            store.upsert([make_book(number % 20), Record(f"other-{number % 7}", [1, 2, 3, 4])])
            store.delete(ids=[f"book-{(number + 2) % 20:05}"])

        with RepeatingThreads(come_and_go) as threads:
            for _ in range(10):
                seen = [record.id for record in store.scan(batch_size=2)]
                assert seen == sorted(set(seen))
                assert key_by_id(make_books(range(0, 20, 2))).keys() <= set(seen)
                threads.wait_for(2)
