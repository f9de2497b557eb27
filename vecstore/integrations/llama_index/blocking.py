"""The blocking methods of the vector store."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from ... import (
    ALL,
    Database,
    F,
    Filter,
    InvalidArgument,
    Schema,
    StoreNotFound,
    VectorStore,
)
from ...embedders import FunctionEmbedder
from .filters import read_filters
from .nodes import SOURCE, to_node, to_record

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.schema import BaseNode

_MAX_K = 10_000
_TEXTS = frozenset({"text", "metadata"})


class BlockingVectorStore(BasePydanticVectorStore):
    """What `VecstoreVectorStore` says, which adds the asynchronous methods."""

    stores_text: bool = True
    flat_metadata: bool = False
    _database: Database = PrivateAttr()
    _opened: Database | None = PrivateAttr()
    _name: str = PrivateAttr()
    _schema: Schema = PrivateAttr()
    _embed_model: Any = PrivateAttr()
    _store: VectorStore | None = PrivateAttr(default=None)

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which LlamaIndex knows the class."""
        return "VecstoreVectorStore"

    @property
    def client(self) -> Database:
        """The Database."""
        return self._database

    @property
    def store(self) -> VectorStore:
        """The store itself, for everything that LlamaIndex has no word for. There is none before the first nodes.

        Raises
        ------
        StoreNotFound
        """
        if self._store is None:
            store = self._database.open(self._name)
            if self._embed_model is not None:
                store = self._database.open(self._name, embedder=_make_embedder(self._embed_model, store.schema.width))
            self._store = store
        return self._store

    def close(self) -> None:
        """Close the connection, if this object opened it."""
        if self._opened is not None:
            self._opened.close()

    def add(self, nodes: Sequence[BaseNode]) -> list[str]:  # type: ignore[override]
        """Add nodes, or replace those with the same ids, and return the ids; the last of equal ids wins."""
        records = [to_record(node) for node in nodes]
        if records:
            self._check_model()
            (self._find_store() or self._create_store(len(nodes[0].get_embedding()))).upsert(records)
        return [record.id for record in records]

    def delete(self, ref_doc_id: str) -> None:  # type: ignore[override]
        """Remove the nodes of a source document."""
        if store := self._find_store():
            store.delete(where=F[SOURCE] == ref_doc_id)

    def delete_nodes(  # type: ignore[override]
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> None:
        """Remove nodes by id, by filters, or by both. With neither, or with empty filters, this raises."""
        store = self._find_store()
        where = _select(node_ids, read_filters(filters, store))
        if where is None or (filters is not None and not filters.filters):
            raise InvalidArgument("delete_nodes() takes node_ids or filters that select. clear() removes every node.")
        if store is not None:
            store.delete(where=where)

    def clear(self) -> None:
        """Remove every node."""
        if store := self._find_store():
            store.delete(where=ALL)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Return nodes with their embeddings: by id, without those that are missing, or in the order of their ids."""
        store = self._find_store()
        where = read_filters(filters, store)
        if store is None:
            return []
        if node_ids is None or where is not None:
            return [to_node(found, embedded=True) for found in store.scan(_select(node_ids, where))]
        return [to_node(found, embedded=True) for found in store.get(node_ids) if found is not None]

    def query(  # type: ignore[override]
        self,
        query: VectorStoreQuery,
        *,
        mmr_threshold: float | EllipsisType | None = ...,
        mmr_prefetch_factor: float = 4.0,
        min_score: float | None = None,
        exact: bool = False,
    ) -> VectorStoreQueryResult:
        """Return the nearest nodes. A larger similarity is nearer, whatever the metric and the mode.

        A query without an embedding returns the first matching nodes, without similarities. No ``node_ids`` and an
        empty list of them restrict nothing, because retrievers send the latter; empty ``doc_ids`` match nothing.

        Parameters
        ----------
        query : VectorStoreQuery
        mmr_threshold : float, optional
            In the mode MMR: from 0, as different from each other as possible, to 1. It goes before that of the query.
        mmr_prefetch_factor : float
            In the mode MMR: how many times ``similarity_top_k`` nodes to choose from.
        min_score, exact
            As in `VectorStore.search`.

        Raises
        ------
        NotImplementedError
            The mode is another one than DEFAULT and MMR.
        """
        mode = VectorStoreQueryMode(query.mode)
        is_varied = mode is VectorStoreQueryMode.MMR
        if not is_varied and mode is not VectorStoreQueryMode.DEFAULT:
            raise NotImplementedError(f"vecstore has no mode {mode.value!r}. Use 'default' or 'mmr'.")
        if query.output_fields is not None or query.embedding_field is not None:
            raise InvalidArgument("output_fields and embedding_field have no meaning here. Leave them out.")
        self._check_model()
        store = self._find_store()
        where = _select(query.node_ids or None, read_filters(query.filters, store))
        if query.doc_ids is not None:
            where = _join(where, F[SOURCE].in_(query.doc_ids))
        k, vector = query.similarity_top_k, query.query_embedding
        if vector is None:
            if is_varied or min_score is not None:
                raise InvalidArgument("Without query_embedding no node is near. Leave out the mode and min_score.")
            page = list(store.scan(where, include=_TEXTS, limit=k)) if store else []
            return VectorStoreQueryResult([to_node(each) for each in page], None, [each.id for each in page])
        if store is None:
            return VectorStoreQueryResult([], [], [])
        count = max(k, min(_MAX_K, ceil(k * mmr_prefetch_factor))) if is_varied else k
        include = _TEXTS | {"vector"} if is_varied else _TEXTS
        hits = list(store.search(vector, count, where=where, min_score=min_score, exact=exact, include=include))
        if is_varied and hits:
            threshold = query.mmr_threshold if isinstance(mmr_threshold, EllipsisType) else mmr_threshold
            vectors: list[Any] = [np.asarray(hit.vector) for hit in hits]
            chosen = get_top_k_mmr_embeddings(vector, vectors, similarity_top_k=k, mmr_threshold=threshold)[1]
            hits = [hits[number] for number in chosen]
        return VectorStoreQueryResult([to_node(hit) for hit in hits], [h.score for h in hits], [h.id for h in hits])

    def _find_store(self) -> VectorStore | None:
        try:
            return self.store
        except StoreNotFound:
            return None

    def _create_store(self, dim: int) -> VectorStore:
        embedder = None if self._embed_model is None else _make_embedder(self._embed_model, dim)
        self._store = self._database.create(self._name, self._schema.with_dim(dim), embedder=embedder, if_exists="open")
        return self._store

    def _check_model(self) -> None:
        """Refuse embeddings of another model than the one that filled the store."""
        if self._embed_model is not None and (store := self._find_store()):
            store.check_embedder()


def _make_embedder(model: BaseEmbedding, dim: int) -> FunctionEmbedder:
    return FunctionEmbedder(
        model.get_text_embedding_batch,
        dim=dim,
        name=f"{type(model).__name__}:{model.model_name}",
        query_fn=lambda texts: [model.get_query_embedding(text) for text in texts],
    )


def _select(node_ids: Sequence[str] | None, where: Filter | None) -> Filter | None:
    return where if node_ids is None else _join(where, F.id.in_(node_ids))


def _join(where: Filter | None, other: Filter) -> Filter:
    return other if where is None else where & other
