"""The life of a connection: fork, close, open again."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable

import pytest

from .. import connect
from ..database import Database
from ..errors import ForkedStore, InvalidArgument, StoreNotFound
from .catalogue import OPERATIONS
from .place import Place, Places
from .rebuild_fixtures import OLD, TEXT_SCHEMA, make_texts
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents

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


class ForkTests(Places):
    """A process that forks."""

    def test_the_child_gets_forked_store_and_connects_again(self, place: Place, db: Database) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        scan = store.scan(batch_size=1)
        next(scan)

        def in_child() -> None:
            for operation in OPERATIONS.values():
                with pytest.raises(ForkedStore, match="fork"):
                    operation(store)
            for deed in DATABASE_OPERATIONS.values():
                with pytest.raises(ForkedStore, match="fork"):
                    deed(db)
            with pytest.raises(ForkedStore, match="fork"):
                next(scan)
            db.close()
            if place.processes:
                with connect(place.url) as own:
                    assert own.open("docs").upsert(make_books(range(2, 5))) == 3

        forked(in_child)
        assert len([*scan]) == (4 if place.processes else 2)
        assert read_contents(store) == key_by_id(make_books(range(5 if place.processes else 3)))
        assert store.upsert([make_book(7)]) == 1


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
        store.update(ids=["book-00001"], set={"text": None, "year": None, "note": {"b": [1.5, None, "x"]}})
        store.delete(ids=["book-00002"])
        db.create("texts", TEXT_SCHEMA, embedder=OLD).insert(make_texts(5))
        db.rebuild("texts")
        before = {name: (db.open(name).schema, read_contents(db.open(name))) for name in db.names()}
        db.close()
        with place.connect() as again:
            assert {
                name: (again.open(name).schema, read_contents(again.open(name))) for name in again.names()
            } == before
            assert again.open("texts", embedder=OLD).search("text 3", k=1)[0].id == "text-00003"
            assert again.rollback("texts").records == 5


def forked(deed: Callable[[], None]) -> None:
    """Do something in a child process, and prove that it went well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python ≥ 3.12: forking beside threads
        child = os.fork()
    if child == 0:
        try:
            deed()
        except BaseException:  # noqa: BLE001 - nothing of the test may go on in the child
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "see what the child printed"
