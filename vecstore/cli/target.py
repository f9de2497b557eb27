"""The store that `add` fills: what was asked for, opened or created. A model is loaded only if it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..database import Database
from ..errors import InvalidArgument
from ..fields import Field
from ..index_options import HNSW, IndexOptions
from ..metric import Metric
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .exits import Failure

if TYPE_CHECKING:
    from ..embedders.base import Embedder

from .embedder_choice import check_guess, load_embedder


@dataclass(frozen=True)
class StoreRequest:
    """The properties of the store that `add` has to create; None where the user gave no option."""

    fields: dict[str, Field] = field(default_factory=dict)
    dim: int | None = None
    metric: str | None = None
    dtype: str | None = None
    index: IndexOptions | None = None

    def schema(self) -> Schema:
        """Return the schema of a new store."""
        schema = Schema(self.dim, Metric.COSINE, self.dtype or "float32", self.index or HNSW(), self.fields)
        return replace(schema, metric=self.metric) if self.metric else schema  # type: ignore[arg-type]

    def check(self, store: VectorStore) -> None:
        """Refuse an existing store that differs from the request."""
        schema = store.schema
        asked: list[tuple[str, Any, Any]] = [
            ("dim", self.dim, schema.dim), ("metric", self.metric, schema.metric.value),
            ("dtype", self.dtype, schema.dtype), ("index", self.index, schema.index),
        ]  # fmt: skip
        for name, wanted in self.fields.items():
            stored = schema.fields.get(name)
            asked.append((f"field {name}", wanted.kind, stored.kind if stored else "not declared"))
        for what, wish, fact in asked:
            if wish is not None and wish != fact:
                raise Failure(
                    f"Store {store.name!r} exists, and its {what} is {fact}, not {wish}. "
                    "Leave the option out, or change the store with `vecstore rebuild`."
                )


class Target:
    """The store that `add` fills: opened, or created when the first records are known.

    Parameters
    ----------
    database : Database
    name : str
    wish : StoreRequest
    embedder : str, optional
    says_model : bool
        Whether the user said that the given vectors come from this embedder too.
    """

    def __init__(
        self, database: Database, name: str, wish: StoreRequest, embedder: str | None, *, says_model: bool = False
    ) -> None:
        self._database = database
        self._name = name
        self._request = wish
        self._spec = embedder
        self._says_model = says_model
        self.embedder: Embedder | None = None
        self.store: VectorStore | None = None
        self.created = name not in database.names()
        if not self.created:
            self.store = database.open(name)
            wish.check(self.store)

    @property
    def fields(self) -> dict[str, Field]:
        """Declared fields of the store, even if it is still to be created."""
        return dict(self.store.schema.fields) if self.store else self._request.fields

    def open_for(self, records: Sequence[Record]) -> VectorStore:
        """Return the store, with an embedder if a record has no vector."""
        needs = any(record.vector is None for record in records)
        if needs and self.embedder is None:
            if self.store:
                check_guess(self.store, self._spec)
            self.embedder = load_embedder(self._spec)
            if self.store:
                self.store = self._database.open(self._name, embedder=self.embedder)
        if self.store is None:
            self.store = self._create(records)
        return self.store

    def _create(self, records: Sequence[Record]) -> VectorStore:
        schema = self._request.schema()
        if self.embedder is None and self._says_model:
            self.embedder = load_embedder(self._spec)
        if self.embedder is None and schema.dim is None:
            first: Any = records[0].vector
            try:
                schema = schema.with_dim(len(first))
            except TypeError as error:
                raise InvalidArgument(f"Record {records[0].id!a} has a vector that is not a list.") from error
        return self._database.create(self._name, schema, embedder=self.embedder)
