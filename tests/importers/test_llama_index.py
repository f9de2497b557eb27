"""Tables as LlamaIndex's PGVectorStore makes them, whose nodes come back through the adapter for LlamaIndex."""

from __future__ import annotations

import psycopg
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import VectorStoreQuery
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from psycopg.types.json import Json

from vecstore import Database, fields
from vecstore.importers import PgvectorTable, import_records
from vecstore.integrations.llama_index import VecstoreVectorStore

NODES = [
    TextNode(
        id_=f"node {number}",
        text=f"Text {number}",
        embedding=[1.0, number / 8],
        metadata={"lang": "en", "page": number, "tags": ["x"], "author": {"name": "Ada"}},
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"document {number % 2}")},
    )
    for number in range(6)
]


def test_nodes_come_back_as_they_were(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(
        "CREATE TABLE data_articles (id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ json, node_id varchar,"
        " embedding vector(2))"
    )
    for node in NODES:
        kept = Json(node_to_metadata_dict(node, remove_text=True))
        peer.execute(
            "INSERT INTO data_articles (text, metadata_, node_id, embedding) VALUES (%s, %s, %s, %s)",
            (node.text, kept, node.node_id, str(node.embedding)),
        )
    table = PgvectorTable(peer_url, "data_articles", id="node_id", metadata="metadata_", skip=("id",))
    done = import_records(db, "articles", table, metric="cosine", fields={"ref_doc_id": fields.Keyword()})
    assert (done.records, done.left_out) == (len(NODES), ())
    store = VecstoreVectorStore(db, "articles")
    found = store.query(VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=10))
    assert found.nodes is not None
    assert [each.node_id for each in found.nodes] == [node.node_id for node in NODES]
    for each, node in zip(found.nodes, NODES, strict=True):
        assert (each.get_content(), each.metadata, each.relationships) == (node.text, node.metadata, node.relationships)
    store.delete("document 1")
    assert db.open("articles").count() == 3
