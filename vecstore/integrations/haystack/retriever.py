"""The retriever of a pipeline."""

from __future__ import annotations

from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy
from haystack.document_stores.types.filter_policy import apply_filter_policy

from .store import VecstoreDocumentStore


@component
class VecstoreEmbeddingRetriever:
    """Documents near an embedding.

    Parameters
    ----------
    document_store : VecstoreDocumentStore
    filters : dict, optional
    top_k : int
    filter_policy : FilterPolicy or str
        Whether filters of a run replace these, or both hold.
    scale_score : bool
        Give scores from 0 to 1.
    """

    def __init__(
        self,
        document_store: VecstoreDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
        *,
        scale_score: bool = False,
    ) -> None:
        self.document_store, self.filters, self.top_k, self.scale_score = document_store, filters, top_k, scale_score
        if not isinstance(filter_policy, FilterPolicy):
            filter_policy = FilterPolicy.from_str(filter_policy)
        self.filter_policy: FilterPolicy = filter_policy

    def to_dict(self) -> dict[str, Any]:
        """Describe the retriever and its document store."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=str(self.filter_policy),
            scale_score=self.scale_score,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make what `to_dict` described."""
        given = dict(data["init_parameters"])
        given["document_store"] = VecstoreDocumentStore.from_dict(given["document_store"])
        return default_from_dict(cls, data | {"init_parameters": given})

    @component.output_types(documents=list[Document])
    def run(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the nearest documents."""
        return {
            "documents": self.document_store.embedding_retrieval(
                query_embedding,
                filters=apply_filter_policy(self.filter_policy, self.filters, filters),
                top_k=self.top_k if top_k is None else top_k,
                scale_score=self.scale_score,
            )
        }

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the nearest documents."""
        return {
            "documents": await self.document_store.embedding_retrieval_async(
                query_embedding,
                filters=apply_filter_policy(self.filter_policy, self.filters, filters),
                top_k=self.top_k if top_k is None else top_k,
                scale_score=self.scale_score,
            )
        }
