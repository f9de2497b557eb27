"""``?prepare=off``: nothing is kept in a session, as behind PgBouncer in transaction mode."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from tests.batches import batch, checked_answer, numbers, schema, vector_of
from tests.proxy import make_proxy
from vecstore import HNSW, Database, UnknownOutcome

from .stores import open_database, prepare_namespace, read_stored_ids

_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name <> 'application_name' ORDER BY name"
_STATEMENTS = "SELECT name FROM pg_prepared_statements"
_LOCKS = "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
_TEMPORARY = "SELECT relname FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)"
_CURSORS = "SELECT name FROM pg_cursors WHERE is_holdable"


def read_session_state(connection: psycopg.Connection) -> set[tuple[str, ...]]:
    """Return the state of a session that the next client would see."""
    queries = (_SETTINGS, _STATEMENTS, _LOCKS, _TEMPORARY, _CURSORS)
    plain = psycopg.ClientCursor(connection)
    return {(query[:30], *row) for query in queries for row in plain.execute(query).fetchall()}


class Sessions:
    """Checks each session that returns to the pool for state, and discards that state."""

    def __init__(self, engine: Engine) -> None:
        self.fresh: dict[int, set[tuple[str, ...]]] = {}
        self.returned = 0
        self.differing: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()
        event.listen(engine.pool, "checkout", self.note_checkout)
        event.listen(engine.pool, "checkin", self.note_return)

    def note_checkout(self, connection: psycopg.Connection, _record: object, _proxy: Pool) -> None:
        connection.execute("DISCARD ALL", prepare=False)  # another server's session, for all that is known
        connection.execute("LOAD 'vector'", prepare=False)  # whose settings exist from then on
        with self._lock:
            self.fresh[id(connection)] = read_session_state(connection)

    def note_return(self, connection: psycopg.Connection | None, _record: object) -> None:
        if connection is None or connection.closed:
            return
        with self._lock:
            self.returned += 1
            self.differing |= self.fresh[id(connection)] ^ read_session_state(connection)


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, prepare="off", build_memory=64, build_workers=0) as database:
        yield database


def test_no_call_leaves_anything_in_its_session(database: Database) -> None:
    sessions = Sessions(database._backend._client._connections._engine)  # type: ignore[attr-defined]
    store = database.create("a", schema(HNSW(m=4, ef_construction=8)))
    for number in range(8):
        store.upsert(batch(number))
    assert store.index_status().state == "ready"
    store.insert(batch(8))
    checked_answer(store, 3)
    store.search(vector_of(1), k=5, ef=200, where={"tag": 1})
    store.search_many([vector_of(1)] * 30, k=2, exact=True)
    store.update(ids=["b00001-00"], metadata={"word": "x"})
    store.delete(where={"tag": 2})
    assert len(list(store.scan(batch_size=50))) == store.count() == 160
    store.reindex(HNSW(m=5, ef_construction=10))
    store.compact()
    store.verify()
    store.stats()
    database.rebuild("a", schema=schema())
    database.rollback("a")
    database.drop("a")
    assert sessions.returned > 50
    assert sessions.differing == set()


def test_the_timeout_holds_without_a_setting_of_the_session(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, prepare="off", timeout=7) as database:
        seen: list[str] = []
        client = database._backend._client  # type: ignore[attr-defined]
        with client.connection() as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
            with connection.transaction():
                client._unprepared(connection, compile_show(), {})
                seen += connection.execute("SHOW statement_timeout").fetchone()
            assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
    assert seen == ["7s"]


def compile_show() -> object:
    from vecstore.backends.postgres.statements import Statement

    return Statement("SELECT 1", {})


def test_only_a_lost_commit_leaves_the_outcome_open(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    with (
        make_proxy(postgres_url) as proxy,
        open_database(proxy.replace_address(postgres_url), namespace, prepare="off", timeout=3) as database,
    ):
        store = database.create("a", schema())
        store.upsert(batch(1))
        before = proxy.forwarded["client"]
        store.upsert(batch(2))
        sent = proxy.forwarded["client"] - before
        for at in range(0, sent - 30, 250):
            proxy.cut_after(client_bytes=at)
            assert store.upsert(batch(3)) == 20  # nothing was sent to be committed, so it was sent again
        proxy.cut_after(client_bytes=sent)
        with pytest.raises(UnknownOutcome):
            store.upsert(batch(4))
        assert store.upsert(batch(4)) == 20
    assert numbers(read_stored_ids(postgres_url, namespace, "a")) == {1, 2, 3, 4}
