"""Searches on a real standby: never behind this Database's writes, never from another cluster, else the primary."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

import vecstore
from tests.batches import batch, schema, vector_of
from vecstore import Database, InvalidArgument, InvalidUrl, Record, Unsupported
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.replicas import Replica
from vecstore.backends.postgres.server_checks import ServerWarning

from .own_server import OwnServer
from .standby import Standby

LAG = 600.0


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


def count_answers(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that grows by a bool with each search: whether a replica answered."""
    backend = database._backend
    assert isinstance(backend, PostgresBackend)
    replicas, answers = backend._replicas, list[bool]()
    assert replicas is not None
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


def test_a_standby_answers_what_it_has(
    database: Database, primary: OwnServer, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, answers = database.open("a"), count_answers(database, monkeypatch)
    wait_for_replay(primary, standby)
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
    store, answers = database.open("a"), count_answers(database, monkeypatch)
    wait_for_replay(primary, standby)
    assert len(store.search(vector_of(1), 5)) == 5
    standby.stop()
    assert len(store.search(vector_of(1), 5)) == 5
    with vecstore.connect(primary.url, replicas=[standby.url]) as begun_without:
        assert len(begun_without.open("a").search(vector_of(1), 5)) == 5
    standby.start()
    wait_for_replay(primary, standby)
    assert len(store.search(vector_of(1), 5)) == 5  # it rests
    backend = database._backend
    assert isinstance(backend, PostgresBackend)
    assert backend._replicas is not None
    backend._replicas._replicas[0].rest(0)
    assert len(store.search(vector_of(1), 5)) == 5
    assert answers == [True, False, False, True]


def test_what_is_no_replica_is_refused(primary: OwnServer, standby: Standby, postgres_url: str) -> None:
    with pytest.raises(InvalidUrl, match="system identifier"):
        vecstore.connect(primary.url, replicas=[postgres_url])
    with pytest.raises(InvalidUrl, match="not in recovery"):
        vecstore.connect(primary.url, replicas=[primary.url])
    with pytest.raises(InvalidUrl, match="leads to a standby"):
        vecstore.connect(standby.url, replicas=[standby.url])


@pytest.mark.parametrize("replicas", ["postgresql://somewhere/db", 3, [5]])
def test_wrong_arguments(replicas: object) -> None:
    with pytest.raises((InvalidArgument, InvalidUrl)):
        vecstore.connect("memory:", replicas=replicas)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="replica_lag"):
        vecstore.connect("memory:", replicas=["memory:"], replica_lag=-1)
    with pytest.raises(Unsupported, match="read replicas"):
        vecstore.connect("memory:", replicas=["memory:"])


def test_a_replica_found_to_be_another_cluster_later_is_never_used(
    database: Database, primary: OwnServer, standby: Standby, postgres_url: str
) -> None:
    backend = database._backend
    assert isinstance(backend, PostgresBackend)
    assert backend._replicas is not None

    def connect() -> object:
        other = vecstore.connect(postgres_url, migrate=True)._backend
        assert isinstance(other, PostgresBackend)
        return other._client

    known, backend._replicas._replicas = backend._replicas._replicas, [Replica(connect)]  # type: ignore[arg-type]
    store = database.open("a")
    with pytest.warns(ServerWarning, match="another database"):
        assert len(store.search(vector_of(1), 5)) == 5
    assert len(store.search(vector_of(1), 5)) == 5
    backend._replicas._replicas = known


@pytest.mark.filterwarnings("ignore::vecstore.backends.postgres.server_checks.ServerWarning")
def test_a_promoted_standby_answers_no_more(primary: OwnServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Standby(primary, folder / "second") as standby,
        vecstore.connect(primary.url, replicas=[standby.url], replica_lag=LAG) as database,
    ):
        store = database.create("a", schema())
        store.upsert(batch(1))
        wait_for_replay(primary, standby)
        answers = count_answers(database, monkeypatch)
        assert len(store.search(vector_of(1), 5)) == 5
        standby.promote()
        with vecstore.connect(standby.url) as apart:
            apart.open("a").delete(ids=[record.id for record in batch(1)])
        assert len(store.search(vector_of(1), 5)) == 5
        assert answers == [True, False]
        database.drop("a")
