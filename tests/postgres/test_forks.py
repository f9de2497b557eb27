"""A forked child never uses its parent's connections, whoever opened them.

Parent and children ask different questions at the same time, so an answer that reaches the wrong process is noticed.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import psycopg
import pytest
from sqlalchemy import Engine, Pool, QueuePool, create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import AssertionPool, NullPool, SingletonThreadPool, StaticPool

import vecstore
from vecstore import Database, ForkedStore, VecstoreError, VectorStore
from vecstore.testing.forks import ask, do_in_children, fill, forked, keep_asking, read_refusal

from .stores import add_parameters, open_database, prepare_namespace

ROUNDS = 40
POOLS: list[type[Pool]] = [QueuePool, NullPool, StaticPool, AssertionPool, SingletonThreadPool]
KEEPING = [each for each in POOLS if each is not NullPool]
"""Classes of pools that keep connections open."""


@pytest.fixture
def place(postgres_url: str, namespace: str) -> str:
    """The URL of a namespace with a store in it."""
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as db:
        fill(db)
    return add_parameters(postgres_url, namespace)


@pytest.fixture
def sqlalchemy_url(postgres_url: str) -> str:
    return postgres_url.replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def engine(sqlalchemy_url: str) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url, pool_pre_ping=True)
    yield engine
    engine.dispose()


def connect_and_ask(engine: Engine, namespace: str, asker: int) -> None:
    """Do in a child what the message of `ForkedStore` says."""
    engine.dispose(close=False)
    with vecstore.connect(engine, namespace=namespace) as db:
        ask(db.open("docs"), asker, ROUNDS)


@pytest.mark.parametrize("pool", POOLS)
def test_children_with_the_application_s_engine(
    place: str, sqlalchemy_url: str, namespace: str, pool: type[Pool]
) -> None:
    engine = create_engine(sqlalchemy_url, poolclass=pool)
    with vecstore.connect(engine, namespace=namespace) as db:
        store = db.open("docs")
        ask(store, 0, 3)
        do_in_children(
            [partial(connect_and_ask, engine, namespace, number) for number in (1, 2, 3)],
            partial(ask, store, 0, ROUNDS),
        )
    engine.dispose()


@pytest.mark.parametrize("pool", KEEPING)
@pytest.mark.parametrize("used_by", ["vecstore", "the application"])
def test_an_engine_with_connections_from_before_the_fork_is_refused(
    place: str, sqlalchemy_url: str, namespace: str, pool: type[Pool], used_by: str
) -> None:
    """Nothing is sent on them, so the parent's transaction stays as it is."""
    options = {"pool_pre_ping": True} if pool is QueuePool else {}
    engine = create_engine(sqlalchemy_url, poolclass=pool, **options)
    if used_by == "vecstore":
        with vecstore.connect(engine, namespace=namespace) as db:
            db.open("docs").count()
    else:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def in_child() -> None:
        for _ in range(2):
            with pytest.raises(ForkedStore, match=r"engine\.dispose\(close=False\).*vecstore\.connect\(engine\)"):
                vecstore.connect(engine, namespace=namespace)
        connect_and_ask(engine, namespace, 1)

    forked(in_child)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 2")).scalar() == 2
    engine.dispose()


def test_the_database_of_the_parent_says_what_to_do(place: str, engine: Engine, namespace: str) -> None:
    with vecstore.connect(engine, namespace=namespace) as db, vecstore.connect(place) as other:
        stores = db.open("docs"), other.open("docs")

        def in_child() -> None:
            on_engine, on_url = map(read_refusal, stores)
            assert "engine.dispose(close=False), then vecstore.connect(engine)" in on_engine
            assert on_url.endswith("Call vecstore.connect() in the child process.")
            db.close()
            other.close()

        forked(in_child)
        ask(stores[0], 0, 3)
        ask(stores[1], 1, 3)


@pytest.mark.parametrize("kind", ["connection", "session"])
def test_what_the_application_opened_before_the_fork_does_not_join(
    place: str, engine: Engine, namespace: str, kind: str
) -> None:
    with Session(engine) as session, engine.connect() as connection, vecstore.connect(place) as db:
        caller = session if kind == "session" else connection
        joined = db.open("docs").using(caller)
        assert joined.count() == 32

        def in_child() -> None:
            assert "engine.dispose(close=False)" in read_refusal(joined)
            with vecstore.connect(place) as own:
                store = own.open("docs")
                with pytest.raises(ForkedStore, match=r"opened before fork.*engine\.dispose\(close=False\)"):
                    store.using(caller).count()
                engine.dispose(close=False)
                with engine.connect() as connection:
                    assert store.using(connection).count() == 32
            os._exit(0)

        forked(in_child)
        assert joined.count() == 32


def test_a_session_that_has_no_connection_yet_does_not_take_the_parent_s(
    place: str, engine: Engine, namespace: str
) -> None:
    with engine.connect():
        pass
    session = Session(engine)

    def in_child() -> None:
        with vecstore.connect(place) as own:
            with pytest.raises(ForkedStore, match=r"engine\.dispose\(close=False\)"):
                own.open("docs").using(session)
            engine.dispose(close=False)
            assert own.open("docs").using(session).count() == 32

    forked(in_child)


def test_a_connection_that_is_given_back_after_the_check_is_not_used(
    place: str, sqlalchemy_url: str, namespace: str
) -> None:
    """The forking thread held it; its child gives it back to a pool that was empty before."""
    engine = create_engine(sqlalchemy_url, pool_size=2)
    held = engine.connect()
    number = held.execute(text("SELECT pg_backend_pid()")).scalar()
    held.commit()

    def in_child() -> None:
        with vecstore.connect(engine, namespace=namespace) as db:
            store = db.open("docs")
            held.close()
            with pytest.raises(ForkedStore, match=r"engine\.dispose\(close=False\)"):
                store.count()
        engine.dispose(close=False)
        with vecstore.connect(engine, namespace=namespace) as db:
            ask(db.open("docs"), 1, 3)

    forked(in_child)
    assert held.execute(text("SELECT pg_backend_pid()")).scalar() == number
    held.close()
    engine.dispose()


def test_forks_while_threads_are_inside_calls(place: str, engine: Engine, namespace: str) -> None:
    """A write is under way in some of them."""
    with (
        vecstore.connect(engine, namespace=namespace) as db,
        vecstore.connect(place) as other,
        keep_asking(db.open("docs")),
        keep_asking(other.open("docs")),
    ):
        for turn in range(3):
            forked(partial(connect_and_ask, engine, namespace, turn))
            forked(partial(connect_anew, place, [db, other], turn))


def connect_anew(place: str, parents: list[Database], asker: int) -> None:
    """Close the parent's databases in a child, and ask with one of its own."""
    for each in parents:
        each.close()
    del parents
    gc.collect()
    with vecstore.connect(place) as own:
        ask(own.open("docs"), asker, 10)


def test_grandchildren(place: str, engine: Engine, namespace: str) -> None:
    with vecstore.connect(engine, namespace=namespace) as db:
        store = db.open("docs")

        def in_child() -> None:
            engine.dispose(close=False)
            with vecstore.connect(engine, namespace=namespace) as own:
                assert "dispose" in read_refusal(store)
                mine = own.open("docs")
                ask(mine, 1, 3)

                def in_grandchild() -> None:
                    assert "dispose" in read_refusal(store)
                    assert "dispose" in read_refusal(mine)
                    with pytest.raises(ForkedStore):
                        vecstore.connect(engine, namespace=namespace)
                    connect_and_ask(engine, namespace, 2)

                do_in_children([in_grandchild], partial(ask, mine, 1, ROUNDS))

        do_in_children([in_child], partial(ask, store, 0, ROUNDS))


def test_a_child_that_unwinds_a_call_of_its_parent_changes_nothing(place: str, admin: psycopg.Connection) -> None:
    """The builder's lock is held in an open transaction, which the child must neither commit nor roll back."""
    with vecstore.connect(place) as db:
        backend = db._backend
        uid = backend.find(name="docs").uid
        # The high half of the lock's key. Other tests on the server hold locks of other stores.
        key = (int(uid[:16], 16) - (1 << 63)) >> 32 & 0xFFFF_FFFF
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s"
        with ExitStack() as held:
            held.enter_context(backend.builder(uid))
            forked(partial(unwind, held))
            assert admin.execute(locks, [key]).fetchone() == (1,)
            ask(db.open("docs"), 0, 3)
        assert admin.execute(locks, [key]).fetchone() == (0,)


def unwind(held: ExitStack) -> None:
    with pytest.raises(VecstoreError):
        held.close()


def test_freed_connections_of_the_parent_do_not_end_its_sessions(place: str, engine: Engine, namespace: str) -> None:
    databases = [vecstore.connect(place), vecstore.connect(engine, namespace=namespace)]
    stores = [db.open("docs") for db in databases]

    def in_child() -> None:
        engine.dispose(close=False)
        databases.clear()
        stores.clear()
        gc.collect()
        with vecstore.connect(engine, namespace=namespace) as own:
            ask(own.open("docs"), 1, 3)

    sessions = [list_sessions(store) for store in stores]
    forked(in_child)
    assert [list_sessions(store) for store in stores] == sessions
    for db in databases:
        db.close()


def list_sessions(store: VectorStore) -> object:
    """Return the server process that answers a store, which stays the same as long as its session does."""
    client = store._backend._client  # type: ignore[attr-defined]
    with client.connection() as connection:
        return connection.info.backend_pid


def work(url: str, asker: int) -> None:
    with vecstore.connect(url) as db:
        ask(db.open("docs"), asker, 10)
