"""`import_records`: fills a store from a source, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns.given import Columns
from ..database import Database
from ..errors import EmbedderMismatch, InvalidArgument, PartialWrite, SchemaMismatch, StoreExists
from ..fields import Field
from ..filled_store import create_filled
from ..index_options import IndexOptions
from ..metric import Metric
from ..names import check_name
from ..progress import Progress, report_to
from ..schema import Schema
from ..store import VectorStore
from .faults import find_faults
from .imported import Imported, Tally
from .model_check import check_model
from .source import Contents, ImportSource, Wish
from .source_rows import make_columns, take_rows

if TYPE_CHECKING:
    from ..embedders.base import Embedder

_ROWS = 5_000
_BYTES = 16 << 20
"""Of the vectors of a piece."""
_NO_VECTOR = "it has no vector; vectors='optional' (--vectors optional) keeps such records"


def import_records(
    database: Database,
    name: str,
    source: ImportSource,
    *,
    metric: Metric | str | None = None,
    dim: int | None = None,
    dtype: str | None = None,
    vectors: str | None = None,
    fields: Mapping[str, Field] | None = None,
    dynamic: bool | None = None,
    index: IndexOptions | None = None,
    embedder: Embedder | None = None,
    on_progress: Progress | None = None,
) -> Imported:
    """Copy the records of another library into a store, which is created if it is new.

    A record that is stored already is replaced, so that a repeated or interrupted import can simply be run again.
    The source is only read. A new store gets its name when it holds the first records.

    Parameters
    ----------
    database : Database
    name : str
        Of the store.
    source : ImportSource
        Such as `PgvectorTable`.
    metric : {"cosine", "ip", "l2"}, optional
        By default that of the source, if it says one.
    dim : int, optional
        Take only vectors of this length; needed where the source has several.
    dtype : {"float32", "float16"}, optional
        Of a new store; by default that of the source.
    vectors : {"required", "optional"}, optional
        ``"optional"`` keeps records without a vector.
    fields : mapping of str to Field, optional
        Declared fields of a new store.
    dynamic : bool, optional
        Whether filters on a new store can use any metadata key; by default they can.
    index : IndexOptions, optional
        Of a new store.
    embedder : Embedder, optional
        The one that made the vectors, so that the store refuses another one and takes texts. Records without a vector
        get one from their text.
    on_progress : callable, optional
        Called as ``on_progress(phase, done, total)``; see `Progress`.

    Returns
    -------
    Imported

    Raises
    ------
    InvalidArgument
        The source is not there, its columns have to be named, it has no vectors, or it does not say its metric.
        Nothing was created.
    SchemaMismatch, EmbedderMismatch
        The store exists, and these records do not fit it.
    InvalidUrl, MissingExtra, StorageError
    """
    began = time.monotonic()
    check_name(name, "Store")
    if not isinstance(database, Database):
        raise InvalidArgument(
            f"database must be a Database, not {type(database).__name__}. Give vecstore.connect(url)."
        )
    if not isinstance(source, ImportSource):
        raise InvalidArgument(f"source must be one of vecstore.importers, not {type(source).__name__}.")
    database.capabilities.check_writable()
    given = {
        "metric": metric, "dim": dim, "dtype": dtype, "vectors": vectors, "dynamic": dynamic, "index": index,
        "fields": None if fields is None else dict(fields),
    }  # fmt: skip
    asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    Schema(**asked)  # refuses what no store can have
    tally = Tally()
    with report_to(on_progress) as report:
        filling = _Filling(database, name, asked, embedder, tally, report)
        with source.open(Wish(filling.dim, filling.fields), tally) as contents:
            schema = filling.check(source, contents)
            filling.fill(source, contents, schema)
    return Imported(
        name, filling.created, filling.done, schema.width, schema.metric, tally.left_out, tally.notes,
        time.monotonic() - began,
    )  # fmt: skip


class _Filling:
    """The store that an import fills: opened, or created when the first sound records are known."""

    def __init__(
        self,
        database: Database,
        name: str,
        asked: Mapping[str, Any],
        embedder: Embedder | None,
        tally: Tally,
        report: Progress | None,
    ) -> None:
        self._database, self._name, self._asked, self._embedder = database, name, asked, embedder
        self._tally, self._report = tally, report
        self.created = False
        self.done = 0
        self._store = self._open() if name in database.names() else None

    @property
    def dim(self) -> int | None:
        """The dimension that vectors must have, if that is known before the source is."""
        return self._asked.get("dim") if self._store is None else self._store.schema.width

    @property
    def fields(self) -> Mapping[str, Field]:
        """Declared fields."""
        return self._asked.get("fields", {}) if self._store is None else self._store.schema.fields

    def check(self, source: ImportSource, contents: Contents) -> Schema:
        """Return the schema of the store, into which the contents fit.

        Raises
        ------
        InvalidArgument, SchemaMismatch, EmbedderMismatch, Unsupported
        """
        if self._asked.get("dim", contents.dim) != contents.dim:
            raise InvalidArgument(
                f"{source.title} has vectors of {contents.dim} dimensions, not {self._asked['dim']}. "
                "Leave dim out (--dim)."
            )
        metric = self._asked.get("metric", contents.metric)
        if metric is None:
            raise InvalidArgument(
                f"{source.title} does not say by which metric it is searched{contents.asking}. "
                "Give metric='cosine', 'ip' or 'l2' (--metric)."
            )
        if contents.metric not in {None, Metric(metric)}:
            self._tally.note(f"{source.title} is searched by {contents.metric}; the store compares by {metric}.")
        wanted = Schema(
            **{"dtype": contents.dtype, "dynamic": True, **self._asked, "dim": contents.dim, "metric": metric}
        )
        if self._embedder is not None and self._embedder.dim != wanted.dim:
            raise EmbedderMismatch(
                f"{source.title} has vectors of {wanted.dim} dimensions, and the embedder makes {self._embedder.dim}. "
                "Give the embedder that made them, or leave it out."
            )
        if self._store is None:
            self._database.capabilities.check_schema(wanted)
            return wanted
        self._check_existing(self._store, source, wanted)
        return self._store.schema

    def fill(self, source: ImportSource, contents: Contents, schema: Schema) -> None:
        """Write all records that can be stored."""
        rows = max(1, min(_ROWS, _BYTES // (schema.width * np.dtype(schema.dtype).itemsize)))
        pieces = self._read_pieces(source, contents, schema, rows)
        if self._store is None:
            for piece in pieces:
                first = self._leave_out_faults(piece, schema)
                if len(first):
                    self._create(schema, first)
                    break
            else:
                return
            self._tell(len(first), contents.count)
        store = self._open() if self._store is None else self._store
        with store.loading(self._report):
            for piece in pieces:
                self._tell(self._write(store, piece), contents.count)

    def _open(self) -> VectorStore:
        return self._database.open(self._name, embedder=self._embedder)

    def _check_existing(self, store: VectorStore, source: ImportSource, wanted: Schema) -> None:
        schema = store.schema
        asked = {"dim", "metric", *self._asked} - {"index"}
        for what in sorted(asked - {"fields"}):
            wish, fact = getattr(wanted, what), getattr(schema, what)
            if wish != fact:
                keep = f", or give metric={fact.value!r}" if what == "metric" else ""
                raise SchemaMismatch(
                    f"Store {store.name!r} exists with {what} {fact}, and for {source.title} it would be {wish}. "
                    f"Import into a store of another name{keep}."
                )
        for name, wish in self._asked.get("fields", {}).items():
            fact = schema.fields.get(name)
            if fact != wish:
                raise SchemaMismatch(
                    f"Store {store.name!r} exists, and its field {name} is {fact or 'not declared'}, not {wish}. "
                    "Leave the field out, or import into a store of another name."
                )
        if self._embedder is not None:
            store.check_embedder()
        elif (config := store.embedder_config) is not None:
            raise EmbedderMismatch(
                f"Store {store.name!r} has vectors of the model {str(config.get('model'))!a:.80}, and nothing says "
                f"which one made those of {source.title}. If it is the same, give it as embedder=…; otherwise import "
                "into a store of another name."
            )

    def _read_pieces(self, source: ImportSource, contents: Contents, schema: Schema, rows: int) -> Iterator[Columns]:
        """Yield the records that have a vector, or may do without."""
        for number, piece in enumerate(contents.read(rows)):
            columns = make_columns(piece, schema.fields, self._tally)
            if not number and self._embedder is not None:
                check_model(columns, self._embedder, source.title)
            if schema.has_optional_vectors:
                yield columns
                continue
            texts = columns.texts if self._embedder is not None and columns.texts is not None else None
            bare = {
                place
                for place, vector in enumerate(columns.vectors)
                if vector is None and (texts is None or texts[place] is None)
            }
            for place in sorted(bare):
                self._tally.leave_out(_NO_VECTOR, columns.ids[place])
            yield _drop(columns, bare)

    def _leave_out_faults(self, columns: Columns, schema: Schema) -> Columns:
        faults = dict(find_faults(columns, schema))
        for place, reason in faults.items():
            self._tally.leave_out(reason, columns.ids[place])
        return _drop(columns, faults)

    def _create(self, schema: Schema, first: Columns) -> None:
        try:
            create_filled(
                self._database, self._name, schema, lambda store: store.upsert(first), embedder=self._embedder
            )
            self.created = True
        except StoreExists as error:  # another process made one meanwhile
            raise SchemaMismatch(
                f"Store {self._name!r} was made by somebody else while this import began. Run it again to add to it."
            ) from error

    def _write(self, store: VectorStore, piece: Columns) -> int:
        try:
            return store.upsert(piece, batch_size=max(1, len(piece))) if len(piece) else 0
        except (InvalidArgument, PartialWrite) as error:
            if isinstance(error, PartialWrite) and not isinstance(error.__cause__, InvalidArgument):
                raise
            sound = self._leave_out_faults(piece, store.schema)
            if len(sound) == len(piece):
                raise
            return store.upsert(sound) if len(sound) else 0

    def _tell(self, done: int, total: int | None) -> None:
        self.done += done
        if self._report is not None:
            self._report("copying", self.done, total)


def _drop(columns: Columns, places: Mapping[int, str] | set[int]) -> Columns:
    if not places:
        return columns
    return take_rows(columns, [place for place in range(len(columns)) if place not in places])
