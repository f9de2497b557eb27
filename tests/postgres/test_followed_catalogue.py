"""What the catalogue says of a follower, on a real PostgreSQL server, and no Milvus behind it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Event

import psycopg
import pytest

import vecstore
from tests.postgres.catalogues import connect_engine, format_statement
from tests.postgres.followed import connect_followed, get_following, make_records, make_schema, place
from tests.postgres.stores import add_parameters, prepare_namespace
from vecstore import Database, InvalidArgument, InvalidUrl, MissingExtra, StoreExists, VectorStore, migrate
from vecstore.backend import Followed
from vecstore.backends.postgres.advisory_locks import make_builder_key, make_lock_key
from vecstore.backends.postgres.followed.follower import Follower, FollowerTable
from vecstore.backends.postgres.followed.notes import NoteTable
from vecstore.cli.app import run as run_command
from vecstore.following import Follow, FollowedStore

NOBODY = "milvus://127.0.0.1:9"
PLACE, OTHER = "milvus://127.0.0.1:9/default", "milvus://elsewhere:19530/default"
PLAN = '{"name": "FLAT", "params": {}}'


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with connect_followed(postgres_url, namespace, NOBODY) as database:
        yield database


@pytest.fixture
def store(database: Database) -> VectorStore:
    return database.create("a", make_schema())


@pytest.fixture
def table(database: Database) -> FollowerTable:
    return get_following(database).table


def begin(database: Database, store: VectorStore, where: str, collection: str) -> None:
    following = get_following(database)
    following.table.begin(following._client, store._current.entry.active.id, where, collection, PLAN)


def read(database: Database, store: VectorStore) -> Follower:
    following = get_following(database)
    found = following.table.read(following._client, store._current.entry.active.id)
    assert found is not None
    return found


def test_a_page_and_the_end_of_a_copy_do_not_count_for_the_one_that_took_its_place(
    database: Database, store: VectorStore, table: FollowerTable
) -> None:
    client, id_ = get_following(database)._client, store._current.entry.active.id
    begin(database, store, PLACE, "one")
    table.keep_filled(client, id_, "one", "x", 5)
    assert (read(database, store).filled, read(database, store).applied) == ("x", 5)
    begin(database, store, PLACE, "two")
    table.mark_sending(client, id_)
    table.keep_filled(client, id_, "one", "y", 6)
    found = read(database, store)
    assert (found.incoming, found.filled, found.applied, found.unfinished) == ("two", None, 6, None)
    table.promote(client, id_, "one", None)
    assert (read(database, store).collection, read(database, store).incoming) == (None, "two")
    table.promote(client, id_, "two", "before")
    assert (read(database, store).collection, read(database, store).incoming) == ("two", None)
    assert table.list_left(client, PLACE) == ["before", "one"]


def test_a_store_that_another_server_follows_is_not_moved_by_a_write_or_a_feeder(
    database: Database, store: VectorStore
) -> None:
    begin(database, store, OTHER, "theirs")
    store.upsert(make_records(range(60)))
    assert store.search(place(3), k=1)[0].id == "r000003"
    [state] = database.follow().drain(Event())
    assert "elsewhere" in (state.failure or "")
    found = read(database, store)
    assert (found.place, found.incoming) == (OTHER, "theirs")


def test_what_was_restored_into_the_same_database_is_not_what_was_followed(
    database: Database, store: VectorStore, namespace: str, admin: psycopg.Connection
) -> None:
    begin(database, store, PLACE, "one")
    assert read(database, store).is_ours
    restoring = (
        "CREATE TABLE {0}.again (LIKE {0}.vecstore_follower INCLUDING ALL); "
        "INSERT INTO {0}.again SELECT * FROM {0}.vecstore_follower; "
        "DROP TABLE {0}.vecstore_follower; ALTER TABLE {0}.again RENAME TO vecstore_follower"
    )
    for step in restoring.split("; "):
        admin.execute(format_statement(step, namespace))
    assert not read(database, store).is_ours


def test_a_driver_that_is_not_installed_is_named_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtra, match="milvus"):
        vecstore.connect(f"postgresql://127.0.0.1:9/nowhere?vectors={NOBODY}", migrate=True)


class Release(Event):
    """Does something when it was waited for so many times."""

    def __init__(self, left: int, act: Callable[[], object]) -> None:
        super().__init__()
        self.left, self._act = left, act

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if not self.left:
            self._act()
        return super().wait(timeout)


def test_a_copy_of_another_process_is_waited_for(
    database: Database, store: VectorStore, admin: psycopg.Connection
) -> None:
    begin(database, store, PLACE, "one")
    lock = [make_builder_key(store._current.entry.active.id)]
    admin.execute("SELECT pg_advisory_lock(%s)", lock)
    stop = Release(3, lambda: admin.execute("SELECT pg_advisory_unlock(%s)", lock))
    [state] = database.follow().drain(stop)
    assert stop.left <= 0
    assert "Milvus" in (state.failure or "")  # which this process met, because it went on with the copy
    assert read(database, store).incoming == "one"


def test_another_feeder_is_waited_for(database: Database, store: VectorStore, admin: psycopg.Connection) -> None:
    follow_emptily(database, store)
    lock = [make_lock_key(store._current.entry.active.id) ^ 2]
    admin.execute("SELECT pg_advisory_lock(%s)", lock)
    stop = Release(3, lambda: admin.execute("SELECT pg_advisory_unlock(%s)", lock))
    [state] = database.follow().drain(stop)
    assert stop.left <= 0
    assert (state.pending, state.is_done) == (1, False)
    assert "Milvus" in (state.failure or "")


def test_an_index_that_another_process_waits_for_is_waited_for(
    database: Database, store: VectorStore, admin: psycopg.Connection
) -> None:
    following, id_ = get_following(database), store._current.entry.active.id
    begin(database, store, PLACE, "one")
    following.table.promote(following._client, id_, "one", None)
    lock, seen = [make_builder_key(id_)], list[Followed]()

    def release() -> None:
        seen.append(database._backend.follow(store._current.entry.active, lambda *_: None))
        admin.execute("SELECT pg_advisory_unlock(%s)", lock)

    admin.execute("SELECT pg_advisory_lock(%s)", lock)
    following.upkeep._count_at[id_] = math.inf
    stop = Release(3, release)
    [state] = database.follow().drain(stop)
    assert [each.copying for each in seen] == [True]
    assert (stop.left, state.is_done) == (0, False)
    assert "Milvus" in (state.failure or "")


def test_what_could_not_be_sent_has_waited_since_it_was_written(
    database: Database, store: VectorStore, namespace: str, admin: psycopg.Connection
) -> None:
    follow_emptily(database, store)
    admin.execute(format_statement("UPDATE {}.vecstore_follower_note SET noted = now() - interval '90 s'", namespace))
    [state] = database.follow().drain(Event())
    assert "Milvus" in (state.failure or "")
    assert float(store.stats().details["seconds that the first waits"]) >= 90


def test_the_names_to_follow_are_a_list(database: Database, store: VectorStore) -> None:
    with pytest.raises(InvalidArgument, match="a list of the stores' names, not one str"):
        database.follow("a")


def follow_emptily(database: Database, store: VectorStore) -> None:
    """Let the catalogue say that a collection is searched, and that a record waits."""
    following, id_ = get_following(database), store._current.entry.active.id
    begin(database, store, PLACE, "one")
    following.table.promote(following._client, id_, "one", None)
    NoteTable(following.table.namespace).note(following._client, id_, ["a"])
    store._current.amend(replace(store._current.entry.active, ef=1))


def test_a_search_inside_a_transaction_takes_no_further_connection(
    database: Database, store: VectorStore, postgres_url: str, namespace: str
) -> None:
    store.upsert(make_records(range(20)))
    begin(database, store, PLACE, "one")
    with (
        connect_followed(postgres_url, namespace, NOBODY, pool_size=3, timeout=5) as busy,
        ExitStack() as held,
        connect_engine(postgres_url) as connection,
    ):
        inside = busy.open("a").using(connection)
        client = get_following(busy)._client
        for _ in range(3):
            held.enter_context(client.transaction())
        assert inside.search(place(3), k=1)[0].id == "r000003"


def test_a_pool_that_a_copy_would_wait_for_is_refused(postgres_url: str, namespace: str) -> None:
    with pytest.raises(InvalidUrl, match="pool_size must be at least 3"):
        vecstore.connect(add_parameters(postgres_url, namespace, vectors=NOBODY, pool_size=2))


def test_a_restored_copy_is_downgraded_although_it_names_collections_of_its_original(
    database: Database, store: VectorStore, postgres_url: str, namespace: str, admin: psycopg.Connection
) -> None:
    def change(text: str) -> None:
        admin.execute(format_statement(text, namespace))

    begin(database, store, PLACE, "one")
    database.drop("a")
    assert get_following(database).table.list_left(get_following(database)._client, PLACE) == ["one"]
    with connect_engine(postgres_url) as connection:
        with pytest.raises(StoreExists, match="vecstore follow --once"):
            migrate.downgrade(connection, "vs0003", namespace=namespace)
        change("UPDATE {}.vecstore_follower_left SET origin = 'another/1/00000001'")
        migrate.downgrade(connection, "vs0003", namespace=namespace)
        assert migrate.current(connection, namespace=namespace) == "vs0003"


def test_the_command_prints_a_line_of_json_for_each_report(
    database: Database,
    postgres_url: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(self: Follow, stop: Event, report: Callable[[list[FollowedStore]], None]) -> None:
        for sent in range(3):
            report([FollowedStore("a", sent)])

    monkeypatch.setattr(Follow, "run", run)
    monkeypatch.setattr("vecstore.cli.following._EVERY", 0.0)
    assert run_command(["follow", add_parameters(postgres_url, namespace, vectors=NOBODY), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["stores"][0]["sent"] for line in lines] == [0, 1, 2]
    database.create("only", make_schema())
    assert run_command(["follow", add_parameters(postgres_url, namespace, vectors=NOBODY)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "Following 1 store.", "a: 0 records brought", "a: 1 records brought", "a: 2 records brought",
    ]  # fmt: skip
    database.drop("only")
    assert run_command(["follow", add_parameters(postgres_url, namespace, vectors=NOBODY), "--once"]) == 0
    assert capsys.readouterr() == ("", "There are no stores here.\n")
    run_command(["follow", "--help"])
    assert "JSON Lines" in capsys.readouterr().out
