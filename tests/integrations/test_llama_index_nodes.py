"""Nodes of all classes and indexes of LlamaIndex on every backend: what comes back, whose vectors, which fields."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.utils import node_to_metadata_dict

import vecstore
from vecstore import Database, EmbedderMismatch, F, InvalidArgument, InvalidFilter, InvalidMetadata, Record, fields
from vecstore.integrations.llama_index import VecstoreVectorStore

VECTOR = [1.0, 0.0]
METADATA: dict[str, Any] = {
    "year": 2024, "score": 0.5, "none": None, "nested": {"a": [1, {"b": None}]}, "id": 7, "text": "not the text",
    "doc_id": "own", "ref_doc_id": "own", "_node_type": "own", "Page Number": 3,
}  # fmt: skip
RELATIONS: dict[Any, Any] = {
    NodeRelationship.SOURCE: RelatedNodeInfo(node_id="source", metadata={"file": "x.txt"}),
    NodeRelationship.NEXT: RelatedNodeInfo(node_id="next"),
    NodeRelationship.CHILD: [RelatedNodeInfo(node_id="child")],
}
PARTS: dict[str, Any] = {"id_": "n", "embedding": VECTOR, "metadata": METADATA, "relationships": RELATIONS}
NODES: list[BaseNode] = [
    TextNode(text="Rice", start_char_idx=3, end_char_idx=7, excluded_llm_metadata_keys=["year"], **PARTS),
    TextNode(text="", **PARTS),
    IndexNode(text="To another", index_id="other", **PARTS),
    IndexNode(text="To a node", index_id="inner", obj=TextNode(id_="inner", text="Inner"), **PARTS),
    ImageNode(text="A picture", image="aGVsbG8=", image_mimetype="image/png", **PARTS),
    Node(text_resource=MediaResource(text="Media", mimetype="text/markdown"), **PARTS),
    Node(image_resource=MediaResource(path=Path("picture.png")), **PARTS),
    Document(text="A document", **PARTS),
]


class ToyEmbedding(BaseEmbedding):
    """Two dimensions, from the length of a text and a factor that tells models apart."""

    factor: float = 1.0

    def _get_text_embedding(self, text: str) -> list[float]:
        return [1.0 + len(text), self.factor * (1 + sum(map(ord, text)) % 97)]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def where(key: str, operator: str, value: Any = None) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=FilterOperator(operator), value=value)])


def ask(**parts: Any) -> VectorStoreQuery:
    return VectorStoreQuery(VECTOR, similarity_top_k=10, **parts)


@pytest.mark.parametrize("number", range(len(NODES)))
def test_a_node_comes_back_as_it_was(database: Database, name: str, number: int) -> None:
    found, node = VecstoreVectorStore(database, name), NODES[number]
    found.add([node])
    [again] = found.get_nodes(["n"])
    assert type(again) is type(node)
    assert again == node
    [record] = found.store.scan()
    assert record.text == (node.get_content() or None)
    assert set(record.metadata) == {*METADATA, "_node_content"} - {"none", "doc_id"}
    [hit] = found.query(ask(filters=where("year", "==", 2024))).nodes or ()
    assert hit == node.model_copy(update={"embedding": None})
    found.delete("source")
    assert found.store.count() == 0


def test_records_of_others_are_nodes(database: Database, name: str) -> None:
    found = VecstoreVectorStore(database, name)
    node = TextNode(text="Rice", id_="a", embedding=VECTOR, metadata={"year": 2024}, relationships=RELATIONS)
    found.add([node])
    # As the stores of LlamaIndex write it, and as somebody does who has never heard of it.
    theirs = node_to_metadata_dict(node, remove_text=True)
    found.store.upsert([Record("a", VECTOR, "Rice", theirs), Record("b", VECTOR, "Plain", {"year": 2024})])
    plain = TextNode(text="Plain", id_="b", embedding=VECTOR, metadata={"year": 2024})
    assert found.get_nodes(filters=where("year", "==", 2024)) == [node, plain]


@pytest.mark.parametrize(
    "parts, error, match",
    [
        ({"embedding": None}, vecstore.InvalidVector, "'n' has no embedding"),
        ({"metadata": {"at": datetime(2024, 1, 1)}}, InvalidMetadata, "at"),
        ({"metadata": {"doc_id": object()}}, InvalidMetadata, "'n': the metadata under doc_id"),
        ({"image": "x" * (1 << 20)}, InvalidMetadata, "image_path"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_named(parts: dict[str, Any], error: type[Exception], match: str) -> None:
    with vecstore.connect("memory:") as database:
        found = VecstoreVectorStore(database, "notes")
        with pytest.raises(error, match=match):
            found.add([ImageNode(**{**PARTS, **parts})])
        assert found.get_nodes() == []
        for wrong in (NODES[0], ["text"], [Record("a", VECTOR)]):
            with pytest.raises(InvalidArgument, match="list of nodes"):
                found.add(wrong)  # type: ignore[arg-type]


def test_an_index(database: Database, name: str) -> None:
    documents = [
        Document(id_="rice", text="Rice needs water.", metadata={"lang": "en", "year": 2024}),
        Document(id_="reis", text="Reis braucht Wasser.", metadata={"lang": "de", "year": 2025}),
    ]
    model = ToyEmbedding()
    context = StorageContext.from_defaults(vector_store=VecstoreVectorStore(database, name, embed_model=model))
    index = VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=model)
    for made in (index, VectorStoreIndex.from_vector_store(VecstoreVectorStore(database, name), embed_model=model)):
        retriever = made.as_retriever(similarity_top_k=2, filters=where("year", ">=", 2025))
        [found] = retriever.retrieve("Rice")
        [same] = asyncio.run(retriever.aretrieve("Rice"))
        assert found.node.ref_doc_id == same.node.ref_doc_id == "reis"
        assert found.text == "Reis braucht Wasser."
        assert found.score == same.score
        [near, _] = made.as_retriever(vector_store_query_mode="mmr", similarity_top_k=2).retrieve("Rice")
        assert near.score is not None
        [listed] = made.as_retriever(doc_ids=["rice"]).retrieve("Rice")
        assert listed.metadata == documents[0].metadata
        [strict] = made.as_retriever(similarity_top_k=2, vector_store_kwargs={"min_score": near.score - 1e-6}).retrieve(
            "Rice"
        )
        assert strict.node_id == near.node_id
    index.delete_ref_doc("reis")
    index.insert(Document(id_="more", text="More"))
    assert {node.ref_doc_id for node in index.vector_store.get_nodes()} == {"rice", "more"}


def test_a_pipeline_replaces_the_nodes_of_a_changed_document() -> None:
    with vecstore.connect("memory:") as database:
        found = VecstoreVectorStore(database, "notes")
        pipeline = IngestionPipeline(
            transformations=[SentenceSplitter(), ToyEmbedding()],
            vector_store=found,
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS,
        )
        for text in ("first", "changed"):
            pipeline.run(documents=[Document(id_="a", text=text), Document(id_="b", text="same")])
        assert sorted(node.get_content() for node in found.get_nodes()) == ["changed", "same"]
        asyncio.run(pipeline.arun(documents=[Document(id_="a", text="again")]))
        assert sorted(node.get_content() for node in found.get_nodes()) == ["again", "same"]


def test_embeddings_of_another_model_are_refused(database: Database, name: str) -> None:
    first = VecstoreVectorStore(database, name, embed_model=ToyEmbedding())
    first.add([TextNode(id_="a", text="Rice", embedding=ToyEmbedding().get_text_embedding("Rice"))])
    assert [hit.id for hit in first.store.search("Rice", 1)] == ["a"]
    other = VecstoreVectorStore(database, name, embed_model=ToyEmbedding(factor=-1.0))
    for call in (lambda: other.add(NODES[:1]), lambda: other.query(ask()), lambda: asyncio.run(other.aquery(ask()))):
        with pytest.raises(EmbedderMismatch):
            call()
    wide = VecstoreVectorStore(database, name, embed_model=MockEmbedding(embed_dim=3))
    with pytest.raises(vecstore.DimensionMismatch, match="MockEmbedding"):
        wide.query(ask())
    given = VecstoreVectorStore(database, f"{name}_given")
    given.add(NODES[:1])
    with pytest.raises(EmbedderMismatch, match="claim=True"):
        VecstoreVectorStore(database, f"{name}_given", embed_model=ToyEmbedding()).query(ask())


def test_declared_fields(database: Database, name: str) -> None:
    declared = {
        "lang": fields.Keyword(), "tags": fields.Keywords(), "year": fields.Int(), "at": fields.DateTime(text=True),
    }  # fmt: skip
    found = VecstoreVectorStore(database, name, fields=declared)
    metadata = [{"lang": "en", "tags": ["x"], "year": 1, "at": "2024-01-31T08:30:00+00:00"}, {"lang": ""}, {}]
    nodes = [
        TextNode(id_=id_, text="x", embedding=VECTOR, metadata=each) for id_, each in zip("abc", metadata, strict=True)
    ]
    found.add(nodes)
    assert found.get_nodes() == nodes
    for filters, ids in (
        (where("lang", "is_empty"), "bc"), (where("year", "is_empty"), "bc"), (where("year", "<", 1.5), "a"),
        (where("tags", "contains", "x"), "a"), (where("lang", "text_match_insensitive", "EN"), "a"),
        (where("at", ">", "2024-01-31T09:00:00+01:00"), "a"),
    ):  # fmt: skip
        assert "".join(found.query(ask(filters=filters)).ids or ()) == ids
    for filters in (
        where("tags", "is_empty"), where("year", "==", "1"), where("tags", "text_match_insensitive", "x"),
        where("year", "text_match_insensitive", "x"),
    ):  # fmt: skip
        with pytest.raises(InvalidFilter):
            found.query(ask(filters=filters))
    with pytest.raises(InvalidArgument, match="ref_doc_id"):
        VecstoreVectorStore(database, f"{name}_other", fields={"ref_doc_id": fields.Int()})


def test_a_url_is_opened_and_closed(tmp_path: Path) -> None:
    url = f"file:{tmp_path}/kb"
    found = VecstoreVectorStore(url, "notes")
    found.add(NODES[:1])
    assert found.client.names() == ["notes"]
    found.close()
    for name, place in (("Not a name", url), ("notes", "nothing:")):
        with pytest.raises(vecstore.VecstoreError):
            VecstoreVectorStore(place, name)
    again = VecstoreVectorStore(f"{url}?mode=ro", "notes")
    assert again.get_nodes() == NODES[:1]
    assert again.store.count(F["Page Number"] == 3) == 1
    for call in (lambda: again.add(NODES[:1]), again.clear, lambda: again.delete("source")):
        with pytest.raises(vecstore.VecstoreError):
            call()
    again.close()
