"""Collections and tables that langchain-postgres wrote."""

from __future__ import annotations

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from tests.cli.conftest import Run
from vecstore import Database, EmbedderMismatch, InvalidArgument, Metric
from vecstore.importers import LangchainPostgres, import_records
from vecstore.integrations.langchain import VecstoreVectorStore

from .answers import check_nearest, check_records, read_nearest, read_script, refusing
from .records import COUNT, DIM, IDS, NEAREST, QUERY_VECTORS, make_metadata, make_nested

METADATA = [{**make_metadata(number), **make_nested(number)} for number in range(COUNT)]


@pytest.fixture
def filled(peer: psycopg.Connection, peer_url: str) -> str:
    peer.execute(read_script("langchain"))
    peer.execute("SET search_path = public")
    return peer_url


def test_a_collection(filled: str, db: Database) -> None:
    done = import_records(db, "articles", LangchainPostgres(filled, "articles"), metric="cosine")
    assert (done.records, done.created, done.left_out) == (COUNT, True, ())
    store = db.open("articles")
    assert store.schema.dynamic
    check_records(store, METADATA)
    check_nearest(store, read_nearest("langchain")["articles"])


def test_the_adapter_for_langchain_opens_what_was_imported(filled: str, db: Database) -> None:
    import_records(db, "articles", LangchainPostgres(filled, "articles"), metric="cosine")
    store = VecstoreVectorStore(db, "articles", DeterministicFakeEmbedding(size=DIM))
    with refusing(EmbedderMismatch, "check_embedder(claim=True)"):
        store.add_texts(["new"])
    store.store.check_embedder(claim=True)
    nearest = read_nearest("langchain")["articles"]
    for query, ids in zip(QUERY_VECTORS, nearest, strict=True):
        assert [each.id for each in store.similarity_search_by_vector(query, k=NEAREST)] == ids
    store.add_texts(["new"], ids=["n"])
    assert store.similarity_search("new", k=1)[0].id == "n"


def test_a_collection_of_another_metric(filled: str, db: Database) -> None:
    import_records(db, "articles", LangchainPostgres(filled, "by distance"), metric="l2")
    store = db.open("articles")
    check_records(store, METADATA, [f"l2 {id_}" for id_ in IDS])
    check_nearest(store, read_nearest("langchain")["by distance"])


def test_a_table_with_columns_of_metadata(filled: str, db: Database) -> None:
    done = import_records(db, "pages", LangchainPostgres(filled, "Pages"), metric=Metric.COSINE)
    assert (done.records, done.dim, done.left_out, done.notes) == (COUNT, 8, (), ())
    check_records(db.open("pages"), METADATA)
    check_nearest(db.open("pages"), read_nearest("langchain")["Pages"])


def test_the_older_layout_with_ids_of_its_own(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(
        "CREATE TABLE langchain_pg_collection (uuid uuid PRIMARY KEY, name varchar, cmetadata json);"
        "CREATE TABLE langchain_pg_embedding (uuid uuid PRIMARY KEY, collection_id uuid, embedding vector,"
        " document varchar, cmetadata json, custom_id varchar);"
        "INSERT INTO langchain_pg_collection VALUES (gen_random_uuid(), 'a'), (gen_random_uuid(), 'b');"
        "INSERT INTO langchain_pg_embedding SELECT '00000000-0000-0000-0000-000000000001', uuid, '[1,2]', 'one',"
        " '{\"n\": 1}', 'own' FROM langchain_pg_collection WHERE name = 'a';"
        "INSERT INTO langchain_pg_embedding SELECT '00000000-0000-0000-0000-000000000002', uuid, '[2,1]', 'two',"
        " NULL, NULL FROM langchain_pg_collection WHERE name = 'a'"
    )
    done = import_records(db, "a", LangchainPostgres(peer_url, "a"), metric="cosine")
    assert done.records == 2
    assert [(each.id, each.text, each.metadata) for each in db.open("a").scan()] == [
        ("00000000-0000-0000-0000-000000000002", "two", {}),
        ("own", "one", {"n": 1}),
    ]
    with refusing(InvalidArgument, "no vectors"):
        import_records(db, "b", LangchainPostgres(peer_url, "b"), metric="cosine")
    assert db.names() == ["a"]


def test_what_is_not_there_is_named(filled: str, db: Database) -> None:
    with refusing(InvalidArgument, "neither a collection nor a table 'article'. Did you mean 'articles'?"):
        import_records(db, "a", LangchainPostgres(filled, "article"))
    with refusing(InvalidArgument, "Leave text='…' out"):
        import_records(db, "a", LangchainPostgres(filled, "articles", text="document"))
    with refusing(InvalidArgument, "compares by cosine unless it is told otherwise. Give metric='cosine'"):
        import_records(db, "a", LangchainPostgres(filled, "Pages"))
    assert db.names() == []


def test_on_the_command_line(filled: str, url: str, run: Run) -> None:
    command = ("import", url, "pages", filled, "--from", "langchain-postgres", "--table", "Pages")
    refused = run(*command)
    assert (refused.code, "(--metric)" in refused.err) == (2, True)
    done = run(*command, "--metric", "cosine", "--json")
    assert (done.code, done.json["records"], done.json["created"], done.json["left_out"]) == (0, COUNT, True, [])
    again = run(*command, "--metric", "cosine")
    assert again.out.startswith(f"Imported {COUNT} records into pages (8 dimensions, cosine) in ")
    assert run("count", url, "pages").out == f"{COUNT}\n"
