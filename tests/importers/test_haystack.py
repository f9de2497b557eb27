"""A table as Haystack's PgvectorDocumentStore makes it, whose documents come back through the adapter for Haystack."""

from __future__ import annotations

import psycopg

from vecstore import Database
from vecstore.importers import PgvectorTable, import_records
from vecstore.integrations.haystack import VecstoreDocumentStore, VecstoreEmbeddingRetriever


def test_documents_come_back_as_they_were(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(
        "CREATE TABLE haystack_documents (id varchar(128) PRIMARY KEY, embedding vector(2), content text,"
        " blob_data bytea, blob_meta json, blob_mime_type varchar(255), meta json)"
    )
    peer.execute(
        "INSERT INTO haystack_documents (id, embedding, content, meta) VALUES"
        " ('a', '[1,0]', 'Rice', '{\"year\": 2024}'), ('c', '[0,1]', 'Water', NULL),"
        " ('b', NULL, 'Not embedded', '{\"author\": {\"name\": \"Ada\"}}')"
    )
    table = PgvectorTable(peer_url, "haystack_documents", text="content", metadata="meta")
    done = import_records(db, "articles", table, metric="cosine", vectors="optional")
    assert (done.records, done.left_out) == (3, ())
    store = VecstoreDocumentStore(db, "articles", embedding_dimension=2)
    documents = {each.id: (each.content, each.embedding, each.meta) for each in store.filter_documents()}
    assert documents == {
        "a": ("Rice", [1.0, 0.0], {"year": 2024}),
        "b": ("Not embedded", None, {"author": {"name": "Ada"}}),
        "c": ("Water", [0.0, 1.0], {}),
    }
    assert [each.id for each in VecstoreEmbeddingRetriever(store).run([1.0, 0.1])["documents"]] == ["a", "c"]
