"""How stores are made, and what they may be called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from .. import fields
from ..backend import Backend
from ..database import Database, connect
from ..errors import (
    BackendUnavailable,
    DimensionMismatch,
    InvalidArgument,
    SchemaMismatch,
    StoreExists,
    Unsupported,
)
from ..filled_store import create_filled, remove_left
from ..index_options import HNSW, Flat
from ..records import Record
from ..schema import MAX_DIM, Schema
from ..store import VectorStore
from .backend_level import make_rows
from .place import Place, Places
from .processes import TalkingProcess, tell_and_wait, wait_for_lock
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents
from .threads import run_at_once
from .toy_embedder import ToyEmbedder

GOOD_NAMES = ["a", "z9", "a_b_", "select", "table", "con", "aux", "a" * 48]
BAD_NAMES: list[Any] = [
    "", "A", "aB", "1a", "_a", "a-b", "a b", " a", "a ", "a.b", "a/b", "..", "../a", "a\n", "a\0", "a;drop", "a'", 'a"',
    "é", "ａ", "a٣", "a" * 49, "a\ud800", None, 3, b"a", ["a"],
]  # fmt: skip


def fill_slowly(url: str, name: str) -> None:
    """Make a new store of three books, which waits between its first records and its name."""

    def fill(store: VectorStore) -> None:
        store.upsert(make_books(range(3)))
        tell_and_wait("filled")

    with connect(url) as db:
        create_filled(db, name, SCHEMA, fill)
        tell_and_wait("done")


class FilledTests(Places):
    """A new store has no name before its first records, and a killed process leaves nothing for good."""

    @staticmethod
    def fill(db: Database, name: str, count: int = 2) -> None:
        create_filled(db, name, SCHEMA, lambda store: store.upsert(make_books(range(count))))

    def test_what_a_killed_process_left_is_removed(self, place: Place, db: Database) -> None:
        if not place.processes:
            pytest.skip("no other process sees this place")
        with TalkingProcess(fill_slowly, place.url, "slow") as slow:
            assert slow.read() == "filled"
            before = db.names()
            with TalkingProcess(fill_slowly, place.url, "docs") as killed:
                assert killed.read() == "filled"
                [left] = {*db.names()} - {*before}
                self.fill(db, "other")
                assert len(db.names()) == 3, "somebody's store was removed"
            wait_for_lock(place.backend(), left)
            self.fill(db, "docs")
            assert (len(db.names()), db.open("docs").count()) == (3, 2)
            assert slow.ask("go on") == "done"
        assert db.names() == ["docs", "other", "slow"]
        assert db.open("slow").count() == 3
        assert len(place.generations() or db.names()) == 3

    def test_a_failure_leaves_nothing(self, place: Place, db: Database) -> None:
        def fail(store: VectorStore) -> None:
            store.upsert(make_books(range(3)))
            raise ArithmeticError

        with pytest.raises(ArithmeticError):
            create_filled(db, "docs", SCHEMA, fail)
        self.fill(db, "docs")
        with pytest.raises(StoreExists):
            self.fill(db, "docs")
        assert db.names() == ["docs"]
        assert len(place.generations() or db.names()) == 1

    def test_a_store_whose_lock_is_lost_at_the_end_is_made(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        kind: Any = type(db._backend)
        builder = kind.builder

        @contextmanager
        def lose(self: Backend, uid: str) -> Iterator[None]:
            with builder(self, uid):
                yield
            raise BackendUnavailable("The connection was lost.")

        monkeypatch.setattr(kind, "builder", lose)
        self.fill(db, "docs")
        assert (db.names(), db.open("docs").count()) == (["docs"], 2)

    def test_a_store_that_is_removed_while_it_is_filled_is_said(self, db: Database) -> None:
        def write(store: VectorStore) -> None:
            generation = db._backend.find(name=store.name).active
            db.drop(store.name)
            db._backend.write(generation, make_rows(make_book(1)), insert=True)

        def drop(store: VectorStore) -> None:
            db.drop(store.name)

        for fill in (write, drop):
            with pytest.raises(BackendUnavailable, match=r"'docs' was not made.*Repeat the call"):
                create_filled(db, "docs", SCHEMA, fill)
            assert db.names() == []

    def test_a_store_that_is_taken_for_left_behind_is_made_again(
        self, db: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create, taken = Database.create, list[str]()

        def create_and_lose(self: Database, name: str, *arguments: Any, **options: Any) -> VectorStore:
            store = create(self, name, *arguments, **options)
            if not taken:
                taken.append(name)
                remove_left(self)
            return store

        monkeypatch.setattr(Database, "create", create_and_lose)
        self.fill(db, "docs")
        assert (len(taken), db.names()) == (1, ["docs"])

    def test_a_store_that_gets_its_name_before_it_can_be_held_stays(
        self, db: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        db.create("unfinished_0123456789abcdef", SCHEMA).upsert(make_books(range(3)))
        kind: Any = type(db._backend)
        builder = kind.builder

        def hold_late(self: Backend, uid: str) -> Any:
            db.rename("unfinished_0123456789abcdef", "docs")
            return builder(self, uid)

        with monkeypatch.context() as patch:
            patch.setattr(kind, "builder", hold_late)
            remove_left(db)
        assert (db.names(), db.open("docs").count()) == (["docs"], 3)


class CreateTests(Places):
    """`Database.create`."""

    def test_a_name_that_exists_is_refused_and_the_store_stays(self, db: Database) -> None:
        store = db.create("docs", SCHEMA)
        store.upsert(make_books(range(3)))
        with pytest.raises(StoreExists, match="docs"):
            db.create("docs", SCHEMA)
        assert read_contents(db.open("docs")) == key_by_id(make_books(range(3)))

    def test_if_exists_open_opens_the_store_with_its_records(self, db: Database) -> None:
        first = db.create("docs", SCHEMA, if_exists="open")
        first.upsert(make_books(range(3)))
        second = db.create("docs", SCHEMA, if_exists="open")
        assert read_contents(second) == key_by_id(make_books(range(3)))

    def test_if_exists_open_takes_the_dim_that_is_stored(self, db: Database) -> None:
        db.create("docs", Schema(dim=4, metric="l2"))
        assert db.create("docs", Schema(metric="l2"), if_exists="open").schema.dim == 4

    def test_if_exists_open_leaves_the_index_as_it_is(self, db: Database) -> None:
        db.create("docs", SCHEMA)
        assert db.create("docs", SCHEMA.with_index(HNSW()), if_exists="open").schema.index == Flat()

    @pytest.mark.parametrize(
        "other, named",
        [
            (Schema(dim=5, metric="l2", fields=SCHEMA.fields), "dim is 4, not 5"),
            (Schema(dim=4, metric="ip", fields=SCHEMA.fields), "metric is l2, not ip"),
            (Schema(dim=4, metric="l2", dtype="float16", fields=SCHEMA.fields), "dtype is float32, not float16"),
            (Schema(dim=4, metric="l2", fields={**SCHEMA.fields, "pages": fields.Int()}), "field pages"),
            (Schema(dim=4, metric="l2", fields={**SCHEMA.fields, "year": fields.Float()}), "year is int, not float"),
            (Schema(dim=4, metric="l2"), "field lang is declared, as keyword"),
        ],
    )
    def test_if_exists_open_refuses_another_schema(self, db: Database, other: Schema, named: str) -> None:
        db.create("docs", SCHEMA)
        with pytest.raises(SchemaMismatch, match=named):
            db.create("docs", other, if_exists="open")

    @pytest.mark.parametrize("word", ["replace", "", None, True])
    def test_if_exists_knows_two_words(self, db: Database, word: Any) -> None:
        with pytest.raises(InvalidArgument, match="if_exists"):
            db.create("docs", SCHEMA, if_exists=word)
        assert db.names() == []

    @pytest.mark.parametrize("name", GOOD_NAMES)
    def test_good_names(self, db: Database, name: str) -> None:
        db.create(name, SCHEMA).upsert([make_book(1)])
        assert db.names() == [name]
        assert db.open(name).count() == 1

    @pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
    def test_bad_names_are_refused_everywhere(self, db: Database, name: Any) -> None:
        db.create("docs", SCHEMA)
        for call in (
            lambda: db.create(name, SCHEMA),
            lambda: db.create(name, SCHEMA, if_exists="open"),
            lambda: db.open(name),
            lambda: db.drop(name),
            lambda: db.rename(name, "fine"),
            lambda: db.rename("docs", name),
            lambda: db.rebuild(name),
            lambda: db.rollback(name),
            lambda: db.drop_previous(name),
        ):
            with pytest.raises(InvalidArgument, match="a name has"):
                call()
        assert db.names() == ["docs"]

    @pytest.mark.parametrize("schema", [None, {"dim": 4}, Schema, 4])
    def test_a_schema_is_a_schema(self, db: Database, schema: Any) -> None:
        for word in ("error", "open"):
            with pytest.raises(InvalidArgument, match="schema must be a Schema"):
                db.create("docs", schema, if_exists=word)
        assert db.names() == []

    def test_the_dim_comes_from_the_embedder(self, db: Database) -> None:
        assert db.create("docs", Schema(metric="l2"), embedder=ToyEmbedder(7)).schema.dim == 7
        assert db.open("docs").schema.dim == 7

    def test_without_dim_and_embedder_there_is_no_store(self, db: Database) -> None:
        with pytest.raises(InvalidArgument, match="no dim"):
            db.create("docs", Schema(metric="l2"))
        assert db.names() == []

    def test_another_dim_than_the_embedder_is_refused(self, db: Database) -> None:
        with pytest.raises(DimensionMismatch, match="dim=4, but the embedder makes 7"):
            db.create("docs", SCHEMA, embedder=ToyEmbedder(7))
        assert db.names() == []

    @pytest.mark.parametrize("embedder", ["wordllama", len, (ToyEmbedder(4), ToyEmbedder(4))], ids=str)
    def test_a_store_is_created_with_one_embedder(self, db: Database, embedder: Any) -> None:
        with pytest.raises(InvalidArgument, match="embedder"):
            db.create("docs", SCHEMA, embedder=embedder)
        assert db.names() == []

    def test_what_the_backend_cannot_do_is_refused_before_anything_is_made(self, db: Database) -> None:
        able = db.capabilities
        too_much = [Schema(dim=dim + 1, index=index) for dim, index in
                    ((able.max_dim, Flat()), (able.max_hnsw_dim, HNSW())) if dim < MAX_DIM]  # fmt: skip
        too_much += [Schema(dim=2, metric=each) for each in ("cosine", "ip", "l2") if each not in able.metrics]
        too_much += [Schema(dim=2, dtype=each) for each in ("float32", "float16") if each not in able.dtypes]
        for schema in too_much:
            with pytest.raises(Unsupported):
                db.create("docs", schema)
        assert db.names() == []

    def test_the_largest_dim(self, db: Database) -> None:
        dim = db.capabilities.max_dim
        store = db.create("wide", Schema(dim=dim, metric="l2", index=Flat()))
        wide = Record("a", [1.0] * dim)
        store.upsert([wide])
        assert store.get(["a"]) == [wide]
        assert store.search(wide.vector, k=1)[0].score == 0

    def test_of_several_at_once_one_creates(self, place: Place, db: Database) -> None:
        def create() -> bool:
            with place.connect() if place.shared else nullcontext(db) as own:
                try:
                    own.create("docs", SCHEMA)
                except StoreExists:
                    return False
                return True

        assert sum(run_at_once(*[create] * 4)) == 1
        assert db.names() == ["docs"]

    def test_of_several_at_once_all_open(self, db: Database) -> None:
        stores = run_at_once(*[lambda: db.create("docs", SCHEMA, if_exists="open")] * 4)
        for number, store in enumerate(stores):
            store.upsert([make_book(number)])
        assert read_contents(db.open("docs")) == key_by_id(make_books(range(4)))
