"""A Milvus server that is gone, emptied, damaged, or follows another database: PostgreSQL answers, and says why."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

import vecstore
from servers.milvus.own_server import OwnServer
from tests.postgres.catalogues import format_statement
from tests.postgres.followed import (
    RawNotes,
    answered_by_milvus,
    connect_followed,
    get_following,
    make_records,
    make_schema,
    place,
)
from tests.postgres.followed import database as database
from tests.postgres.followed import notes as notes
from tests.postgres.stores import add_parameters, prepare_namespace
from vecstore import (
    BackendUnavailable,
    Database,
    InvalidArgument,
    InvalidUrl,
    MilvusIndex,
    Record,
    Unsupported,
    UpkeepWarning,
    VecstoreError,
    VectorStore,
    Verification,
)
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.postgres.followed import feeding

ROWS = 60
NOBODY = "milvus://127.0.0.1:9"


@pytest.fixture(scope="module")
def space() -> str:
    return "t_followed_faults"


@pytest.fixture(scope="module")
def shared(database: Database) -> VectorStore:
    store = database.create("shared", make_schema())
    store.upsert(make_records(range(ROWS)))
    return store


@pytest.fixture
def store(database: Database, shared: VectorStore) -> VectorStore:
    """The store, followed soundly."""
    if shared.index_status().state != "ready":
        shared.reindex()
    answered_by_milvus(shared, place(1))
    return shared


def open_collection(database: Database, store: VectorStore, notes: RawNotes) -> Collection:
    return get_following(database).feeder.open(store._current.entry.active, notes.read_follower()["collection"])


def test_wrong_urls_are_refused_before_anything_is_asked(postgres_url: str, space: str) -> None:
    for wrong in ("", "localhost", "redis://localhost", "milvus://a:b@c:d@e", "milvus://h:1?nothing=1"):
        with pytest.raises(InvalidUrl):
            vecstore.connect(add_parameters(postgres_url, space, vectors=wrong))


def test_replicas_are_refused_beside_it(postgres_url: str, space: str, milvus_url: str, database: Database) -> None:
    url = add_parameters(postgres_url, space, vectors=milvus_url)
    with pytest.raises(Unsupported, match="replicas"):
        vecstore.connect(url, replicas=[postgres_url])


def test_a_place_without_milvus_does_not_take_its_indexes(postgres_url: str, space: str, store: VectorStore) -> None:
    with vecstore.connect(add_parameters(postgres_url, space)) as plain:
        with pytest.raises(Unsupported, match="FLAT"):
            plain.create("other", make_schema())
        with pytest.raises(Unsupported, match="vectors="):
            plain.follow()


@pytest.mark.parametrize(
    "index, error",
    [
        (MilvusIndex("GPU_CAGRA"), Unsupported),
        (MilvusIndex("GPU_BRUTE_FORCE"), Unsupported),
        (MilvusIndex("HNSW", m=2), Unsupported),
        (MilvusIndex("HNSW", m=100, ef_construction=200), Unsupported),
        (MilvusIndex("IVF_PQ", m=7), InvalidArgument),
    ],
    ids=repr,
)
def test_what_the_server_does_not_have_is_refused_before_anything_changes(
    database: Database, store: VectorStore, notes: RawNotes, monkeypatch: pytest.MonkeyPatch,
    index: MilvusIndex, error: type[VecstoreError],
) -> None:  # fmt: skip
    monkeypatch.setattr(get_following(database)._asking, "_version", (2, 3, 5))
    before = (notes.read_follower(), store.schema)
    with pytest.raises(error):
        store.reindex(index)
    with pytest.raises(error):
        database.create("never", make_schema().with_index(index))
    assert (notes.read_follower(), database.open("shared").schema) == before
    assert "never" not in database.names()
    answered_by_milvus(store, place(3))


def test_a_server_that_is_gone_is_named_and_postgresql_answers(
    postgres_url: str, space: str, store: VectorStore
) -> None:
    with connect_followed(postgres_url, space, NOBODY) as there:
        elsewhere = there.open("shared")
        assert elsewhere.search(place(4), k=1)[0].id == "r000004"
        assert elsewhere.search(place(4), k=1).exact
        assert "follows the store" in (elsewhere.index_status().reason or "")
        small = there.create("unreachable", make_schema())
        with pytest.warns(UpkeepWarning, match="Milvus"):
            small.upsert(make_records(range(ROWS)))
        assert small.count() == ROWS
        assert small.search(place(4), k=1)[0].id == "r000004"
        small.upsert([Record("x", place(99))])  # one write in many tries again
        there.drop("unreachable")


def test_records_are_sound_whether_or_not_milvus_can_be_asked(
    database: Database, store: VectorStore, notes: RawNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    following, generation = get_following(database), store._current.entry.active

    def fail(*_: object) -> None:
        raise BackendUnavailable("Milvus cannot be reached.")

    monkeypatch.setattr(following._sending, "call", fail)
    found = store.verify()
    assert (found.ok, found.records) == (True, ROWS)
    [said] = found.unchecked
    assert "cannot be reached" in said
    monkeypatch.setattr(following.table, "list_left", lambda *_: ["left_behind"])
    assert "left_behind" in store.verify().problems[0]
    # A load ends where its generation is not sound; that something else is left does not count.
    assert following.verify(replace(generation, standby=True), Verification(ROWS)).ok


@pytest.mark.long
def test_a_collection_that_was_dropped_is_noticed_by_a_search_and_made_anew(
    database: Database, store: VectorStore, notes: RawNotes
) -> None:
    open_collection(database, store, notes).drop()
    hits = store.search(place(4), k=2)
    assert (hits.exact, hits[0].id) == (True, "r000004")
    status = store.index_status()
    assert status.state == "invalid"
    assert "Milvus" in (status.reason or "")
    store.reindex()
    answered_by_milvus(store, place(4))


@pytest.mark.long
def test_a_collection_that_lost_records_is_noticed_by_verify_and_by_a_count(
    database: Database, store: VectorStore, notes: RawNotes, postgres_url: str, space: str, milvus_url: str
) -> None:
    assert store.verify().ok
    collection = open_collection(database, store, notes)
    collection.settle(collection.delete([f"r{n:06}" for n in range(5)]))
    with connect_followed(postgres_url, space, milvus_url) as other:
        hits = other.open("shared").search(place(2), k=1)
        assert (hits[0].id, hits.exact) == ("r000002", True)
    found = store.verify()
    assert any("55 of 60" in problem for problem in found.problems)
    assert store.search(place(2), k=1)[0].id == "r000002"
    assert store.index_status().state == "invalid"


@pytest.mark.long
def test_a_copy_of_the_database_does_not_feed_the_collection_of_the_original(
    database: Database, store: VectorStore, notes: RawNotes, postgres_url: str, space: str, milvus_url: str
) -> None:
    before = notes.read_follower()
    with psycopg.connect(postgres_url, autocommit=True) as link:
        link.execute(format_statement("UPDATE {}.vecstore_follower SET origin = 'another/1/00000001'", space))
    with connect_followed(postgres_url, space, milvus_url) as copied:
        copy = copied.open("shared")
        assert copy.search(place(5), k=1).exact
        assert "another database" in (copy.index_status().reason or "")
        with vecstore.connect(add_parameters(postgres_url, space)) as plain:
            plain.open("shared").upsert([Record("only here", place(500))])
        assert get_following(copied).feeder.run_round(copy._current.entry.active).records == 0
        assert copy.search(place(500), k=1)[0].id == "only here"
        copy.upsert(make_records(range(1)))  # which makes a collection of its own
        assert answered_by_milvus(copy, place(500), k=1)[0].id == "only here"
    assert notes.read_follower()["collection"] != before["collection"]
    assert notes.list_left() == [before["collection"]]  # whose it is we cannot know: it is kept, and named
    with psycopg.connect(postgres_url, autocommit=True) as link:
        link.execute(
            format_statement(
                "UPDATE {0}.vecstore_follower_left SET origin = (SELECT origin FROM {0}.vecstore_follower)", space
            )
        )
    assert not store.verify().ok
    get_following(database).drop_left()
    assert notes.list_left() == []
    assert store.verify().ok
    store.delete(ids=["only here"])


@pytest.mark.long
def test_a_fill_that_was_interrupted_goes_on(
    database: Database, store: VectorStore, notes: RawNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "ROWS", 20)
    following, generation = get_following(database), store._current.entry.active
    before = notes.read_follower()["collection"]
    following.feeder.begin(generation, following.upkeep.plan(generation.schema))
    following.feeder.run_round(generation)
    following.feeder.run_round(generation)
    assert notes.read_follower()["incoming"] is not None
    store.upsert([Record("between", place(600))])
    assert store.search(place(600), k=1)[0].id == "between"
    until = time.monotonic() + 60
    while notes.read_follower()["incoming"] is not None and time.monotonic() < until:
        database.follow().run_once()
    assert notes.read_follower()["collection"] not in {None, before}
    assert answered_by_milvus(store, place(600), k=1)[0].id == "between"
    store.delete(ids=["between"])


@pytest.mark.long
def test_a_server_that_was_killed_emptied_and_started_again(
    postgres_url: str, namespace: str, server_folder: Path
) -> None:
    prepare_namespace(postgres_url, namespace)
    with OwnServer(server_folder) as server, connect_followed(postgres_url, namespace, server.url) as there:
        store = there.create("a", make_schema())
        store.upsert(make_records(range(ROWS)))
        answered_by_milvus(store, place(4))
        server.kill()
        assert store.search(place(4), k=1).exact
        store.upsert([Record("meanwhile", place(900))])
        server.start()
        assert store.search(place(900), k=1)[0].id == "meanwhile"
        server.wipe()
        server.start()
        assert store.search(place(900), k=1)[0].id == "meanwhile"
        store.reindex()
        assert answered_by_milvus(store, place(900), k=1)[0].id == "meanwhile"
