"""LangChain's own suites on every backend, and what they do not ask: filters, scores, relevance, strangers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import DocumentIndex
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests
from langchain_tests.integration_tests.indexer import AsyncDocumentIndexTestSuite, DocumentIndexerTestSuite

import vecstore
from vecstore import Database, EmbedderMismatch, F, InvalidArgument
from vecstore.integrations.langchain import VecstoreIndex, VecstoreVectorStore

DOCUMENTS = [
    Document(id="a", page_content="apple", metadata={"year": 2020, "source": "x", "id": "one"}),
    Document(id="b", page_content="pear", metadata={"year": 2021, "source": "y", "page": {"no": 3}}),
    Document(id="c", page_content="plum", metadata={"year": "2020"}),
]


def make_embedding() -> Embeddings:
    return DeterministicFakeEmbedding(size=6)


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, database: Database, name: str) -> VecstoreVectorStore:
        return VecstoreVectorStore(database, name, self.get_embeddings())


class TestIndex(DocumentIndexerTestSuite):
    @pytest.fixture
    def index(self, database: Database, name: str) -> DocumentIndex:
        return VecstoreIndex(vector_store=VecstoreVectorStore(database, name, make_embedding()))


class TestAsyncIndex(AsyncDocumentIndexTestSuite):
    @pytest.fixture
    async def index(self, database: Database, name: str) -> DocumentIndex:
        return VecstoreIndex(vector_store=VecstoreVectorStore(database, name, make_embedding()))


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def filled(self, database: Database, name: str) -> None:
        found = VecstoreVectorStore(database, name, make_embedding())
        found.add_documents(DOCUMENTS)
        self.filled_store = found

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return VecstoreIndex

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"vector_store": self.filled_store}

    @property
    def retriever_query_example(self) -> str:
        return "apple"

    @pytest.fixture
    def retriever(self, filled: None) -> BaseRetriever:
        return VecstoreIndex(vector_store=self.filled_store)


@pytest.fixture
def filled(database: Database, name: str) -> VecstoreVectorStore:
    found = VecstoreVectorStore(database, name, make_embedding())
    found.add_documents(DOCUMENTS)
    return found


@pytest.mark.parametrize(
    "where, ids",
    [
        ({"year": 2020}, "a"),
        ({"year": {"$gte": 2020}}, "ab"),
        ({"source": {"$ne": "x"}}, "bc"),
        ({"$path": [["page", "no"], {"$eq": 3}]}, "b"),
        ({"$key": ["id", {"$eq": "one"}]}, "a"),
        (F["year"] == "2020", "c"),
        ({}, "abc"),
        (None, "abc"),
    ],
)
def test_a_filter_takes_any_key(filled: VecstoreVectorStore, where: Any, ids: str) -> None:
    assert {each.id for each in filled.similarity_search("apple", 10, filter=where)} == set(ids)
    found = asyncio.run(filled.asimilarity_search("apple", 10, filter=where))
    assert {each.id for each in found} == set(ids)


def test_a_document_comes_back_as_it_was(filled: VecstoreVectorStore) -> None:
    assert filled.get_by_ids(["c", "absent", "a"]) == [DOCUMENTS[2], DOCUMENTS[0]]
    assert filled.similarity_search("pear", 1) == [DOCUMENTS[1]]


def test_a_score_is_larger_where_it_is_nearer(filled: VecstoreVectorStore) -> None:
    [(first, score), *rest] = filled.similarity_search_with_score("pear", 3)
    assert first.id == "b"
    assert score == pytest.approx(1, abs=1e-6)
    assert [other for _, other in rest] == sorted((other for _, other in rest), reverse=True)
    [(same, relevance)] = filled.similarity_search_with_relevance_scores("pear", 3, score_threshold=0.99)
    assert same.id == "b"
    assert relevance == pytest.approx(1, abs=1e-6)


def test_relevance_by_metric(database: Database, name: str) -> None:
    for metric, nearest in (("l2", 1.0), ("ip", None)):
        found = VecstoreVectorStore(database, f"{name}_{metric}", make_embedding(), metric=metric)
        found.add_documents(DOCUMENTS)
        if nearest is None:
            with pytest.raises(InvalidArgument, match="relevance="):
                found.similarity_search_with_relevance_scores("pear", 1)
        else:
            [(_, relevance)] = found.similarity_search_with_relevance_scores("pear", 1)
            assert relevance == pytest.approx(nearest, abs=1e-3)


def test_marginal_relevance_takes_others_first(filled: VecstoreVectorStore) -> None:
    filled.add_documents([Document(id="a2", page_content="apple", metadata={})])
    near = [each.id for each in filled.similarity_search("apple", 2)]
    assert near == ["a", "a2"]
    varied = [each.id for each in filled.max_marginal_relevance_search("apple", 2, fetch_k=4, lambda_mult=0.1)]
    assert varied[0] == "a"
    assert varied[1] != "a2"
    assert len(filled.max_marginal_relevance_search("apple", 3, filter={"source": "x"})) == 1


def test_what_it_does_not_know_raises(filled: VecstoreVectorStore) -> None:
    strange: Any = filled
    calls: list[Callable[[], object]] = [
        lambda: strange.similarity_search("apple", filters={"source": "x"}),
        lambda: strange.similarity_search("apple", where={"source": "x"}),
        lambda: strange.delete(["a"], filter={"source": "x"}),
        lambda: strange.add_texts(["x"], id=["x"]),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="unexpected keyword"):
            call()
    with pytest.raises(InvalidArgument):
        filled.similarity_search("apple", filter={"year": {"$like": "2%"}})
    with pytest.raises(InvalidArgument, match=r"vecstore\.ALL"):
        filled.delete()
    with pytest.raises(InvalidArgument):
        filled.delete(where={})
    with pytest.raises(InvalidArgument, match="2 ids"):
        filled.add_texts(["x"], ids=["x", "y"])
    assert filled.store.count() == 3


def test_a_delete_takes_a_filter(filled: VecstoreVectorStore) -> None:
    assert filled.delete(where={"year": {"$gte": 2020}})
    assert [record.id for record in filled.store.scan()] == ["c"]


def test_another_model_is_refused(filled: VecstoreVectorStore, database: Database) -> None:
    class Other(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[1.0, 0, 0, 0, 0, len(text)] for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    other = VecstoreVectorStore(database, filled.store.name, Other())
    for call in (
        lambda: other.similarity_search("apple"),
        lambda: other.similarity_search_by_vector([1.0] * 6),
        lambda: other.add_texts(["x"]),
        lambda: other.max_marginal_relevance_search("apple"),
    ):
        with pytest.raises(EmbedderMismatch):
            call()


def test_a_url_is_opened_and_closed(tmp_path: Any) -> None:
    found = VecstoreVectorStore.from_documents(DOCUMENTS, make_embedding(), place=f"file:{tmp_path}", name="notes")
    assert found.as_retriever(search_kwargs={"k": 1}).invoke("plum") == [DOCUMENTS[2]]
    found.close()
    with vecstore.connect(f"file:{tmp_path}") as database:
        assert database.open("notes").count() == 3
        assert {
            uuid.UUID(id_).version for id_ in VecstoreVectorStore(database, "notes", make_embedding()).add_texts(["x"])
        } == {4}
