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

from . import fields
from .backend import Stats, Verification
from .columns import Columns
from .database import Database, connect
from .errors import (
    BackendUnavailable,
    DatabaseReplaced,
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
    MigrationRequired,
    MissingExtra,
    PartialWrite,
    RecordExists,
    RecordNotFound,
    SchemaMismatch,
    StorageError,
    StorageFailed,
    StoreCorrupt,
    StoreExists,
    StoreLocked,
    StoreMoved,
    StoreNotFound,
    Timeout,
    UnknownField,
    UnknownOutcome,
    Unsupported,
    VecstoreError,
)
from .filters import ALL, F, Filter
from .hits import Hit, Hits
from .index_options import HNSW, Flat
from .index_status import IndexStatus
from .metadata_keys import MetadataKey
from .metric import Metric
from .progress import Progress
from .records import Record
from .schema import Schema
from .store import VectorStore
from .upkeep import UnusedIndexWarning, UpkeepWarning

if _typing.TYPE_CHECKING:
    from . import migrate
    from .calibration.recall import Recall
    from .rebuild.switch import Rebuilt

__version__ = "0.1.0"

__all__ = [
    "ALL",
    "BackendUnavailable",
    "Columns",
    "Database",
    "DatabaseReplaced",
    "DimensionMismatch",
    "DuplicateId",
    "EmbedderMismatch",
    "EmbedderRequired",
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
    "Metric",
    "MigrationRequired",
    "MissingExtra",
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
    "StoreCorrupt",
    "StoreExists",
    "StoreLocked",
    "StoreMoved",
    "StoreNotFound",
    "Timeout",
    "UnknownField",
    "UnknownOutcome",
    "Unsupported",
    "UnusedIndexWarning",
    "UpkeepWarning",
    "VecstoreError",
    "VectorStore",
    "Verification",
    "connect",
    "fields",
    "migrate",
]


# What few applications use, by the module that it is in: imported on first use.
_ON_USE = {"Rebuilt": ".rebuild.switch", "Recall": ".calibration.recall", "migrate": ".migrate"}


def __getattr__(name: str) -> object:
    if name not in _ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_ON_USE[name], __name__)
    return module if name == "migrate" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_USE})
