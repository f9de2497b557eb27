"""The document store with its asynchronous methods, each of which runs the blocking one in a thread."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING, Any

from haystack.document_stores.types import DuplicatePolicy

from .blocking import BlockingDocumentStore, Filters

if TYPE_CHECKING:
    from haystack import Document


class VecstoreDocumentStore(BlockingDocumentStore):
    """Haystack's documents in a vecstore store, which is opened, or created with filters on any metadata key.

    Parameters
    ----------
    place : Secret, str or Database
        A URL as `vecstore.connect` takes it, or an open Database, which stays the caller's to close.
    name : str
        Of the store.
    embedding_dimension : int
    fields : mapping of str to Field
        Of a new store: keys that are typed and faster to filter.
    metric : {"cosine", "ip", "l2"}
        Of a new store.

    Attributes
    ----------
    store : VectorStore
        The store itself, for everything that Haystack has no word for.
    """

    async def count_documents_async(self) -> int:
        """Run `count_documents` in a thread."""
        return await to_thread(self.count_documents)

    async def count_documents_by_filter_async(self, filters: Filters) -> int:
        """Run `count_documents_by_filter` in a thread."""
        return await to_thread(self.count_documents_by_filter, filters)

    async def filter_documents_async(self, filters: Filters = None) -> list[Document]:
        """Run `filter_documents` in a thread."""
        return await to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Run `write_documents` in a thread."""
        return await to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """Run `delete_documents` in a thread."""
        await to_thread(self.delete_documents, document_ids)

    async def delete_all_documents_async(self) -> None:
        """Run `delete_all_documents` in a thread."""
        await to_thread(self.delete_all_documents)

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Run `delete_by_filter` in a thread."""
        return await to_thread(self.delete_by_filter, filters)

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Run `update_by_filter` in a thread."""
        return await to_thread(self.update_by_filter, filters, meta)

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        """Run `get_metadata_fields_info` in a thread."""
        return await to_thread(self.get_metadata_fields_info)

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        """Run `get_metadata_field_min_max` in a thread."""
        return await to_thread(self.get_metadata_field_min_max, metadata_field)

    async def count_unique_metadata_by_filter_async(
        self, filters: Filters, metadata_fields: list[str]
    ) -> dict[str, int]:
        """Run `count_unique_metadata_by_filter` in a thread."""
        return await to_thread(self.count_unique_metadata_by_filter, filters, metadata_fields)

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters = None,
    ) -> tuple[list[Any], int]:
        """Run `get_metadata_field_unique_values` in a thread."""
        return await to_thread(self.get_metadata_field_unique_values, metadata_field, search_term, from_, size, filters)

    async def embedding_retrieval_async(
        self,
        query_embedding: list[float],
        *,
        filters: Filters = None,
        top_k: int = 10,
        scale_score: bool = False,
        return_embedding: bool = False,
    ) -> list[Document]:
        """Run `embedding_retrieval` in a thread."""
        return await to_thread(
            self.embedding_retrieval,
            query_embedding,
            filters=filters,
            top_k=top_k,
            scale_score=scale_score,
            return_embedding=return_embedding,
        )
