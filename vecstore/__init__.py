"""Vector search in the storage an application already has.

>>> import vecstore
>>> from vecstore import F, Record, Schema, fields
>>> db = vecstore.connect("memory:")
>>> docs = db.create("docs", Schema(dim=2, fields={"lang": fields.Keyword()}))
>>> docs.upsert([Record("a", [1.0, 0.0], "first", {"lang": "en"}), Record("b", [0.0, 1.0], "second", {"lang": "de"})])
2
>>> [hit.id for hit in docs.search([0.9, 0.1], k=1, where=F.lang == "en")]
['a']
"""

import typing as _typing

if _typing.TYPE_CHECKING:
    from . import fields, migrate
    from .backend import Stats, Verification
    from .calibration.recall import Recall
    from .columns import Columns
    from .database import Database, connect
    from .errors import (
        BackendUnavailable,
        DatabaseReplaced,
        DeadLetters,
        DimensionMismatch,
        DuplicateId,
        EmbedderMismatch,
        EmbedderRequired,
        ExtensionMissing,
        ForkedStore,
        IndexNotReady,
        InvalidArgument,
        InvalidFilter,
        InvalidId,
        InvalidMetadata,
        InvalidQuery,
        InvalidUrl,
        InvalidVector,
        MetadataMismatch,
        MigrationRequired,
        MissingExtra,
        ModelDamaged,
        NotFitted,
        PartialWrite,
        RecordExists,
        RecordNotFound,
        SchemaMismatch,
        StorageError,
        StorageFailed,
        StoreChanged,
        StoreCorrupt,
        StoreExists,
        StoreLocked,
        StoreMoved,
        StoreNotFound,
        Timeout,
        UnknownField,
        UnknownItem,
        UnknownOutcome,
        Unsupported,
        VecstoreError,
        WorkerDied,
    )
    from .exports.parquet_export import Exported
    from .filters import ALL, NOTHING, F, Filter
    from .hits import Hit, Hits
    from .index_options import HNSW, Flat, MilvusIndex
    from .index_status import IndexStatus
    from .metadata_keys import MetadataKey
    from .metric import Metric
    from .progress import Progress
    from .rebuild.declaration import Declared
    from .rebuild.switch import Rebuilt
    from .records import Record
    from .schema import Schema
    from .store import VectorStore
    from .swap.results import Copied, Moved
    from .upkeep import UnusedIndexWarning, UpkeepWarning

__version__ = "0.1.0"

__all__ = [
    "ALL",
    "BackendUnavailable",
    "Columns",
    "Copied",
    "Database",
    "DatabaseReplaced",
    "DeadLetters",
    "Declared",
    "DimensionMismatch",
    "DuplicateId",
    "EmbedderMismatch",
    "EmbedderRequired",
    "Exported",
    "ExtensionMissing",
    "F",
    "Filter",
    "Flat",
    "ForkedStore",
    "HNSW",
    "Hit",
    "Hits",
    "IndexNotReady",
    "IndexStatus",
    "InvalidArgument",
    "InvalidFilter",
    "InvalidId",
    "InvalidMetadata",
    "InvalidQuery",
    "InvalidUrl",
    "InvalidVector",
    "MetadataKey",
    "MetadataMismatch",
    "Metric",
    "MigrationRequired",
    "MilvusIndex",
    "MissingExtra",
    "ModelDamaged",
    "Moved",
    "NOTHING",
    "NotFitted",
    "PartialWrite",
    "Progress",
    "Rebuilt",
    "Recall",
    "Record",
    "RecordExists",
    "RecordNotFound",
    "Schema",
    "SchemaMismatch",
    "Stats",
    "StorageError",
    "StorageFailed",
    "StoreChanged",
    "StoreCorrupt",
    "StoreExists",
    "StoreLocked",
    "StoreMoved",
    "StoreNotFound",
    "Timeout",
    "UnknownField",
    "UnknownItem",
    "UnknownOutcome",
    "Unsupported",
    "UnusedIndexWarning",
    "UpkeepWarning",
    "VecstoreError",
    "VectorStore",
    "Verification",
    "WorkerDied",
    "connect",
    "fields",
    "migrate",
]

# Everything is imported on first use, so that importing the package costs an application next to nothing: the module of
# each name that is no error.
_HOMES = {
    "ALL": ".filters",
    "Columns": ".columns",
    "Copied": ".swap.results",
    "Database": ".database",
    "Declared": ".rebuild.declaration",
    "Exported": ".exports.parquet_export",
    "F": ".filters",
    "Filter": ".filters",
    "Flat": ".index_options",
    "HNSW": ".index_options",
    "Hit": ".hits",
    "Hits": ".hits",
    "IndexStatus": ".index_status",
    "MetadataKey": ".metadata_keys",
    "Metric": ".metric",
    "MilvusIndex": ".index_options",
    "Moved": ".swap.results",
    "NOTHING": ".filters",
    "Progress": ".progress",
    "Rebuilt": ".rebuild.switch",
    "Recall": ".calibration.recall",
    "Record": ".records",
    "Schema": ".schema",
    "Stats": ".backend",
    "UnusedIndexWarning": ".upkeep",
    "UpkeepWarning": ".upkeep",
    "VectorStore": ".store",
    "Verification": ".backend",
    "connect": ".database",
}


def __getattr__(name: str) -> object:
    from importlib import import_module
    from importlib.util import find_spec

    if home := _HOMES.get(name):
        found: object = getattr(import_module(home, __name__), name)
    elif not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        found = import_module(f"{__name__}.{name}")
    elif name in __all__:
        found = getattr(import_module(".errors", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
