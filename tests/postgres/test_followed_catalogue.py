"""What the catalogue says of a follower, on a real PostgreSQL server, and no Milvus behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Event

import psycopg
import pytest

import vecstore
from tests.postgres.catalogues import format_statement
from tests.postgres.followed import connect_followed, get_following, make_records, make_schema, place
from tests.postgres.stores import prepare_namespace
from vecstore import Database, MissingExtra, VectorStore
from vecstore.backends.postgres.followed.follower import Follower, FollowerTable

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
