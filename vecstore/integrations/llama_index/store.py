"""The vector store with its asynchronous methods, each of which runs the blocking one in a thread."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING

from ... import Database, InvalidArgument, Schema, VecstoreError, connect
from ...fields import Field, Keyword
from .blocking import BlockingVectorStore
from .nodes import SOURCE

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.schema import BaseNode
    from llama_index.core.vector_stores.types import MetadataFilters, VectorStoreQuery, VectorStoreQueryResult


class VecstoreVectorStore(BlockingVectorStore):
    """LlamaIndex's nodes in a vecstore store, which is opened, or created by the first nodes that are added.

    Parameters
    ----------
    place : str or Database
        A URL as `vecstore.connect` takes it, or an open Database, which stays the caller's to close.
    name : str
        Of the store.
    fields : mapping of str to Field
        Of a new store: keys that are typed and faster to filter.
    metric : {"cosine", "ip", "l2"}
        Of a new store.
    embed_model : BaseEmbedding, optional
        The model that makes the embeddings. The store then refuses those of another one.

    Attributes
    ----------
    store : VectorStore
        The store itself, for everything that LlamaIndex has no word for.
    """

    def __init__(
        self,
        place: str | Database,
        name: str,
        *,
        fields: Mapping[str, Field] | None = None,
        metric: str = "cosine",
        embed_model: BaseEmbedding | None = None,
    ) -> None:
        super().__init__()
        self._schema = Schema(metric=metric, fields={SOURCE: Keyword(), **(fields or {})}, dynamic=True)
        if self._schema.fields[SOURCE] != Keyword():
            raise InvalidArgument(f"The field {SOURCE!r} is the source document of a node. Leave it out of fields.")
        self._name, self._embed_model = name, embed_model
        self._database = place if isinstance(place, Database) else connect(place)
        self._opened = None if isinstance(place, Database) else self._database
        try:
            self._find_store()
        except VecstoreError:
            self.close()
            raise

    async def async_add(self, nodes: Sequence[BaseNode]) -> list[str]:  # type: ignore[override]
        """Run `add` in a thread."""
        return await to_thread(self.add, nodes)

    async def adelete(self, ref_doc_id: str) -> None:  # type: ignore[override]
        """Run `delete` in a thread."""
        await to_thread(self.delete, ref_doc_id)

    async def adelete_nodes(  # type: ignore[override]
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> None:
        """Run `delete_nodes` in a thread."""
        await to_thread(self.delete_nodes, node_ids, filters)

    async def aclear(self) -> None:
        """Run `clear` in a thread."""
        await to_thread(self.clear)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Run `get_nodes` in a thread."""
        return await to_thread(self.get_nodes, node_ids, filters)

    async def aquery(  # type: ignore[override]
        self,
        query: VectorStoreQuery,
        *,
        mmr_threshold: float | EllipsisType | None = ...,
        mmr_prefetch_factor: float = 4.0,
        min_score: float | None = None,
        exact: bool = False,
    ) -> VectorStoreQueryResult:
        """Run `query` in a thread."""
        return await to_thread(
            self.query,
            query,
            mmr_threshold=mmr_threshold,
            mmr_prefetch_factor=mmr_prefetch_factor,
            min_score=min_score,
            exact=exact,
        )
