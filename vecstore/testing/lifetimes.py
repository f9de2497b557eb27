"""The life of a connection: close, open again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ..database import Database
from ..errors import InvalidArgument, StoreNotFound
from .catalogue import OPERATIONS
from .place import Place, Places
from .rebuild_fixtures import OLD, TEXT_SCHEMA, make_texts
from .sample_records import SCHEMA, make_books, read_contents

DATABASE_OPERATIONS: dict[str, Callable[[Database], object]] = {
    "names": lambda db: db.names(),
    "create": lambda db: db.create("other", SCHEMA),
    "create or open": lambda db: db.create("docs", SCHEMA, if_exists="open"),
    "open": lambda db: db.open("docs"),
    "drop": lambda db: db.drop("docs"),
    "rename": lambda db: db.rename("docs", "other"),
    "rebuild": lambda db: db.rebuild("docs"),
    "rollback": lambda db: db.rollback("docs"),
    "drop_previous": lambda db: db.drop_previous("docs"),
}


class CloseTests(Places):
    """A Database that was closed."""

    @pytest.mark.parametrize("operation", [*OPERATIONS, *DATABASE_OPERATIONS])
    def test_every_operation_says_so(self, db: Database, operation: str) -> None:
        store = db.create("docs", SCHEMA)
        db.close()
        with pytest.raises(InvalidArgument, match="closed") as caught:
            OPERATIONS[operation](store) if operation in OPERATIONS else DATABASE_OPERATIONS[operation](db)
        assert not caught.value.retryable

    def test_a_scan_that_was_begun(self, db: Database) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(5)))
        scan = store.scan(batch_size=2)
        next(scan)
        db.close()
        with pytest.raises(InvalidArgument, match="closed"):
            list(scan)

    def test_closing_twice_does_nothing(self, db: Database) -> None:
        db.close()
        db.close()

    def test_an_error_inside_the_context_comes_out(self, place: Place) -> None:
        with pytest.raises(StoreNotFound), place.connect() as db:
            db.open("docs")
        with pytest.raises(InvalidArgument, match="closed"):
            db.names()


class DurableTests(Places):
    """What is there when a place is opened again."""

    def test_everything(self, place: Place, db: Database) -> None:
        if not (db.capabilities.durable and place.shared):
            pytest.skip("nothing survives a connection to this place")
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(10)))
        store.update(ids=["book-00001"], metadata={"year": None, "note": {"b": [1.5, None, "x"]}}, text=None)
        store.delete(ids=["book-00002"])
        db.create("texts", TEXT_SCHEMA, embedder=OLD).insert(make_texts(5))
        db.rebuild("texts", schema=replace(TEXT_SCHEMA, fields={}))
        before = {name: (db.open(name).schema, read_contents(db.open(name))) for name in db.names()}
        db.close()
        with place.connect() as again:
            assert {
                name: (again.open(name).schema, read_contents(again.open(name))) for name in again.names()
            } == before
            assert again.open("texts", embedder=OLD).search("text 3", k=1)[0].id == "text-00003"
            assert again.rollback("texts").records == 5
