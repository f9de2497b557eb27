"""Coming over from other libraries: their collections, tables and indexes become records of a store.

>>> from vecstore.importers import PgvectorTable, import_records
>>> source = PgvectorTable("postgresql://localhost/app", "documents", text="body")
>>> import_records(db, "documents", source, metric="cosine")  # doctest: +SKIP

A source is only read. Each kind of source has a file, which is imported on use, as is the library that it needs.
"""

from __future__ import annotations

import typing as _typing
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from .chroma import ChromaCollection
    from .faiss_index import FaissIndex
    from .imported import Imported, LeftOut
    from .lancedb_table import LancedbTable
    from .langchain_postgres import LangchainPostgres
    from .pgvector import PgvectorTable
    from .qdrant import QdrantCollection
    from .redis_index import RedisIndex
    from .source import ImportSource
    from .transfer import import_records
    from .vecs import VecsCollection

__all__ = [
    "ChromaCollection",
    "FaissIndex",
    "Imported",
    "LancedbTable",
    "LangchainPostgres",
    "LeftOut",
    "PgvectorTable",
    "QdrantCollection",
    "RedisIndex",
    "ImportSource",
    "VecsCollection",
    "import_records",
]

_HOMES = {
    "ChromaCollection": ".chroma",
    "FaissIndex": ".faiss_index",
    "Imported": ".imported",
    "LancedbTable": ".lancedb_table",
    "LangchainPostgres": ".langchain_postgres",
    "LeftOut": ".imported",
    "PgvectorTable": ".pgvector",
    "QdrantCollection": ".qdrant",
    "RedisIndex": ".redis_index",
    "ImportSource": ".source",
    "VecsCollection": ".vecs",
    "import_records": ".transfer",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(_import_module(_HOMES[name], __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
