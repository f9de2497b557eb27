"""What a role lacks for stores that Milvus follows is named, with the statements that give it; no Milvus is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Event
from urllib.parse import quote

import psycopg
import pytest

from tests.postgres.catalogues import format_statement
from tests.postgres.followed import connect_followed, get_following, make_records, place
from tests.postgres.stores import add_parameters, open_database
from tests.postgres.tenants import grant_catalogue, read_table, run
from tests.postgres.test_followed_catalogue import NOBODY, PLACE, begin
from tests.postgres.test_followed_catalogue import database as database
from tests.postgres.test_followed_catalogue import store as store
from tests.postgres.test_rights import repeat
from tests.secrets import PASSWORD, change_url
from vecstore import Database, MilvusIndex, Schema, StorageFailed, VectorStore
from vecstore.cli.app import run as run_command


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


def test_what_follows_a_store_and_what_waits_is_shown_to_who_may_read_it(
    database: Database,
    store: VectorStore,
    admin: psycopg.Connection,
    postgres_url: str,
    namespace: str,
    role: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "followed by" not in store.stats().details
    begin(database, store, PLACE, "one")
    shown = dict(store.stats().details)
    assert (shown.pop("followed by"), shown.pop("records that wait for it")) == (PLACE, 0)
    assert "seconds that the first waits" not in shown
    note = "INSERT INTO {}.vecstore_follower_note (generation, id, noted) VALUES (%s, 'x', now() - interval '90 s')"
    admin.execute(format_statement(note, namespace), [store._current.entry.active.id])
    details = store.stats().details
    assert details["records that wait for it"] == 1
    assert isinstance(waiting := details["seconds that the first waits"], float)
    assert 90 <= waiting < 900
    database.create("b", Schema(dim=8, index=MilvusIndex("IVF_FLAT", nlist=16)))
    with open_database(postgres_url, namespace) as plain:
        assert plain.open("a").stats().details["followed by"] == PLACE
        assert plain.open("a").index_status().reason == f"{PLACE} follows the store. Connect with vectors= of it."
    assert run_command(["ls", add_parameters(postgres_url, namespace)]) == 0
    listed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "a 0 8 l2 flat of Milvus n, word" in listed
    assert "b 0 8 cosine ivf_flat" in listed
    assert run_command(["ls", add_parameters(postgres_url, namespace), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["stores"]
    assert [(each["index"], each["index_name"]) for each in listed] == [("milvus", "FLAT"), ("milvus", "IVF_FLAT")]
    assert run_command(["info", add_parameters(postgres_url, namespace), "b"]) == 0
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "index ivf_flat (every search is exact)" in told
    grant_catalogue(admin, namespace, role, writes=False)
    run(admin, "GRANT SELECT ON {} TO {}", read_table(admin, namespace, "a"), role)
    with open_database(change_url(postgres_url, user=quote(role), password=PASSWORD), namespace) as theirs:
        assert str(theirs.open("a").stats().details["followed by"]).startswith("not told")
        reason = theirs.open("a").index_status().reason
        assert reason == "A Milvus server follows the store. Connect with vectors= of it."
