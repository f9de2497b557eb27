"""Collections of Chroma, in the directory of a ``PersistentClient``. It takes the extra ``chroma``.

Chroma itself reads its files: the graph, in which the vectors are, comes with a pickle in many of its versions, which
is never opened here. It gets a copy of the directory, because it writes into what it opens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, MissingExtra, StorageFailed, close_matches
from ..metric import Metric
from .directory_copy import check_directory, copy_directory
from .imported import Tally
from .source import Contents, ImportSource, Wish
from .source_rows import SourceRows

_METRICS = {"cosine": Metric.COSINE, "ip": Metric.IP, "l2": Metric.L2}
_DATABASE = "chroma.sqlite3"


@dataclass(frozen=True)
class ChromaCollection(ImportSource):
    """A collection of Chroma.

    Parameters
    ----------
    place : str or path
        The directory.
    name : str
        The collection.
    """

    place: str | os.PathLike[str]
    name: str

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"Chroma collection {self.name!a}"

    @contextmanager
    def open(self, wish: Wish, tally: Tally) -> Iterator[Contents]:
        """Open a copy of the directory."""
        chromadb = _import_chromadb()
        directory = check_directory(self.place, _DATABASE, "database of Chroma")
        with copy_directory(directory, _DATABASE) as copied, _connect(chromadb, copied) as client:
            names = [getattr(each, "name", each) for each in client.list_collections()]
            if self.name not in names:
                raise InvalidArgument(f"Chroma has no collection {self.name[:60]!a}.{close_matches(self.name, names)}")
            # None, so that no embedder is made of what is stored about it.
            collection = client.get_collection(self.name, embedding_function=None)
            first = collection.get(limit=1, include=["embeddings"])["embeddings"]
            if first is None or not len(first):
                raise InvalidArgument(f"{self.title} has no records to import.")
            metric = _METRICS.get(_find_space(collection))
            if metric is Metric.COSINE:
                tally.note("Chroma scales vectors of its graph to length 1 under cosine, which changes no score.")
            yield Contents(
                len(first[0]),
                metric,
                collection.count(),
                lambda rows: _read(collection, rows),
            )


def _import_chromadb() -> Any:
    try:
        import chromadb
    except ModuleNotFoundError as error:
        raise MissingExtra("chromadb", "chroma") from error
    return chromadb


@contextmanager
def _connect(chromadb: Any, directory: Path) -> Iterator[Any]:
    try:
        client = chromadb.PersistentClient(str(directory), settings=chromadb.Settings(anonymized_telemetry=False))
        try:
            yield client
        finally:
            if hasattr(client, "close"):
                client.close()
    except chromadb.errors.ChromaError as error:
        raise StorageFailed(
            "Chroma could not read its directory; the cause is above. Does Chroma itself read it?"
        ) from error


def _find_space(collection: Any) -> str:
    """Return how Chroma compares, which is the squared distance unless it is told otherwise."""
    configuration = getattr(collection, "configuration_json", None) or {}
    for part in ("hnsw", "spann"):
        space = (configuration.get(part) or {}).get("space")
        if space:
            return str(space)
    return str((collection.metadata or {}).get("hnsw:space", "l2"))


def _read(collection: Any, rows: int) -> Iterator[SourceRows]:
    start = 0
    while True:
        found = collection.get(limit=rows, offset=start, include=["embeddings", "documents", "metadatas", "uris"])
        if not found["ids"]:
            return
        uris = found.get("uris") or [None] * len(found["ids"])
        metadata = {"uri": uris} if any(uri is not None for uri in uris) else {}
        yield SourceRows(found["ids"], list(found["embeddings"]), found["documents"], metadata, found["metadatas"])
        start += len(found["ids"])
