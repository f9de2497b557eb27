"""What a role lacks for stores that Milvus follows is named, with the statements that give it; no Milvus is needed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from urllib.parse import quote

import psycopg
import pytest

from tests.postgres.followed import connect_followed, get_following, make_records, place
from tests.postgres.stores import open_database
from tests.postgres.tenants import grant_catalogue, run
from tests.postgres.test_followed_catalogue import NOBODY, PLACE, begin
from tests.postgres.test_followed_catalogue import database as database
from tests.postgres.test_followed_catalogue import store as store
from tests.postgres.test_rights import repeat
from tests.secrets import PASSWORD, change_url
from vecstore import Database, StorageFailed, VectorStore


def follow_here(database: Database) -> None:
    [state] = database.follow().drain(Event())
    if " run: " in (state.failure or ""):
        raise StorageFailed(state.failure or "")


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.open("a").search(place(3), k=1),
        lambda db: db.open("a").index_status(),
        lambda db: db.open("a").verify(),
        follow_here,
        lambda db: db.drop("a"),
    ],
    ids=["search", "index status", "verify", "follow", "drop"],
)
def test_the_rights_to_the_tables_of_followers_are_named(
    database: Database,
    store: VectorStore,
    admin: psycopg.Connection,
    postgres_url: str,
    namespace: str,
    role: str,
    call: Callable[[Database], object],
) -> None:
    store.upsert(make_records(range(20)))
    begin(database, store, PLACE, "one")
    url = change_url(postgres_url, user=quote(role), password=PASSWORD)

    def connect_and_call() -> None:
        with connect_followed(url, namespace, NOBODY) as theirs:
            call(theirs)

    done = repeat(admin, connect_and_call)
    assert [each for each in done if f"{namespace}.vecstore_follower " in each]


def test_the_rights_to_them_are_named_without_the_parameter_too(
    database: Database, store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str, role: str
) -> None:
    begin(database, store, PLACE, "one")
    url = change_url(postgres_url, user=quote(role), password=PASSWORD)

    def drop() -> None:
        with open_database(url, namespace) as theirs:
            theirs.drop("a")

    assert [each for each in repeat(admin, drop) if f"{namespace}.vecstore_follower " in each]


def test_a_missing_right_is_no_damage_of_a_collection(
    database: Database,
    store: VectorStore,
    admin: psycopg.Connection,
    postgres_url: str,
    namespace: str,
    role: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin(database, store, PLACE, "one")
    grant_catalogue(admin, namespace, role, writes=False)
    run(admin, "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}", namespace, role)
    with connect_followed(change_url(postgres_url, user=quote(role), password=PASSWORD), namespace, NOBODY) as theirs:
        following = get_following(theirs)
        monkeypatch.setattr(
            following.upkeep,
            "keep_count",
            lambda generation: following.table.keep_count(following._client, generation.id, 1, 1),
        )
        with pytest.raises(StorageFailed, match=rf"GRANT UPDATE ON {namespace}\.vecstore_follower TO"):
            theirs.open("a").verify()
