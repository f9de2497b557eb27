"""LangChain: a vector store and a document index over a vecstore store. It takes the extra ``langchain``.

Every method of LangChain's interface that is not here is inherited; the asynchronous ones run these in a thread.
Keyword arguments that these methods do not know raise `TypeError`, so that a filter under another name is not ignored.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from langchain_core.documents import Document
from langchain_core.indexing import DeleteResponse, DocumentIndex, UpsertResponse
from langchain_core.vectorstores import VectorStore as LangChainVectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from .. import Database, Filter, Hit, Record, Schema, VectorStore, connect
from ..embedders import FunctionEmbedder
from ..errors import InvalidArgument

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.embeddings import Embeddings

    from ..fields import Field

FilterLike = Filter | Mapping[str, Any] | None
Relevance = Callable[[float], float]

_RELEVANCE: Mapping[str, Relevance] = {
    "cosine": lambda score: max(0.0, score),
    "l2": lambda score: 1 / (1 - score),
}
"""From a score to LangChain's relevance between 0 and 1; an inner product has no such scale."""


class VecstoreVectorStore(LangChainVectorStore):
    """Documents in a vecstore store, which is opened, or created with filters on any metadata key.

    Texts are embedded by the store, which checks that the model is the one that filled it.

    Parameters
    ----------
    place : str or Database
        A URL as `vecstore.connect` takes it, or an open Database, which stays the caller's to close.
    name : str
        Of the store.
    embedding : Embeddings
    fields : mapping of str to Field
        Of a new store: keys that are typed and faster to filter.
    metric : {"cosine", "ip", "l2"}
        Of a new store.
    relevance : callable, optional
        From a score to a number between 0 and 1, for searches with a relevance; ``ip`` has none of its own.

    Attributes
    ----------
    store : VectorStore
        The store itself, for everything that LangChain has no word for.
    """

    def __init__(
        self,
        place: str | Database,
        name: str,
        embedding: Embeddings,
        *,
        fields: Mapping[str, Field] | None = None,
        metric: str = "cosine",
        relevance: Relevance | None = None,
    ) -> None:
        database = place if isinstance(place, Database) else connect(place)
        self._opened = None if isinstance(place, Database) else database
        self._embedding = embedding
        self._relevance = relevance
        self.store = _open_store(database, name, embedding, fields or {}, metric)

    def close(self) -> None:
        """Close the connection, if this object opened it."""
        if self._opened is not None:
            self._opened.close()

    @property
    def embeddings(self) -> Embeddings:
        """The model."""
        return self._embedding

    @classmethod
    def from_texts(  # type: ignore[override]
        cls,
        texts: Iterable[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        place: str | Database = "memory:",
        name: str = "documents",
        fields: Mapping[str, Field] | None = None,
        metric: str = "cosine",
        relevance: Relevance | None = None,
    ) -> Self:
        """Open or create a store and add texts."""
        found = cls(place, name, embedding, fields=fields, metric=metric, relevance=relevance)
        found.add_texts(texts, metadatas, ids=ids)
        return found

    def add_texts(  # type: ignore[override]
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Add texts, or replace those with the same ids, and return the ids; the last of equal ids wins.

        Raises
        ------
        InvalidArgument
            There are fewer or more ids or metadatas than texts. Nothing is written.
        """
        texts = list(texts)
        for word, given in (("ids", ids), ("metadatas", metadatas)):
            if given is not None and len(given) != len(texts):
                raise InvalidArgument(f"{len(texts)} texts come with {len(given)} {word}. Give one for each text.")
        chosen = [id_ or str(uuid.uuid4()) for id_ in ids or [None] * len(texts)]
        values = metadatas or [{}] * len(texts)
        self.store.upsert(
            Record(id_, text=text, metadata=each) for id_, text, each in zip(chosen, texts, values, strict=True)
        )
        return chosen

    def delete(self, ids: list[str] | None = None, *, where: FilterLike = None) -> bool:  # type: ignore[override]
        """Remove documents by id or by a filter; without either this raises, and never removes everything."""
        self.store.delete(ids=ids, where=where)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents with these ids, in this order; missing ones are left out."""
        return [_to_document(record) for record in self.store.get(list(ids)) if record is not None]

    def similarity_search(  # type: ignore[override]
        self, query: str, k: int = 4, *, filter: FilterLike = None, min_score: float | None = None, exact: bool = False
    ) -> list[Document]:
        """Return the documents nearest to a text."""
        return [
            found for found, _ in self.similarity_search_with_score(
                query, k, filter=filter, min_score=min_score, exact=exact
            )
        ]  # fmt: skip

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: FilterLike = None, min_score: float | None = None, exact: bool = False
    ) -> list[tuple[Document, float]]:
        """Return the nearest documents with vecstore's scores, of which larger is nearer whatever the metric."""
        hits = self.store.search(query, k, where=_read_where(filter), min_score=min_score, exact=exact)
        return [(_to_document(hit), hit.score) for hit in hits]

    def similarity_search_by_vector(  # type: ignore[override]
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: FilterLike = None,
        min_score: float | None = None,
        exact: bool = False,
    ) -> list[Document]:
        """Return the documents nearest to a vector."""
        self.store.check_embedder()
        hits = self.store.search(embedding, k, where=_read_where(filter), min_score=min_score, exact=exact)
        return [_to_document(hit) for hit in hits]

    def max_marginal_relevance_search(  # type: ignore[override]
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, *, filter: FilterLike = None
    ) -> list[Document]:
        """Return documents that are near and differ from each other; ``lambda_mult=1`` looks at nearness only."""
        return self.max_marginal_relevance_search_by_vector(
            self._embedding.embed_query(query), k, fetch_k, lambda_mult, filter=filter
        )

    def max_marginal_relevance_search_by_vector(  # type: ignore[override]
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: FilterLike = None,
    ) -> list[Document]:
        """Return documents that are near a vector and differ from each other."""
        self.store.check_embedder()
        include = {"text", "metadata", "vector"}
        hits = self.store.search(embedding, max(k, fetch_k), where=_read_where(filter), include=include)
        vectors: list[Any] = [hit.vector for hit in hits]
        chosen = maximal_marginal_relevance(np.asarray(embedding), vectors, lambda_mult, k) if vectors else []
        return [_to_document(hits[number]) for number in chosen]

    def _select_relevance_score_fn(self) -> Relevance:
        metric = self.store.schema.metric.value
        found = self._relevance or _RELEVANCE.get(metric)
        if found is None:
            raise InvalidArgument(f"A score under {metric} has no relevance between 0 and 1. Give relevance=…")
        return found


class VecstoreIndex(DocumentIndex):
    """LangChain's document index over a `VecstoreVectorStore`.

    Parameters
    ----------
    vector_store : VecstoreVectorStore
    k : int
        Documents that a retrieval returns.
    """

    vector_store: Any
    k: int = 4

    def upsert(self, items: Sequence[Document], /) -> UpsertResponse:  # type: ignore[override]
        """Add documents or replace those with the same ids."""
        texts, metadatas = [each.page_content for each in items], [each.metadata for each in items]
        found = self.vector_store.add_texts(texts, metadatas, ids=[each.id for each in items])
        return UpsertResponse(succeeded=found, failed=[])

    def delete(self, ids: list[str] | None = None) -> DeleteResponse:  # type: ignore[override]
        """Remove documents by id; an id that is not there is no failure."""
        if ids is None:
            raise InvalidArgument("delete() takes ids. VecstoreVectorStore.delete() also takes where=…")
        store = self.vector_store.store
        there = [record.id for record in store.get(list(dict.fromkeys(ids))) if record is not None]
        count = store.delete(ids=there) if there else 0
        return DeleteResponse(num_deleted=count, succeeded=there, num_failed=0, failed=[])

    def get(self, ids: Sequence[str], /) -> list[Document]:  # type: ignore[override]
        """Return the documents with these ids; missing ones are left out."""
        found: list[Document] = self.vector_store.get_by_ids(ids)
        return found

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        found: list[Document] = self.vector_store.similarity_search(query, self.k if k is None else k)
        return found


def _open_store(
    database: Database, name: str, embedding: Embeddings, fields: Mapping[str, Field], metric: str
) -> VectorStore:
    if name in database.names():
        store = database.open(name)
        return database.open(name, embedder=_make_embedder(embedding, store.schema.width))
    embedder = _make_embedder(embedding, len(embedding.embed_query("dimension")))
    schema = Schema(metric=metric, fields=fields, dynamic=True)
    return database.create(name, schema, embedder=embedder, if_exists="open")


def _read_where(given: FilterLike) -> FilterLike:
    """Return the condition of a read, where an empty mapping is none; a delete refuses it."""
    return None if isinstance(given, Mapping) and not given else given


def _make_embedder(embedding: Embeddings, dim: int) -> FunctionEmbedder:
    model = getattr(embedding, "model", None) or getattr(embedding, "model_name", None)
    name = type(embedding).__name__ if not isinstance(model, str) else f"{type(embedding).__name__}:{model}"
    return FunctionEmbedder(
        embedding.embed_documents,
        dim=dim,
        name=name,
        query_fn=lambda texts: [embedding.embed_query(text) for text in texts],
    )


def _to_document(found: Record | Hit) -> Document:
    return Document(id=found.id, page_content=found.text or "", metadata=dict(found.metadata or {}))
