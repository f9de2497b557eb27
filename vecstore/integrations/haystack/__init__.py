"""Haystack: a document store and its retriever over a vecstore store. They take the extra ``haystack``.

Filters are Haystack's. An operator, a field or a value that has no meaning raises ``FilterError``.
"""

from .retriever import VecstoreEmbeddingRetriever
from .store import VecstoreDocumentStore

__all__ = ["VecstoreDocumentStore", "VecstoreEmbeddingRetriever"]
