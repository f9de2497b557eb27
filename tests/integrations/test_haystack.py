"""Haystack's own suites on every backend, and what they do not ask: parts of documents, policies, the retriever."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing import document_store as suite
from haystack.testing import document_store_async as async_suite
from haystack.utils import Secret

import vecstore
from vecstore import Database, InvalidArgument, fields
from vecstore.integrations.haystack import VecstoreDocumentStore, VecstoreEmbeddingRetriever


class Stored:
    """The store of a test, and what the suites let a store choose: its order, and the precision of its vectors."""

    @pytest.fixture
    def document_store(self, database: Database, name: str) -> VecstoreDocumentStore:
        return VecstoreDocumentStore(database, name)

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        assert [each.id for each in received] == sorted(each.id for each in expected)
        assert list(map(round_vector, received)) == sorted(map(round_vector, expected), key=lambda each: each["id"])


def round_vector(document: Document) -> dict[str, Any]:
    found = document.to_dict(flatten=False)
    if document.embedding is not None:
        found["embedding"] = np.asarray(document.embedding, np.float32).tolist()
    return found


class TestDocumentStore(
    Stored,
    suite.DocumentStoreBaseExtendedTests,
    suite.CountDocumentsByFilterTest,
    suite.CountUniqueMetadataByFilterTest,
    suite.GetMetadataFieldsInfoTest,
    suite.GetMetadataFieldMinMaxTest,
    suite.GetMetadataFieldUniqueValuesTest,
):
    def test_write_documents(self, document_store: Any) -> None:
        document = Document(content="test")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])


class TestAsyncDocumentStore(
    Stored,
    async_suite.CountDocumentsAsyncTest,
    async_suite.WriteDocumentsAsyncTest,
    async_suite.DeleteDocumentsAsyncTest,
    async_suite.FilterDocumentsAsyncTest,
    async_suite.DeleteAllAsyncTest,
    async_suite.DeleteByFilterAsyncTest,
    async_suite.UpdateByFilterAsyncTest,
    async_suite.CountDocumentsByFilterAsyncTest,
    async_suite.CountUniqueMetadataByFilterAsyncTest,
    async_suite.GetMetadataFieldsInfoAsyncTest,
    async_suite.GetMetadataFieldMinMaxAsyncTest,
    async_suite.GetMetadataFieldUniqueValuesAsyncTest,
):
    async def test_write_documents_async(self, document_store: Any) -> None:
        document = Document(content="test")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])


DOCUMENTS = [
    Document(id="a", content="apple", embedding=[1.0, 0.0], meta={"year": 2020, "id": "one", "by": {"name": "Ada"}}),
    Document(id="b", blob=ByteStream(b"\0\xff", {"x": 1}, "image/png"), embedding=[0.0, 1.0], meta={"year": "2020"}),
    Document(id="c", content="", sparse_embedding=SparseEmbedding([1, 5], [0.5, 2.0])),
]


@pytest.fixture
def filled(database: Database, name: str) -> VecstoreDocumentStore:
    found = VecstoreDocumentStore(database, name, 2)
    found.write_documents(DOCUMENTS)
    return found


def test_a_document_comes_back_as_it_was(filled: VecstoreDocumentStore) -> None:
    assert filled.filter_documents() == DOCUMENTS
    assert set(filled.get_metadata_fields_info()) == {"year", "id", "by"}


@pytest.mark.parametrize(
    "field, operator, value, ids",
    [
        ("id", "==", "b", "b"),
        ("meta.id", "==", "one", "a"),
        ("year", ">=", 2020, "a"),
        ("meta.by.name", "==", "Ada", "a"),
        ("meta.by.name", "not in", ["Ada"], "bc"),
        ("meta.year", "in", [None, "2020"], "bc"),
    ],
)
def test_a_filter_takes_any_key(filled: VecstoreDocumentStore, field: str, operator: str, value: Any, ids: str) -> None:
    found = filled.filter_documents({"field": field, "operator": operator, "value": value})
    assert "".join(each.id for each in found) == ids


@pytest.mark.parametrize(
    "filters",
    [
        {"field": "meta.year", "operator": "like", "value": "2%"},
        {"field": "content", "operator": "==", "value": "apple"},
        {"field": "meta.year", "operator": ">", "value": True},
        {"field": "meta.year", "operator": "==", "value": 1, "extra": 1},
        {"operator": "XOR", "conditions": []},
    ],
)
def test_what_has_no_meaning_raises(filled: VecstoreDocumentStore, filters: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        filled.filter_documents(filters)
    for call in (filled.delete_by_filter, lambda given: filled.update_by_filter(given, {"x": 1})):
        for given in (filters, {}):
            with pytest.raises(FilterError):
                call(given)
    assert filled.count_documents() == 3


def test_a_write_is_whole_or_nothing(filled: VecstoreDocumentStore) -> None:
    new = Document(id="d", content="new")
    for documents in ([new, DOCUMENTS[0]], [new, new]):
        with pytest.raises(DuplicateDocumentError):
            filled.write_documents(documents, DuplicatePolicy.FAIL)
    assert filled.count_documents() == 3
    assert filled.write_documents([new, DOCUMENTS[0], new], DuplicatePolicy.SKIP) == 1
    with pytest.raises(ValueError, match="_haystack"):
        filled.write_documents([Document(meta={"_haystack": {}})])


def test_a_declared_date_is_ordered_by_instant(database: Database, name: str) -> None:
    date = fields.DateTime(text=True, naive="utc")
    found = VecstoreDocumentStore(database, name, 2, fields={"at": date})
    found.write_documents([Document(id="a", meta={"at": "2024-01-01T00:30:00+01:00"})])
    assert found.count_documents_by_filter({"field": "meta.at", "operator": "<", "value": "2024-01-01"}) == 1


def test_a_retriever_in_a_pipeline(filled: VecstoreDocumentStore) -> None:
    retriever = VecstoreEmbeddingRetriever(filled, top_k=1, scale_score=True)
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    [found] = pipeline.run({"retriever": {"query_embedding": [1.0, 0.0]}})["retriever"]["documents"]
    assert found.id == "a"
    assert found.score == pytest.approx(1)
    filters = {"field": "meta.year", "operator": "==", "value": "2020"}
    [other] = asyncio.run(retriever.run_async([1.0, 0.0], filters))["documents"]
    assert other.id == "b"
    assert other.score == pytest.approx(0.5)


def test_a_retriever_is_described_and_made_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTES_URL", f"file:{tmp_path}")
    place = Secret.from_env_var("NOTES_URL")
    first = VecstoreDocumentStore(place, "notes", 2, fields={"lang": fields.Keyword()}, metric="l2")
    first.write_documents([Document(id="a", embedding=[1.0, 0.0])])
    described = VecstoreEmbeddingRetriever(first, top_k=3, filter_policy="merge").to_dict()
    first.close()
    assert str(tmp_path) not in str(described)
    again = VecstoreEmbeddingRetriever.from_dict(described)
    assert again.to_dict() == described
    assert [each.score for each in again.run([1.0, 0.0])["documents"]] == [0.0]
    again.document_store.close()


def test_what_may_hold_a_password_is_not_described(database: Database, name: str) -> None:
    with pytest.raises(InvalidArgument, match="from_env_var"):
        VecstoreDocumentStore(database, name).to_dict()
    with vecstore.connect("memory:") as other:
        VecstoreDocumentStore(other, "x", 3)
        with pytest.raises(InvalidArgument, match="3 dimensions"):
            VecstoreDocumentStore(other, "x", 4)
