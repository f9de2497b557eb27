"""The stores that declarations name, opened or created at their first use."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ..database import Database, connect
from ..embedders.base import Embedder
from ..errors import InvalidArgument, SchemaMismatch, StoreNotFound, close_matches
from ..fields import Field, Keyword
from ..schema import Schema
from ..store import VectorStore
from .chunks import ROW
from .searched_models import SearchedModel

Embedders = Embedder | tuple[Embedder, ...]


class ModelStores:
    """Opens the store of a declaration once. Threads may share it.

    Parameters
    ----------
    places : mapping of str to URL or Database
        By the name of the store.
    embedder : Embedder or tuple of Embedder

    Attributes
    ----------
    newest, oldest : Embedder
        The one that new stores are filled with, and the one of columns that nobody has filled.
    embedders : tuple of Embedder

    Raises
    ------
    InvalidArgument
    """

    def __init__(self, places: Mapping[str, Any], embedder: Embedders, models: Sequence[SearchedModel]) -> None:
        if not isinstance(places, Mapping):
            raise InvalidArgument('stores must be a mapping of names to URLs: stores={"notes": "file:./vectors"}.')
        wanted = [model.declaration.store for model in models if model.declaration.store is not None]
        missing = [name for name in wanted if name not in places]
        if missing:
            raise InvalidArgument(
                f"stores= lacks {', '.join(map(repr, missing))}. Say in which Database that store is."
                f"{close_matches(missing[0], map(str, places))}"
            )
        unknown = [str(name) for name in places if name not in wanted]
        if unknown:
            raise InvalidArgument(
                f"stores= names {', '.join(map(repr, unknown))}, which no model declares with into='store:…'. "
                f"Declared: {', '.join(map(repr, wanted)) or 'none'}."
            )
        given = embedder if isinstance(embedder, tuple) else (embedder,)
        for each in given or (None,):
            if not isinstance(each, Embedder):
                raise InvalidArgument(
                    f"embedder must be an Embedder or a tuple (old, new) of them, not {type(each).__name__}. "
                    "For a function use vecstore.embedders.FunctionEmbedder."
                )
        self._places = dict(places)
        self._embedder = embedder
        self.oldest, self.newest = given[0], given[-1]
        self.embedders = given
        self._lock = threading.Lock()
        self._databases: dict[str, Database] = {}
        self._opened: dict[str, VectorStore] = {}

    def open(self, model: SearchedModel) -> VectorStore:
        """Return the store of a declaration.

        Raises
        ------
        InvalidUrl, StorageError, SchemaMismatch
        """
        name = model.declaration.store
        if name is None:
            raise InvalidArgument(f"{model.label} has its vectors in a column of the table.")
        with self._lock:
            if name not in self._opened:
                self._opened[name] = self._open_or_create(model, name)
            return self._opened[name]

    def close(self) -> None:
        """Close the Databases that were opened here; those that were given stay open."""
        with self._lock:
            for database in self._databases.values():
                database.close()
            self._databases.clear()
            self._opened.clear()

    def _open_or_create(self, model: SearchedModel, name: str) -> VectorStore:
        declared = model.declaration
        database = self._connect(name)
        try:
            store = database.open(name, embedder=self._embedder)
        except StoreNotFound:
            fields: dict[str, Field] = {field.attribute: field.field for field in model.fields}
            if declared.chunk is not None:
                fields[ROW] = Keyword()
            schema = Schema(metric=declared.metric, index=declared.index, fields=fields)
            database.create(name, schema, embedder=self.newest, if_exists="open")
            store = database.open(name, embedder=self._embedder)
        if store.schema.metric != declared.metric:
            raise SchemaMismatch(
                f"{model.label} declares metric={declared.metric.value!r}, but store {name!r} has "
                f"{store.schema.metric.value!r}. Declare that one, or change the store with rebuild()."
            )
        has_chunks = store.schema.fields.get(ROW) == Keyword() and ROW not in declared.fields
        if (declared.chunk is not None) != has_chunks:
            word = "has chunks" if has_chunks else "has none"
            raise SchemaMismatch(
                f"{model.label} declares {'chunks' if declared.chunk else 'no chunk='}, but store {name!r} {word}. "
                "Give the declaration another store: into='store:…', and fill it with vecstore sync backfill."
            )
        return store

    def get_database(self, model: SearchedModel) -> Database:
        """Return the Database that the store of a declaration is in."""
        with self._lock:
            return self._connect(model.declaration.store or "")

    def _connect(self, name: str) -> Database:
        place = self._places[name]
        if isinstance(place, Database):
            return place
        key = str(place)
        if key not in self._databases:
            self._databases[key] = connect(place)
        return self._databases[key]
