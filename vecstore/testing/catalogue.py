"""Databases and the names in them: open, rename, drop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .. import fields
from ..database import Database
from ..errors import StoreExists, StoreNotFound, VecstoreError
from ..filters.nodes import ALL
from ..index_options import HNSW, Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .backend_level import check_storage
from .place import Place, Places
from .sample_records import SCHEMA, WIDER, key_by_id, make_book, make_books, read_contents

OPERATIONS: dict[str, Callable[[VectorStore], object]] = {
    "insert": lambda store: store.insert([make_book(1)]),
    "upsert": lambda store: store.upsert([make_book(1)]),
    "update": lambda store: store.update(ids=["x"], metadata={"year": 1}),
    "update where": lambda store: store.update(where=ALL, metadata={"year": 1}),
    "delete": lambda store: store.delete(ids=["x"]),
    "delete where": lambda store: store.delete(where=ALL),
    "get": lambda store: store.get(["x"]),
    "scan": lambda store: list(store.scan()),
    "count": lambda store: store.count(),
    "search": lambda store: store.search([1, 2, 3, 4]),
    "search_many": lambda store: store.search_many([[1, 2, 3, 4]]),
    "similar_to": lambda store: store.similar_to("x"),
    "reindex": lambda store: store.reindex(),
    "calibrate": lambda store: store.calibrate(),
    "compact": lambda store: store.compact(),
    "index_status": lambda store: store.index_status(),
    "measure_recall": lambda store: store.measure_recall(),
    "stats": lambda store: store.stats(),
    "verify": lambda store: store.verify(),
}
"""Every operation on a store of books that reaches its backend."""


class CatalogueTests(Places):
    """What a Database says about its stores."""

    def test_a_new_place_has_no_stores(self, db: Database) -> None:
        assert db.names() == []

    def test_names_are_sorted(self, db: Database) -> None:
        for name in ("b", "a_1", "z9", "a", "a1"):
            db.create(name, SCHEMA)
        assert db.names() == ["a", "a1", "a_1", "b", "z9"]

    def test_stores_do_not_see_each_other(self, db: Database) -> None:
        one, two = db.create("one", SCHEMA), db.create("two", SCHEMA)
        one.upsert(make_books(range(3)))
        two.upsert([make_book(7, id="book-00001")])
        one.delete(ids=["book-00002"])
        assert read_contents(one) == key_by_id(make_books(range(2)))
        assert read_contents(two) == key_by_id([make_book(7, id="book-00001")])

    @pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    @pytest.mark.parametrize(
        "index", [Flat(), HNSW(), HNSW(m=8, ef_construction=64, target_recall=0.9)], ids=["flat", "open", "given"]
    )
    def test_open_gives_the_schema_back(self, db: Database, metric: Any, dtype: str, index: Any) -> None:
        schema = Schema(
            dim=3,
            metric=metric,
            dtype=dtype,
            index=index,
            fields={
                "f": fields.Float(), "b": fields.Bool(), "k": fields.Keyword(),
                "ks": fields.Keywords(), "i": fields.Int(), "d": fields.DateTime(),
            },
        )  # fmt: skip
        created = db.create("docs", schema)
        opened = db.open("docs")
        assert created.schema == opened.schema == schema
        assert list(opened.schema.fields) == list(schema.fields)
        assert created.name == opened.name == "docs"

    def test_a_store_without_fields(self, db: Database) -> None:
        store = db.create("bare", Schema(dim=1, metric="ip", index=Flat()))
        store.upsert([Record("a", [2.0])])
        assert db.open("bare").get(["a"]) == [Record("a", [2.0])]


class OpenTests(Places):
    """`Database.open`."""

    def test_a_missing_store_is_named_with_close_matches(self, db: Database) -> None:
        db.create("articles", SCHEMA)
        db.create("pictures", SCHEMA)
        with pytest.raises(StoreNotFound, match=r"'artcles'.*Did you mean 'articles'\?") as caught:
            db.open("artcles")
        assert isinstance(caught.value, LookupError)
        assert not caught.value.retryable

    def test_a_missing_store_of_an_empty_place(self, db: Database) -> None:
        with pytest.raises(StoreNotFound, match="'docs'"):
            db.open("docs")
        assert db.names() == []

    @pytest.mark.parametrize("what", ["drop", "rename", "rebuild", "rollback", "drop_previous"])
    def test_a_missing_store_everywhere(self, db: Database, what: str) -> None:
        call: Callable[[], object] = {
            "drop": lambda: db.drop("docs"),
            "rename": lambda: db.rename("docs", "other"),
            "rebuild": lambda: db.rebuild("docs"),
            "rollback": lambda: db.rollback("docs"),
            "drop_previous": lambda: db.drop_previous("docs"),
        }[what]
        with pytest.raises(StoreNotFound, match="'docs'"):
            call()


class RenameTests(Places):
    """`Database.rename`."""

    def test_records_are_under_the_new_name(self, db: Database) -> None:
        db.create("old", SCHEMA).upsert(make_books(range(3)))
        db.rename("old", "new")
        assert db.names() == ["new"]
        assert read_contents(db.open("new")) == key_by_id(make_books(range(3)))
        with pytest.raises(StoreNotFound):
            db.open("old")

    def test_open_handles_go_on(self, db: Database) -> None:
        store = db.create("old", SCHEMA)
        store.upsert(make_books(range(3)))
        db.rename("old", "new")
        store.upsert([make_book(3)])
        assert read_contents(store) == read_contents(db.open("new")) == key_by_id(make_books(range(4)))

    def test_handles_go_on_when_the_old_name_is_taken_again(self, db: Database) -> None:
        store = db.create("old", SCHEMA)
        db.rename("old", "new")
        other = db.create("old", SCHEMA)
        store.upsert([make_book(1)])
        assert other.count() == 0
        assert db.open("new").count() == 1

    @pytest.mark.parametrize("target", ["taken", "old"])
    def test_a_name_in_use_is_refused(self, db: Database, target: str) -> None:
        db.create("old", SCHEMA).upsert([make_book(1)])
        db.create("taken", SCHEMA)
        with pytest.raises(StoreExists, match=target):
            db.rename("old", target)
        assert db.names() == ["old", "taken"]
        assert (db.open("old").count(), db.open("taken").count()) == (1, 0)


class DropTests(Places):
    """`Database.drop`."""

    def test_the_name_is_gone(self, place: Place, db: Database) -> None:
        db.create("docs", SCHEMA).upsert(make_books(range(3)))
        db.drop("docs")
        assert db.names() == []
        with pytest.raises(StoreNotFound):
            db.drop("docs")
        assert not place.generations()

    def test_a_store_under_the_same_name_starts_empty(self, place: Place, db: Database) -> None:
        db.create("docs", SCHEMA).upsert(make_books(range(3)))
        db.drop("docs")
        fresh = db.create("docs", SCHEMA)
        assert read_contents(fresh) == {}
        assert fresh.insert(make_books(range(2))) == 2
        check_storage(place, place.backend())

    @pytest.mark.parametrize("again", [False, True], ids=["gone", "created again"])
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_an_old_handle_says_that_the_store_is_gone(self, db: Database, operation: str, *, again: bool) -> None:
        store = db.create("docs", SCHEMA)
        db.drop("docs")
        fresh = db.create("docs", SCHEMA) if again else None
        said = r"'docs' was dropped, and another one has its name .*open\(\)" if again else "There is no store 'docs'"
        with pytest.raises(StoreNotFound, match=said):
            OPERATIONS[operation](store)
        assert fresh is None or fresh.count() == 0

    def test_a_store_with_a_kept_generation_goes_whole(self, place: Place, db: Database) -> None:
        db.create("docs", SCHEMA).upsert(make_books(range(3)))
        db.rebuild("docs", schema=WIDER)
        db.drop("docs")
        assert not place.generations()
        fresh = db.create("docs", SCHEMA)
        assert read_contents(fresh) == {}
        with pytest.raises(VecstoreError, match="no previous"):
            db.rollback("docs")
