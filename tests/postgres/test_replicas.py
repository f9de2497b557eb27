"""Searches on a real standby: never behind this Database's writes, never from another cluster, else the primary."""

# Longer than 300 lines because all tests share one standby, which takes seconds to make.

from __future__ import annotations

import itertools
import logging
import shutil
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, make_url

import vecstore
from tests.batches import batch, schema, vector_of
from tests.lateness import Lateness
from tests.secrets import PASSWORD
from vecstore import (
    HNSW,
    BackendUnavailable,
    Database,
    ForkedStore,
    InvalidArgument,
    InvalidUrl,
    Record,
    Timeout,
    Unsupported,
)
from vecstore.backend import Backend
from vecstore.backends.postgres import replicas as replicas_module
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.client import Client
from vecstore.backends.postgres.replica import Replica, make_connector
from vecstore.backends.postgres.replicas import Position, Replicas
from vecstore.backends.postgres.server_checks import ServerWarning
from vecstore.backends.postgres.statements import Statement
from vecstore.fenced import replace_groups, upsert_fenced
from vecstore.testing.forks import do_in_children

from .own_server import OwnServer
from .standby import Standby

LAG = 600.0
QUICK, SLOW = (Statement(text, MappingProxyType({})) for text in ("SELECT 1", "SELECT pg_sleep(20)"))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path that the server's user can enter."""
    made = Path(tempfile.mkdtemp(prefix="vecstore-pg-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[OwnServer]:
    with OwnServer(folder / "primary") as server:
        vecstore.connect(server.url, migrate=True).close()
        yield server


@pytest.fixture(scope="module")
def standby(primary: OwnServer, folder: Path) -> Iterator[Standby]:
    with Standby(primary, folder / "standby") as standby:
        yield standby


@pytest.fixture
def database(primary: OwnServer, standby: Standby) -> Iterator[Database]:
    with vecstore.connect(primary.url, replicas=[standby.url], replica_lag=LAG) as database:
        database.create("a", schema()).upsert(batch(1))
        yield database
    standby.run("SELECT pg_wal_replay_resume() WHERE pg_is_wal_replay_paused()")
    with vecstore.connect(primary.url) as database:
        database.drop("a")


def get_replicas(database: Database) -> Replicas:
    backend = database._backend
    assert isinstance(backend, PostgresBackend)
    assert backend._replicas is not None
    return backend._replicas


def count_answers(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that grows by a bool with each search: whether a replica answered."""
    replicas, answers = get_replicas(database), list[bool]()
    run = replicas.run

    def note(*arguments: object) -> object:
        answer = run(*arguments)  # type: ignore[arg-type]
        answers.append(answer is not None)
        return answer

    monkeypatch.setattr(replicas, "run", note)
    return answers


def wait_for_replay(primary: OwnServer, standby: Standby) -> None:
    """Wait until the standby has what the primary has now: the server waits, by a synchronous commit."""
    with psycopg.connect(primary.socket_url, autocommit=True) as link:
        link.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        link.execute("SELECT pg_reload_conf()")
        with psycopg.connect(primary.socket_url) as other:
            while other.execute("SHOW synchronous_standby_names").fetchone() != ("*",):
                other.rollback()
            other.execute("SET LOCAL synchronous_commit = remote_apply")
            other.execute("SELECT txid_current(), pg_logical_emit_message(true, 'wait', 'x')")
        link.execute("ALTER SYSTEM RESET synchronous_standby_names")
        link.execute("SELECT pg_reload_conf()")


def wait_for_answers(database: Database) -> None:
    """Ask until a replica answers; it then answers each search of this Database, up to its next write.

    The first question is for the end of the primary's log. What the primary has put there for itself, such as a page
    that a read has pruned, gets to the standby when the primary next writes its log to the disk.
    """
    replicas, until = get_replicas(database), time.monotonic() + 60
    while replicas.run(QUICK, {}) is None:
        assert time.monotonic() < until


def test_a_standby_answers_what_it_has(
    database: Database, primary: OwnServer, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_replay(primary, standby)
    wait_for_answers(database)
    store, answers = database.open("a"), count_answers(database, monkeypatch)
    for exact in (False, True):
        hits = store.search(vector_of(5), 7, exact=exact)
        with vecstore.connect(primary.url) as plain:
            assert [hit.id for hit in hits] == [hit.id for hit in plain.open("a").search(vector_of(5), 7, exact=exact)]
    assert answers == [True, True]


def test_every_write_is_found_by_the_next_search(
    database: Database, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the standby replays nothing, the primary has to answer; else either."""
    store, answers = database.open("a"), count_answers(database, monkeypatch)
    draw = np.random.default_rng(7).standard_normal((12, schema().width)).astype(np.float32)
    records = [Record(f"new {number}", 100 * vector) for number, vector in enumerate(draw)]
    for number, record in enumerate(records):
        if number == len(records) // 2:
            standby.run("SELECT pg_wal_replay_pause()")
        store.upsert([record])
        assert store.search(record.vector, 1, exact=True)[0].id == record.id
    assert not any(answers[len(records) // 2 + 1 :])
    store.delete(ids=[records[-1].id])
    assert records[-1].id not in {hit.id for hit in store.search(records[-1].vector, 5, exact=True)}
    database.rebuild("a", schema=schema())
    assert len(store.search(vector_of(1), 5)) == 5


def test_others_writes_are_found_after_the_lag(primary: OwnServer, standby: Standby, database: Database) -> None:
    standby.run("SELECT pg_wal_replay_pause()")
    record = Record("theirs", np.full(schema().width, 100, np.float32))
    with (
        vecstore.connect(primary.url, replicas=[standby.url], replica_lag=0) as strict,
        vecstore.connect(primary.url) as other,
    ):
        other.open("a").upsert([record])
        assert strict.open("a").search(record.vector, 1, exact=True)[0].id == record.id


def test_a_standby_that_is_down_and_comes_back(
    database: Database, primary: OwnServer, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_replay(primary, standby)
    wait_for_answers(database)
    store, answers = database.open("a"), count_answers(database, monkeypatch)
    assert len(store.search(vector_of(1), 5)) == 5
    standby.stop()
    assert len(store.search(vector_of(1), 5)) == 5
    with vecstore.connect(primary.url, replicas=[standby.url]) as begun_without:
        assert len(begun_without.open("a").search(vector_of(1), 5)) == 5
    standby.start()
    wait_for_replay(primary, standby)
    assert len(store.search(vector_of(1), 5)) == 5  # it rests
    get_replicas(database)._replicas[0].rest(0)
    assert len(store.search(vector_of(1), 5)) == 5
    assert answers == [True, False, False, True]


def test_what_is_no_replica_is_refused(primary: OwnServer, standby: Standby, postgres_url: str) -> None:
    with pytest.raises(InvalidUrl, match="system identifier"):
        vecstore.connect(primary.url, replicas=[postgres_url])
    with pytest.raises(InvalidUrl, match="not in recovery"):
        vecstore.connect(primary.url, replicas=[primary.url])
    with pytest.raises(InvalidUrl, match="leads to a standby"):
        vecstore.connect(standby.url, replicas=[standby.url])


def test_a_refused_replica_leaves_no_connection_to_the_others(primary: OwnServer, standby: Standby) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vecstore' AND pid <> pg_backend_pid()"
    until = time.monotonic() + 60
    with psycopg.connect(standby.url, autocommit=True) as link:
        with pytest.raises(InvalidUrl, match="not in recovery") as refused:
            vecstore.connect(primary.url, replicas=[standby.url, primary.url])
        while link.execute(query).fetchone() != (0,):  # the server takes a moment to see that one was closed
            assert time.monotonic() < until
    assert refused.traceback  # which holds what the call has made


@pytest.mark.parametrize("replicas", ["postgresql://somewhere/db", 3, [5]])
def test_wrong_arguments(replicas: object) -> None:
    with pytest.raises((InvalidArgument, InvalidUrl)):
        vecstore.connect("memory:", replicas=replicas)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="read replicas"):
        vecstore.connect("memory:", replicas=["memory:"])


@pytest.mark.parametrize("replica", ["redis://host", "postgresql://host/db?colour=red", "postgresql://host:port/db"])
def test_a_wrong_replica_is_refused_before_the_place_is_touched(replica: str, tmp_path: Path) -> None:
    """Its own server is not asked either: nobody listens there."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(InvalidUrl):
            vecstore.connect(f"postgresql://127.0.0.1:{port}/db", migrate=True, replicas=[replica])
    with pytest.raises(Unsupported, match="read replicas"):
        vecstore.connect(f"file:{tmp_path}/kb", replicas=["postgresql://host/db"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lag", [-1, 10**400, float("nan"), True, None, f"postgresql://me:{PASSWORD}@host/db"])
def test_a_lag_that_is_none_is_refused_and_not_shown(lag: object) -> None:
    with pytest.raises(InvalidArgument, match="replica_lag") as refused:
        vecstore.connect("memory:", replicas=["memory:"], replica_lag=lag)  # type: ignore[arg-type]
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("lag", [0, 2.5, np.float32(2), np.int64(3)])
def test_a_lag_may_be_any_number(lag: float) -> None:
    with pytest.raises(Unsupported, match="read replicas"):  # the number is taken
        vecstore.connect("memory:", replicas=["memory:"], replica_lag=lag)


def test_a_replica_found_to_be_another_cluster_later_is_never_used(database: Database, postgres_url: str) -> None:
    replicas = get_replicas(database)

    def connect() -> object:
        other = vecstore.connect(postgres_url, migrate=True)._backend
        assert isinstance(other, PostgresBackend)
        return other._client

    known, replicas._replicas = replicas._replicas, [Replica(connect)]  # type: ignore[arg-type]
    store = database.open("a")
    with pytest.warns(ServerWarning, match="another database"):
        assert len(store.search(vector_of(1), 5)) == 5
    assert replicas._replicas[0]._rests_until == float("inf")
    assert len(store.search(vector_of(1), 5)) == 5
    replicas._replicas = [Replica(connect)]  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ServerWarning):
            store.search(vector_of(1), 5)
        assert len(store.search(vector_of(1), 5)) == 5
    replicas._replicas = known


@pytest.mark.filterwarnings("ignore::vecstore.backends.postgres.server_checks.ServerWarning")
def test_a_promoted_standby_answers_no_more(primary: OwnServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Standby(primary, folder / "second") as standby,
        vecstore.connect(primary.url, replicas=[standby.url], replica_lag=LAG) as database,
    ):
        store = database.create("a", schema())
        store.upsert(batch(1))
        wait_for_replay(primary, standby)
        wait_for_answers(database)
        answers = count_answers(database, monkeypatch)
        standby.promote()
        with vecstore.connect(standby.url) as apart:
            apart.open("a").delete(ids=[record.id for record in batch(1)])
        assert len(store.search(vector_of(1), 5)) == 5
        assert answers == [False]
        database.drop("a")


WRITES = frozenset(
    {"create", "rename", "drop", "amend", "switch", "write", "write_groups", "update", "delete", "build_index", "tend"}
    | {"compact"}
)
READS = frozenset(
    {"names", "find", "builder", "explain_volatility", "make_durable", "check_rebuildable", "check_sees_all", "changes"}
    | {"fetch", "page", "sample", "count", "find_without_vector", "values", "search", "tombstones", "index_state"}
    | {"hold_waiting", "stats", "verify", "close", "check_replicas", "use_replicas", "using", "connect", "adopt"}
    | {"follow", "list_efforts"}
)
"""Also what is written where no search looks, and what opens and closes."""
MISSING = frozenset({"backup", "carry_index"})


def test_every_write_is_noted(primary: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of the contract that writes has to say so, or the next search could miss what it wrote."""
    public = {name for name in vars(PostgresBackend) if callable(getattr(PostgresBackend, name)) and name[0] != "_"}
    wanted = {name for name in vars(Backend) if callable(getattr(Backend, name)) and name[0] != "_"}
    assert public | wanted == WRITES | READS | MISSING
    assert not public & MISSING
    notes, noting = list[str](), list[str]()

    def note(name: str, *arguments: object, **named: object) -> object:
        before = len(notes)
        done = getattr(PostgresBackend, name)(backend, *arguments, **named)
        if len(notes) > before:
            noting.append(name)
        return done

    with vecstore.connect(primary.url) as opened:
        backend = opened._backend
        assert isinstance(backend, PostgresBackend)
        replicas = Replicas(backend._client, [], LAG)
        monkeypatch.setattr(replicas, "note_written", lambda: notes.append(""))
        monkeypatch.setattr(backend, "_replicas", replicas)
        for name in WRITES:
            monkeypatch.setattr(backend, name, partial(note, name))
        store = opened.create("noted", schema(HNSW(m=4, ef_construction=16)))
        store.upsert(batch(1))
        store.update(ids=[batch(1)[0].id], metadata={"tag": 3})
        store.delete(ids=[batch(1)[1].id])
        replace_groups(store, {"k": [Record("k", vector_of(1))]}, 1)
        upsert_fenced(store, [Record("z", vector_of(2))], 1)
        store.reindex()
        store.compact()
        opened.rename("noted", "noted_too")
        opened.rebuild("noted_too", schema=schema())
        opened.drop("noted_too")
    assert set(noting) == WRITES


def test_groups_are_found_by_the_next_search(database: Database, primary: OwnServer, standby: Standby) -> None:
    store = database.open("a")
    wait_for_replay(primary, standby)
    assert len(store.search(vector_of(5), 1)) == 1
    standby.run("SELECT pg_wal_replay_pause()")
    far = np.full(schema().width, 50, np.float32)
    replace_groups(store, {"group": [Record("group", far)]}, 1)
    assert store.search(far, 1, exact=True)[0].id == "group"


def test_an_index_is_never_measured_on_a_replica(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that has not replayed its build answers exactly, so that any effort would look good."""
    store = database.create("measured", schema(HNSW(m=4, ef_construction=16)))
    draw = np.random.default_rng(7).standard_normal((300, schema().width)).astype(np.float32)
    store.upsert([Record(str(number), vector) for number, vector in enumerate(draw)])
    answers = count_answers(database, monkeypatch)
    store.reindex()
    store.calibrate()
    store.measure_recall(queries=10)
    assert store.verify().ok
    database.rebuild("measured", schema=schema())
    assert answers == []
    assert len(store.search(draw[0], 5)) == 5
    assert answers
    database.drop("measured")


def test_a_replica_proves_its_position_on_the_connection_that_searches(
    database: Database, primary: OwnServer, standby: Standby
) -> None:
    """Behind a load balancer each connection may lead to another server."""
    made = list[str]()

    def link() -> psycopg.Connection:
        made.append(standby.url)
        return psycopg.connect(standby.url)

    engine = create_engine("postgresql+psycopg://", creator=link, poolclass=NullPool)
    wait_for_replay(primary, standby)
    with vecstore.connect(primary.url, replicas=[engine], replica_lag=LAG) as balanced:
        wait_for_replay(primary, standby)
        store = balanced.open("a")
        made.clear()
        for _ in range(3):
            assert len(store.search(vector_of(1), 5)) == 5
    assert len(made) == 3


def test_a_replica_with_another_role_is_refused(primary: OwnServer, standby: Standby) -> None:
    with psycopg.connect(primary.socket_url, autocommit=True) as link:
        link.execute("CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'x'")
        try:
            wait_for_replay(primary, standby)
            url = make_url(standby.url).set(username="reader", password="x")  # noqa: S106 - of a role of this test
            with pytest.raises(InvalidUrl, match="another role"):
                vecstore.connect(primary.url, replicas=[url])
        finally:
            link.execute("DROP ROLE reader")


def test_an_engine_of_another_database_is_refused(primary: OwnServer) -> None:
    with pytest.raises(Unsupported, match="driver pysqlite"):
        vecstore.connect(primary.url, replicas=[create_engine("sqlite://")])


def test_a_search_that_is_slow_everywhere_takes_one_timeout(primary: OwnServer, standby: Standby) -> None:
    urls = [f"{standby.url}?timeout=0.5"] * 3
    for timeout, is_over in (("0.5", True), ("30", False)):
        with vecstore.connect(f"{primary.url}?timeout={timeout}", replicas=urls, replica_lag=LAG) as database:
            wait_for_replay(primary, standby)
            wait_for_answers(database)
            replicas = get_replicas(database)
            with Lateness() as lateness:
                if is_over:
                    with pytest.raises(Timeout):
                        replicas.run(SLOW, {})
                else:
                    assert replicas.run(SLOW, {}) is None
                assert lateness.undisturbed() < 1.4
            assert all(each.get_client(replicas._place) for each in replicas._replicas)


def test_a_server_that_hangs_holds_up_one_search_only(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store, replicas, hits = database.open("a"), get_replicas(database), list[int]()
    [replica] = replicas._replicas
    known, replica._client = replica._client, None
    searching = threading.Thread(target=lambda: hits.append(len(store.search(vector_of(1), 5))))
    with replica._lock:  # as a thread that connects
        searching.start()
        searching.join(60)
        assert hits == [5]
    replica._client = known

    def ask(*_: object) -> object:
        assert not replicas._lock.locked()
        raise BackendUnavailable("gone")

    store.upsert(batch(2))
    with monkeypatch.context() as patch:
        patch.setattr(replicas._primary, "run", ask)
        with pytest.raises(BackendUnavailable):
            store.search(vector_of(1), 5)
    assert replica.get_client(replicas._place) is known  # it is not to blame


def test_the_oldest_position_that_counts_is_asked_for(database: Database) -> None:
    """A replica that lags has it sooner."""
    replicas, now = get_replicas(database), time.monotonic()
    replicas._written = now - 10
    replicas._positions.extend(Position(f"0/{ago}", 1, now - ago) for ago in (20, 5, 1))
    assert replicas._find_position().lsn == "0/5"
    replicas._positions.clear()


def test_after_a_change_of_the_primary_no_replica_answers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store, replicas, answers = database.open("a"), get_replicas(database), count_answers(database, monkeypatch)
    replicas._timeline += 1
    assert len(store.search(vector_of(1), 5)) == 5
    assert answers == [False]
    assert store.stats().details["replicas"] == "1 left out, because the primary changed"


def test_replicas_take_turns_and_one_timeout_is_that_of_all(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, replicas, asked = database.open("a"), get_replicas(database), list[object]()
    [one] = replicas._replicas
    other = Replica(one._connect)
    other._client = client = one._connect()
    replicas._replicas.append(other)

    def fail(asked_client: object, *_: object) -> object:
        asked.append(asked_client)
        raise BackendUnavailable("gone")

    def search_with(seconds: int) -> list[object]:
        asked.clear()
        clock = itertools.count(0, seconds)
        with monkeypatch.context() as patch:
            patch.setattr(replicas, "_ask", fail)
            patch.setattr(replicas_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
            assert len(store.search(vector_of(1), 5)) == 5
        for each in replicas._replicas:
            each.rest(0)
        return list(asked)

    first, second = search_with(0), search_with(0)
    assert first == second[::-1]
    assert {*first} == {one._client, client}
    assert len(search_with(1_000)) == 1


@pytest.mark.parametrize("seconds, tries", [(0, 3), (1_000, 1)])
def test_replicas_that_hang_while_they_are_connected_take_one_timeout(
    database: Database, monkeypatch: pytest.MonkeyPatch, seconds: int, tries: int
) -> None:
    store, replicas, tried, clock = database.open("a"), get_replicas(database), [], itertools.count(0, seconds)

    def hang() -> Client:
        tried.append(1)
        raise BackendUnavailable("gone")

    known, replicas._replicas = replicas._replicas, [Replica(hang) for _ in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(replicas_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        assert len(store.search(vector_of(1), 5)) == 5
        assert len(tried) == tries
        Replicas(replicas._primary, [Replica(hang) for _ in range(3)], LAG)
        assert len(tried) == 2 * tries
    replicas._replicas = known


def test_notes_of_writes_never_go_back(database: Database) -> None:
    replicas = get_replicas(database)
    replicas._written = later = time.monotonic() + 60
    replicas.note_written()
    assert replicas._written == later


def test_a_closed_database_answers_no_more(primary: OwnServer, standby: Standby) -> None:
    """Not even where a replica came back that it never reached."""
    away = "postgresql://postgres@127.0.0.1:1/postgres?timeout=1"
    with vecstore.connect(primary.url, replicas=[away], replica_lag=LAG) as database:
        store, replicas = database.create("closed", schema()), get_replicas(database)
        store.upsert(batch(1))
        wait_for_replay(primary, standby)
    [replica] = replicas._replicas
    replica._connect = partial(make_connector(standby.url), database._backend._server.oids)  # type: ignore[attr-defined]
    replica.rest(0)
    with pytest.raises(InvalidArgument, match="closed"):
        store.search(vector_of(1), 5)
    assert replica.get_client(replicas._place) is None
    with vecstore.connect(primary.url) as database:
        database.drop("closed")


def test_a_replica_that_fails_is_told_once_and_shown(
    database: Database, primary: OwnServer, standby: Standby, caplog: pytest.LogCaptureFixture
) -> None:
    away = "postgresql://postgres@127.0.0.1:1/postgres?timeout=1"
    wait_for_replay(primary, standby)
    with (
        caplog.at_level(logging.INFO, "vecstore.replicas"),
        vecstore.connect(primary.url, replicas=[standby.url, away], replica_lag=LAG) as both,
    ):
        store, [_, gone] = both.open("a"), get_replicas(both)._replicas
        assert "1 not asked yet" in str(store.stats().details["replicas"])
        wait_for_replay(primary, standby)
        wait_for_answers(both)
        for _ in range(4):
            gone.rest(0)
            assert len(store.search(vector_of(1), 5)) == 5
        assert store.stats().details["replicas"] == "1 answering, 1 failed (BackendUnavailable)"
        [told] = caplog.records
        assert (told.levelname, "replica 2 of 2 failed" in told.getMessage()) == ("WARNING", True)
        gone._connect = partial(make_connector(standby.url), both._backend._server.oids)  # type: ignore[attr-defined]
        for _ in range(2):
            gone.rest(0)
            store.search(vector_of(1), 5)
        assert store.stats().details["replicas"] == "2 answering"
        assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]
        standby.run("SELECT pg_wal_replay_pause()")
        store.upsert(batch(2))
        store.search(vector_of(1), 5)
        assert store.stats().details["replicas"] == "2 not recent enough"
    with vecstore.connect(primary.url) as plain:
        assert "replicas" not in plain.open("a").stats().details


def test_a_table_that_was_dropped_is_no_failure_of_the_replica(
    database: Database,
    primary: OwnServer,
    standby: Standby,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, replicas, answers = database.open("a"), get_replicas(database), count_answers(database, monkeypatch)
    wait_for_replay(primary, standby)
    ask, gone = replicas._ask, Statement("SELECT 1 FROM vecstore.vecstore_g_dropped", MappingProxyType({}))
    with caplog.at_level(logging.INFO, "vecstore.replicas"):
        with monkeypatch.context() as patch:
            patch.setattr(replicas, "_ask", lambda client, position, *_: ask(client, position, gone, {}))
            assert len(store.search(vector_of(1), 5)) == 5
        assert len(store.search(vector_of(1), 5)) == 5
    assert answers == [False, True]
    assert not caplog.records


def test_a_forked_child_waits_for_no_lock_of_its_parent(database: Database) -> None:
    store, replicas = database.open("a"), get_replicas(database)
    [replica] = replicas._replicas

    def use() -> None:
        with pytest.raises(ForkedStore):
            store.search(vector_of(1), 5)
        with pytest.raises(ForkedStore):
            store.upsert(batch(1))
        replicas.close()

    known, replica._client = replica._client, None
    with replicas._lock, replica._lock:
        do_in_children([use], lambda: None)
    replica._client = known

    def use_without_locks() -> None:
        replicas._lock = replica._lock = None  # type: ignore[assignment]
        use()

    do_in_children([use_without_locks], lambda: None)
