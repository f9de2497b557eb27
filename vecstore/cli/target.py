"""The store that `add` fills: what was asked for, opened or created. A model is loaded only if it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..database import Database
from ..errors import InvalidArgument, StoreExists
from ..fields import Field
from ..filled_store import create_filled
from ..index_options import IndexOptions
from ..progress import Progress
from ..records import Record
from ..rows.conversion import needs_embedding
from ..schema import Schema
from ..store import VectorStore
from .declarations import spell_index
from .embedder_choice import check_claim, check_guess, load_embedder
from .exits import Failure
from .export_header import ExportHeader, check_embedder, check_existing
from .sources import DOCUMENT_FIELDS
from .vector_columns import VectorFit

if TYPE_CHECKING:
    from ..embedders.base import Embedder

_NOT_DECLARED = "not declared"
_PARTITIONS = "number of partitions"


@dataclass(frozen=True)
class StoreRequest:
    """The properties of the store that `add` has to create; None where the user gave no option.

    ``origin`` is the exported store that it is made like, and ``documents`` adds the fields of documents.
    """

    fields: dict[str, Field] = field(default_factory=dict)
    dim: int | None = None
    metric: str | None = None
    dtype: str | None = None
    vectors: str | None = None
    index: IndexOptions | None = None
    origin: ExportHeader | None = None
    documents: bool = False
    dynamic: bool | None = None
    partitions: int | None = None

    def schema(self) -> Schema:
        """Return the schema of a new store."""
        base = self.origin.store_schema if self.origin else Schema()
        given = {
            "dim": self.dim, "metric": self.metric, "dtype": self.dtype, "vectors": self.vectors, "index": self.index,
            "dynamic": self.dynamic, "partitions": self.partitions,
        }  # fmt: skip
        documents = DOCUMENT_FIELDS if self.documents else {}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        return replace(base, **changes, fields={**documents, **base.fields, **self.fields})

    def check(self, store: VectorStore) -> None:
        """Refuse an existing store that differs from the request."""
        self.schema()  # refuses what no store can have
        for what, wish, fact in self._compare(store.schema):
            raise Failure(
                f"Store {store.name!r} exists, and its {what} is {fact}, not {wish}. "
                f"Leave the option out, or {self._advise(what)}."
            )

    def _advise(self, what: str) -> str:
        """Say what makes an existing store as it was asked for."""
        if what == "index" and self.index is not None:
            return f"change the index with `vecstore reindex` and --index {spell_index(self.index)}"
        if what == "dim":  # which is the model's
            return "give a store of another name"
        option = {
            "metric": f"--metric {self.metric}", "dtype": f"--dtype {self.dtype}",
            "vectors": f"--vectors {self.vectors}", "option dynamic": "--dynamic" if self.dynamic else "--no-dynamic",
            _PARTITIONS: f"--partitions {self.partitions}",
        }.get(what)  # fmt: skip
        name = what.removeprefix("field ")
        return f"change the store with `vecstore rebuild` and {option or f'--field {name}:{self.fields[name].kind}'}"

    def check_origin(self) -> None:
        """Refuse options that differ from the exported store."""
        if self.origin is None:
            return
        for what, wish, fact in self._compare(self.origin.store_schema):
            if fact not in {None, _NOT_DECLARED} and what != _PARTITIONS:  # which no export has
                raise Failure(
                    f"{self.origin.place} was exported from a store whose {what} is {fact}, not {wish}. "
                    "Leave the option out, and change the new store with `vecstore rebuild` or `vecstore reindex`."
                )

    def _compare(self, schema: Schema) -> Iterator[tuple[str, Any, Any]]:
        """Yield each option that differs from a schema: what it is, the wish and the fact."""
        asked: list[tuple[str, Any, Any]] = [
            ("dim", self.dim, schema.dim), ("metric", self.metric, schema.metric.value),
            ("dtype", self.dtype, schema.dtype), ("vectors", self.vectors, schema.vectors),
            ("index", self.index, schema.index), ("option dynamic", self.dynamic, schema.dynamic),
            (_PARTITIONS, self.partitions, schema.partitions),
        ]  # fmt: skip
        for name, wanted in self.fields.items():
            stored = schema.fields.get(name)
            asked.append((f"field {name}", wanted.kind, stored.kind if stored else _NOT_DECLARED))
        return ((what, wish, fact) for what, wish, fact in asked if wish is not None and wish != fact)


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
    claim : bool
        Whether the user said that the vectors in an existing store come from this embedder.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        wish: StoreRequest,
        embedder: str | None,
        *,
        says_model: bool = False,
        claim: bool = False,
    ) -> None:
        self._database = database
        self._name = name
        self._request = wish
        self._spec = embedder
        self._says_model = says_model
        self._claim = claim
        self.embedder: Embedder | None = None
        self.store: VectorStore | None = None
        self.created = False
        self.notes: list[str] = []
        if name in database.names():
            self.store = database.open(name)
            wish.check(self.store)
            self.notes += check_existing(self.store, wish.origin) if wish.origin else []
        else:
            wish.check_origin()

    @property
    def fields(self) -> dict[str, Field]:
        """Declared fields of the store, even if it is still to be created."""
        return dict(self.store.schema.fields if self.store else self._request.schema().fields)

    @property
    def vector_fit(self) -> VectorFit:
        """Which vectors are taken from a column that nobody named."""
        schema = self.store.schema if self.store else self._request.schema()
        optional = schema.has_optional_vectors
        if self.store and self.store.embedder_config is not None:
            obstacle = f"store {self._name!r} has vectors of the model that embeds its texts"
            return VectorFit(obstacle=obstacle, optional=optional)
        if self._says_model or self._claim:
            return VectorFit(obstacle="--embedder says that texts are embedded", optional=optional)
        return VectorFit(self.store.schema.dim if self.store else self._request.dim, optional=optional)

    def prepare(self, records: Sequence[Record]) -> Schema:
        """Load the embedder if a text is to be embedded, and return the schema that the records must fit.

        Raises
        ------
        Failure
            The model that made vectors is not known, and would be guessed.
        """
        bare = [needs_embedding(record) for record in records]
        if (any(bare) or self._claim) and self.embedder is None:
            if self.store:
                check_guess(self.store, self._spec, writes=True)
            elif any(bare) and not self._says_model:
                self._refuse_guess(given=any(record.vector is not None for record in records))
            embedder = self._load_embedder()
            if self.store:
                self.store = self._database.open(self._name, embedder=embedder)
                check_claim(self.store, embedder, claim=self._claim)
        return self.store.schema if self.store else self._choose_schema(records)

    def _refuse_guess(self, *, given: bool) -> None:
        origin = self._request.origin
        if origin and not origin.identity:
            raise Failure(
                f"{origin.place} was exported from a store that was filled with vectors, and the model that made "
                "them is not known. Name it with --embedder."
            )
        if given:
            raise Failure(
                "Some records have a vector and others only a text: name the model of the vectors with --embedder, "
                "or add the two kinds to stores of their own."
            )

    def get_store(self) -> VectorStore:
        """Return the store, which must exist."""
        if self.store is None:
            raise RuntimeError("the store was not created")
        return self.store

    def create(self, schema: Schema, records: Sequence[Record], on_progress: Progress | None = None) -> bool:
        """Create the store with its first records. Return False if another process created one meanwhile.

        The store gets its name when it holds the records. So a failure or an interrupt leaves nothing, and what
        is removed then has never been seen by another process.
        """
        identity = self._request.origin.identity if self._request.origin else None
        try:
            create_filled(
                self._database,
                self._name,
                schema,
                lambda store: store.upsert(records, batch_size=len(records), on_progress=on_progress),
                embedder=None if identity else self.embedder,
                identity=identity,
                on_progress=on_progress,
            )
        except StoreExists:
            self.store = self._database.open(self._name, embedder=self.embedder)
            self._request.check(self.store)
            return False
        self.store, self.created = self._database.open(self._name, embedder=self.embedder), True
        return True

    def create_empty(self) -> None:
        """Create the store of an export that has no records, as it was."""
        origin = self._request.origin
        if self.store is None and origin and origin.store_schema.dim is not None:
            self.store = self._database.create(self._name, self._request.schema(), identity=origin.identity)
            self.created = True

    def _load_embedder(self) -> Embedder:
        self.embedder = load_embedder(self._spec)
        if self.store is None and self._request.origin:
            check_embedder(self._request.origin, self.embedder)
        return self.embedder

    def _choose_schema(self, records: Sequence[Record]) -> Schema:
        schema = self._request.schema()
        if self.embedder is None and self._says_model:
            self._load_embedder()
        if self.embedder is not None and schema.dim not in {None, self.embedder.dim}:
            wish = f"--dim is {schema.dim}" if self._request.dim else f"The vectors have {schema.dim} dimensions"
            raise Failure(f"{wish}, and the model makes {self.embedder.dim}. Leave --dim out, or name another model.")
        if schema.dim is not None:
            return schema
        if self.embedder is not None:
            return schema.with_dim(self.embedder.dim)
        dim = next((len(each) for record in records if isinstance(each := record.vector, Sized) and len(each)), None)
        if dim is None:
            if all(record.vector is None for record in records):
                raise Failure("No record has a vector yet, so nothing says how long vectors are. Give --dim.")
            raise InvalidArgument(f"Record {records[0].id!a} has a vector that is not a list.")
        return schema.with_dim(dim)
