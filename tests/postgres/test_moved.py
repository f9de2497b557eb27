"""A store inside the caller's transaction does not follow a move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine, create_engine, text

import vecstore
from tests.postgres.places import PostgresPlace
from vecstore import Database, StoreMoved, VectorStore, registry
from vecstore.testing.hand_move import HandMove
from vecstore.testing.sample_records import SCHEMA, make_book, make_books


@pytest.fixture
def one(postgres_url: str) -> Iterator[PostgresPlace]:
    with closing(PostgresPlace(postgres_url)) as place:
        yield place


@pytest.fixture
def other(postgres_url: str) -> Iterator[PostgresPlace]:
    with closing(PostgresPlace(postgres_url)) as place:
        yield place


@pytest.fixture
def engine(one: PostgresPlace) -> Iterator[Engine]:
    engine = create_engine(one.server.replace("postgresql://", "postgresql+psycopg://"))
    yield engine
    engine.dispose()


@pytest.fixture
def db(engine: Engine, one: PostgresPlace, other: PostgresPlace) -> Iterator[Database]:
    with vecstore.connect(engine, namespace=one.namespace, successor=other.url) as db:
        yield db


def test_it_raises_before_its_statement(engine: Engine, db: Database, one: PostgresPlace, other: PostgresPlace) -> None:
    store = db.create("docs", SCHEMA)
    store.insert(make_books(range(3)))
    HandMove(one.backend(), other.backend()).run()
    with engine.connect() as connection, connection.begin():
        inside = store.using(connection)
        for deed in (inside.count, lambda: inside.upsert([make_book(3)]), lambda: list(inside.scan())):
            with pytest.raises(StoreMoved):
                deed()
        assert connection.execute(text("SELECT 1")).scalar() == 1, "the transaction is still good"
    assert store.count() == 3, "outside of it the store goes on"
    with engine.connect() as connection, connection.begin():
        with pytest.raises(StoreMoved, match="transaction is not there"):
            store.using(connection)
        with pytest.raises(StoreMoved, match="transaction is not there"):
            db.open("docs").using(connection)


def test_a_transaction_that_has_written_is_drained(
    engine: Engine, db: Database, one: PostgresPlace, other: PostgresPlace
) -> None:
    """The switch waits until it has ended."""
    store = db.create("docs", SCHEMA)
    with closing(registry.connect(f"{one.url}&lock_timeout=1")) as source:
        move = HandMove(source, other.backend())
        _check_drained(engine, store, move)
    with vecstore.connect(other.url) as there:
        assert there.open("docs").count() == 1


def _check_drained(engine: Engine, store: VectorStore, move: HandMove) -> None:
    with engine.connect() as connection, connection.begin():
        store.using(connection).upsert([make_book(1)])
        with pytest.raises(vecstore.StoreLocked):
            move.switch()
    move.switch()
    assert store.get(["book-00001"]) == [make_book(1)]
