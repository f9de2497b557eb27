"""LlamaIndex: a vector store over a vecstore store. It takes the extra ``llama-index``.

Filters are LlamaIndex's. A mode that does not exist here, a filter without a meaning and an unknown argument raise.
"""

from .store import VecstoreVectorStore

__all__ = ["VecstoreVectorStore"]
