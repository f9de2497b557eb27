"""`VectorStore`: validate, embed, ask capabilities, delegate, order."""

# Longer than 300 lines because the main public class is documented here in full.

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import check_whole
from .backend import Backend, Entry, Generation, Include, Rows, Stats, Verification
from .columns.given import ArrowStream, Columns
from .embedders.identity import Identity
from .errors import InvalidArgument, InvalidQuery, PartialWrite, RecordNotFound, StoreMoved, VecstoreError
from .filters.binding import bind, find_field
from .hits import Hits, make_hits
from .ids import check_id, check_ids
from .incoming import Batch, convert, count_rows, cut, needs_embedder
from .index_options import IndexOptions
from .index_status import IndexStatus, read_index_status
from .loading import Loading
from .logs import log_duration
from .lookup import CurrentEntry
from .metadata_keys import MetadataKey, read_keys, read_values
from .one_process import OneProcess
from .progress import Progress, report_to
from .queries import (
    DEFAULT_INCLUDE,
    check_arguments,
    check_include,
    clip_threshold,
    compile_search,
    describe_plan,
    read_plain_query,
)
from .query_items import QueryItem, check_known, choose_queries, choose_query, find_items
from .query_texts import check_query_texts
from .records import Record
from .retries import Attempts
from .route import Route
from .rows.conversion import as_records
from .rows.vectors import as_queries, name_queries
from .schema import Schema
from .selection import Where, make_selection
from .store_embedder import StoreEmbedder
from .turnstile import Turn
from .updates import KEEP, Keep, collect_changes, compile_update
from .upkeep import IndexCalibration, tend

if TYPE_CHECKING:
    from .calibration.recall import Recall
    from .columns.arrow_output import RecordBatchReader
    from .database import Database
    from .embedders.base import Embedder
    from .exports.parquet_export import Exported
    from .swap.results import Copied, Moved

PAGE = 1_000
ALL_PARTS = ("text", "metadata", "vector")
LARGEST_PAGE = 1_000_000
MAX_QUERIES = 1_000_000


class VectorStore(OneProcess):
    """One named, typed collection of records. `Database.create` and `Database.open` return it.

    Threads may share it. A call is validated completely before anything is read or written, and every error
    is a `VecstoreError`.
    """

    def __init__(self, backend: Backend, entry: Entry, embedder: StoreEmbedder, route: Route | None = None) -> None:
        self._current = CurrentEntry(backend, entry, Route(backend) if route is None else route)
        self._embedder = embedder
        self._loading = Loading()

    def __repr__(self) -> str:
        schema = self.schema
        return f"<VectorStore {self.name!r} dim={schema.dim} {schema.metric} on {self._backend.capabilities.backend}>"

    @property
    def _backend(self) -> Backend:
        return self._current.backend

    @property
    def name(self) -> str:
        """The store's name when it was last looked up."""
        return self._current.entry.name

    @property
    def schema(self) -> Schema:
        """The schema of the active generation when it was last looked up."""
        return self._current.entry.active.schema

    @property
    def embedder_config(self) -> Mapping[str, Any] | None:
        """The config of the embedder that filled the store; None if all vectors were given."""
        identity = self.embedder_identity
        return None if identity is None else identity.config

    @property
    def embedder_identity(self) -> Identity | None:
        """The identity of the embedder that filled the store; None if all vectors were given."""
        identity = self._current.entry.active.identity
        return None if identity is None else Identity.from_json(identity)

    # -- writing

    def insert(
        self,
        records: Iterable[Record | Mapping[str, Any]] | Columns | ArrowStream,
        *,
        batch_size: int | None = None,
        on_progress: Progress | None = None,
    ) -> int:
        """Write new records; see `upsert`.

        Raises
        ------
        RecordExists
            An id is already stored, or was in an earlier batch. Nothing of its batch is written.
        DuplicateId
            An id appears twice in one batch, of which nothing is written.
        """
        with report_to(on_progress) as report:
            written = self._write(records, batch_size, report, insert=True)
            tend(self._current, self._loading.defer(written), report)
        return written

    def upsert(
        self,
        records: Iterable[Record | Mapping[str, Any]] | Columns | ArrowStream,
        *,
        batch_size: int | None = None,
        on_progress: Progress | None = None,
    ) -> int:
        """Write records; a stored record with the same id is replaced as a whole.

        If an id appears more than once, its last record is stored, in whatever batches they are.

        Parameters
        ----------
        records : iterable of Record or mapping, Columns, or a table that hands over Arrow columns
            Consumed once, in constant memory, so a generator of millions is fine. A record without a vector
            is embedded from its item or text; see `Record` for those that stay without. A mapping has the keys ``id``,
            ``vector``, ``text``, ``metadata``, ``embed`` and ``item``; all but ``id`` may be left out. A table is any
            object with ``__arrow_c_stream__``, such as those of pyarrow, pandas, polars and DuckDB: the columns ``id``,
            ``vector`` (lists of numbers) and ``text``, each further one a key of metadata; a column ``metadata`` of
            objects or of their JSON texts holds several keys. It takes the extra ``parquet``. For numpy, see `Columns`.
        batch_size : int, optional
            Records per atomic commit. By default 5,000 records, 10,000 rows of columns, or 16 MiB if that comes first.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)`` after each batch, and while the call builds the index; see
            `Progress`.

        Returns
        -------
        int
            Records taken; all records of an id count.

        Raises
        ------
        InvalidId, InvalidVector, DimensionMismatch, InvalidMetadata, EmbedderRequired, EmbedderMismatch
            Nothing of the batch is written.
        PartialWrite
            The same errors, or an error of the storage, after earlier batches were committed.
        """
        with report_to(on_progress) as report:
            written = self._write(records, batch_size, report, insert=False)
            tend(self._current, self._loading.defer(written), report)
        return written

    def update(
        self,
        *,
        ids: Iterable[str] | None = None,
        where: Where = None,
        metadata: Mapping[str, Any] | None = None,
        text: str | Keep | None = KEEP,
        vector: ArrayLike | Keep | None = KEEP,
        unset: Iterable[str] = (),
        set: None = None,
    ) -> int:
        """Change parts of the selected records, in one atomic commit.

        Parameters
        ----------
        ids : iterable of str, optional
        where : Filter or mapping, optional
            Give either ``ids`` or ``where``; ``where=vecstore.ALL`` selects every record.
        metadata : mapping, optional
            Declared and undeclared metadata keys with their new values; other keys stay. None removes a key. A key
            may have any name, also ``text`` or ``vector``, which has nothing to do with the parameters below.
        text : str, optional
            The new text; None removes it. A new text without a new vector is embedded, if the vectors come from texts:
            where they come from other items, the vector stays. Of a blank text no vector can be made; where vectors are
            optional the record then has none.
        vector : array_like, shape (dim,), optional
            The new vector; None removes it where the schema has ``vectors="optional"``.
        unset : iterable of str
            Metadata keys to remove.
        set : None
            No longer in use; an argument is refused with the new spelling.

        Returns
        -------
        int
            Records changed. Ids that do not exist are not counted.

        Raises
        ------
        InvalidArgument, InvalidMetadata, InvalidVector, DimensionMismatch, InvalidFilter, UnknownField
        EmbedderRequired, EmbedderMismatch
            For a new text without a vector.
        """
        self._check_writable()
        changes = collect_changes(metadata, text, vector, unset, set)
        listed = None if ids is None else check_ids(ids)
        attempts = Attempts(self._current, "update")
        while True:
            with attempts as generation:
                selection = make_selection(listed, where, generation.schema)
                changed = self._current.backend.update(
                    generation, selection, compile_update(changes, generation, self._current, self._embedder)
                )
                attempts.rows = changed
                break
        tend(self._current, self._loading.defer(changed))
        return changed

    def delete(self, *, ids: Iterable[str] | None = None, where: Where = None) -> int:
        """Delete the selected records in one atomic commit, and return how many there were.

        Parameters
        ----------
        ids : iterable of str, optional
        where : Filter or mapping, optional
            Give either ``ids`` or ``where``; ``where=vecstore.ALL`` selects every record.
        """
        self._check_writable()
        listed = None if ids is None else check_ids(ids)
        attempts = Attempts(self._current, "delete")
        while True:
            with attempts as generation:
                deleted = self._current.backend.delete(generation, make_selection(listed, where, generation.schema))
                attempts.rows = deleted
                break
        tend(self._current, self._loading.defer(deleted))
        return deleted

    @contextmanager
    def loading(self, on_progress: Progress | None = None) -> Iterator[None]:
        """Leave the upkeep of all writes in a ``with`` block to its end: an index is built or extended once.

        Every write in the block is committed and found at once, as ever; searches compare what is not in the index
        yet one by one. The upkeep comes when the block ends, also after an error. An interrupt skips it, and the next
        write makes up for it. Blocks may be nested, and threads may write through the same object inside: the last
        block that ends does the upkeep. A task that writes with `upsert` may be run again as a whole.

        Parameters
        ----------
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)`` by the upkeep; see `Progress`.
        """
        self._check_writable()
        with report_to(on_progress) as report:
            self._loading.enter()
            is_interrupted = False
            try:
                yield
            except (KeyboardInterrupt, SystemExit):
                is_interrupted = True
                raise
            finally:
                changed = self._loading.leave()
                if not is_interrupted:
                    tend(self._current, changed, report, stacklevel=4)

    # -- reading

    def get(self, ids: Iterable[str]) -> list[Record | None]:
        """Return the records with these ids, in the same order; None for an id that does not exist."""
        listed = check_ids(ids)
        found: dict[str, Record] = {}
        for start in range(0, len(listed), PAGE):
            found.update((record.id, record) for record in self._fetch(listed[start : start + PAGE]))
        return [found.get(id_) for id_ in listed]

    def scan(
        self,
        where: Where = None,
        *,
        include: Collection[str] = ALL_PARTS,
        limit: int | None = None,
        batch_size: int = PAGE,
    ) -> Iterator[Record]:
        """Iterate over the matching records in the order of their ids, page by page.

        A record that is present throughout appears exactly once. Concurrent changes may or may not appear.

        Parameters
        ----------
        where : Filter or mapping, optional
        include : collection of {"text", "metadata", "vector"}
            The parts to read. The others are missing from the records, whether or not they are stored: None, or
            empty metadata. ``include=()`` reads ids alone.
        limit : int, optional
            Stop after that many records.
        batch_size : int
            Records per page.

        Raises
        ------
        InvalidArgument, InvalidFilter, UnknownField
        """
        batch_size = min(check_whole("batch_size", batch_size), LARGEST_PAGE)
        most = None if limit is None else check_whole("limit", limit, 0)
        columns = check_include(include)
        attempts = Attempts(self._current, "scan")
        while True:
            with attempts as generation:
                bind(where, generation.schema)
                return self._read_pages(where, columns, most, batch_size)

    def scan_arrow(
        self, where: Where = None, *, include: Collection[str] = ALL_PARTS, batch_size: int = PAGE
    ) -> RecordBatchReader:
        """Return the matching records in the order of their ids as a stream of Arrow batches, in constant memory.

        The columns are ``id``, ``vector``, ``text``, each declared field in its type (dates in UTC), and
        ``metadata``, a JSON object of all other keys, null where there are none. `upsert` takes them as they are.
        It takes the extra ``parquet``.

        Parameters
        ----------
        where : Filter or mapping, optional
        include : collection of {"text", "metadata", "vector"}
            The columns beside ``id``.
        batch_size : int
            Records per batch.

        Returns
        -------
        pyarrow.RecordBatchReader
            Concurrent changes may or may not appear. Another schema, after a rebuild, is `SchemaMismatch`.

        Raises
        ------
        InvalidArgument, InvalidFilter, UnknownField, MissingExtra
        """
        from .columns.arrow_output import make_reader

        batch_size = min(check_whole("batch_size", batch_size), LARGEST_PAGE)
        columns = check_include(include)
        attempts = Attempts(self._current, "scan_arrow")
        while True:
            with attempts as generation:
                bind(where, generation.schema)
                present = self._current.read_active(generation)
                return make_reader(present.schema, columns, self._read_parts(where, columns, batch_size))

    def count(self, where: Where = None) -> int:
        """Return how many records match."""
        attempts = Attempts(self._current, "count")
        while True:
            with attempts as generation:
                attempts.rows = self._current.backend.count(generation, bind(where, generation.schema))
                return attempts.rows

    def digest(self, where: Where = None) -> str:
        """Return the digest of the matching records: 64 hex digits, the same for the same records on every backend.

        Every part of a record counts: its id, vector, text, metadata and version, and the dtype; the name and the index
        of the store do not. All records are read, in constant memory. The module `vecstore.digest` says what is
        computed. It detects accidents, not an adversary.

        Parameters
        ----------
        where : Filter or mapping, optional

        Returns
        -------
        str
            Of a store that is written meanwhile, it need not be the digest of any one moment.

        Raises
        ------
        InvalidFilter, UnknownField
        """
        from .digest import digest_generation

        attempts = Attempts(self._current, "digest")
        while True:
            with attempts as generation:
                found = digest_generation(self._backend, generation, bind(where, generation.schema))
                attempts.rows = found.records
                return str(found)

    def export(
        self,
        file: str | os.PathLike[str] | IO[bytes],
        where: Where = None,
        *,
        vectors: bool = True,
        describe: bool = True,
        overwrite: bool = False,
        on_progress: Progress | None = None,
    ) -> Exported:
        """Write the matching records to a Parquet file, of which `Database.create_from` makes the same store.

        The columns are ``id``, ``text``, ``vector``, each declared field in its type (dates in UTC), ``metadata``, a
        JSON object of all other keys, and ``_version``. The metadata of the file hold the schema, the embedder's
        identity, and the digest of what was written. It takes the extra ``parquet``.

        Parameters
        ----------
        file : str, path or binary file
            A path gets its file when that is complete, so an interrupted export leaves none. A binary file need not be
            seekable.
        where : Filter or mapping, optional
        vectors : bool
        describe : bool
            False leaves out what only vecstore needs: the description and the versions.
        overwrite : bool
            Replace a file that exists.
        on_progress : callable, optional
            Called as ``on_progress("writing", done, total)`` after each page.

        Returns
        -------
        Exported

        Raises
        ------
        InvalidArgument, InvalidFilter, UnknownField, MissingExtra, StorageFailed
        SchemaMismatch
            The store was rebuilt meanwhile. Export again.
        """
        from .exports.output_file import check_path, open_output
        from .exports.parquet_export import write_parquet

        target: AbstractContextManager[IO[bytes]]
        if isinstance(file, str | os.PathLike) or not hasattr(file, "write"):
            target = open_output(check_path(file), overwrite=overwrite)
        else:
            target = nullcontext(file)
        with report_to(on_progress) as report:
            entry = self._current.look_up()
            condition = bind(where, entry.active.schema)
            with target as stream:
                return write_parquet(
                    self._backend, entry, condition, stream, vectors=vectors, describe=describe, report=report
                )

    def values(self, field: str, where: Where = None, *, limit: int | None = None) -> list[tuple[Any, int]]:
        """Return the values of a field with the number of records that have each.

        The largest count comes first, equal counts are in the order of the values. Of `Keywords` each element is a
        value, which counts once for a record. So a count is always that of ``count(where & (F[field] == value))``, or
        of ``contains``.

        Parameters
        ----------
        field : str
            A declared field. With ``Schema(dynamic=True)`` also any other key: strings, numbers and bools under it, or
            in a list there. For these all metadata is read, and of equal counts bools come first, then numbers, then
            strings.
        where : Filter or mapping, optional
            Count matching records only.
        limit : int, optional
            Return that many of the first values.

        Raises
        ------
        UnknownField, InvalidArgument, InvalidFilter
        """
        most = None if limit is None else check_whole("limit", limit, 0)
        if not isinstance(field, str):
            raise InvalidArgument(f"values() takes the name of a field, such as 'lang', not {type(field).__name__}.")
        attempts = Attempts(self._current, "values")
        while True:
            with attempts as generation:
                declared, bound = find_field(field, generation.schema), bind(where, generation.schema)
                if most == 0:
                    return []
                if declared is None:
                    return read_values(self._backend, generation, field, bound, most)
                found = self._current.backend.values(generation, field, bound, most)
                attempts.rows = len(found)
                return [(declared.decode_item(value), count) for value, count in found]

    def keys(self) -> list[MetadataKey]:
        """Return the declared fields, and every other key that the metadata of a record has.

        Each comes with the number of records that have it and the classes of the values; the largest count comes first.
        This reads all metadata.
        """
        attempts = Attempts(self._current, "keys")
        while True:
            with attempts as generation:
                found = read_keys(self._backend, generation)
                attempts.rows = len(found)
                return found

    def search(
        self,
        query: Any = None,
        k: int = 10,
        *,
        item: Any = None,
        vector: ArrayLike | None = None,
        offset: int = 0,
        where: Where = None,
        min_score: float | None = None,
        ef: int | None = None,
        exact: bool = False,
        include: Collection[str] = DEFAULT_INCLUDE,
    ) -> Hits:
        """Return the ``k`` nearest records, nearest first. There are ``k`` hits whenever that many records match.

        A record without a vector is never a hit.

        Parameters
        ----------
        query : str or array_like, shape (dim,), or an item that the embedder takes
            A text requires an embedder, and has at least one letter, digit or symbol. It is never opened as a path.
            Where it may be an item as well as a vector, say which by the next two.
        item : object, optional
            Instead of ``query``: what the store's embedder makes a vector of.
        vector : array_like, shape (dim,), optional
            Instead of ``query``: a vector.
        k : int, 0 to 10,000
        offset : int, 0 to 10,000 − ``k``
            Leave out the nearest hits: the second page of ten is ``offset=10``. In an exact search the pages are
            the parts of one long answer, except that on Redis records which are equally near may change places
            across the end of a page. In an approximate search each page is cut from a search for ``offset + k``
            records, which may find a record that a search for fewer missed.
        where : Filter or mapping, optional
        min_score : float, optional
            Leave out hits with a lower score. It has to be in the metric's range; see `Metric`.
        ef : int, 1 to 1,000, optional
            Number of candidates that an HNSW search keeps (``ef_search``). The default is the calibrated
            value; without one the search is exact.
        exact : bool
            Compare the query with every matching record.
        include : collection of {"text", "metadata", "vector"}

        Raises
        ------
        InvalidQuery, InvalidVector, DimensionMismatch, InvalidFilter, UnknownField, EmbedderRequired, EmbedderMismatch
        InvalidArgument
            Not exactly one query, or one that may be an item as well as a vector.
        """
        if query is None or item is not None or vector is not None or self._embedder.takes_items:
            query = choose_query(query, item, vector, self._embedder)
        if isinstance(query, str):
            check_query_texts([query])
        return self._search([query], k, offset, where, min_score, ef, exact, include)[0]

    def search_many(
        self,
        queries: Iterable[Any] | ArrayLike | None = None,
        k: int = 10,
        *,
        items: Iterable[Any] | None = None,
        vectors: Iterable[ArrayLike] | ArrayLike | None = None,
        offset: int = 0,
        where: Where = None,
        min_score: float | None = None,
        ef: int | None = None,
        exact: bool = False,
        include: Collection[str] = DEFAULT_INCLUDE,
    ) -> list[Hits]:
        """Answer several queries in one call: a list of texts, or a matrix of shape (n, dim). See `search`.

        Instead of ``queries`` there may be ``items`` for the embedder, or ``vectors``.
        """
        listed = choose_queries(queries, items, vectors, self._embedder)
        check_query_texts(listed)
        return self._search(listed, k, offset, where, min_score, ef, exact, include)

    def similar_to(
        self,
        id: str,
        k: int = 10,
        *,
        offset: int = 0,
        where: Where = None,
        min_score: float | None = None,
        ef: int | None = None,
        exact: bool = False,
        include: Collection[str] = DEFAULT_INCLUDE,
    ) -> Hits:
        """Return the records nearest to a stored one, leaving out that record. See `search`.

        Raises
        ------
        RecordNotFound
        InvalidQuery
            The record has no vector.
        """
        return self._search([], k, offset, where, min_score, ef, exact, include, like=check_id(id))[0]

    def check_embedder(self, *, claim: bool = False) -> None:
        """Check the embedder that the store was opened with, before anything is embedded elsewhere.

        Parameters
        ----------
        claim : bool
            If the store's vectors were given and nothing says which embedder made them: say that it was this
            one. From then on every other embedder is refused.

        Raises
        ------
        EmbedderMismatch
            A text written through this object would be refused: the embedder makes other vectors than those in
            the store, or the store contains vectors of an unknown embedder and ``claim`` is False.
        EmbedderRequired
            The store was opened without an embedder.
        """
        if claim:
            self._check_writable()
        self._embedder.check(self._current, claim=claim)

    # -- other places

    def copy_to(
        self,
        database: Database,
        name: str | None = None,
        *,
        schema: Schema | None = None,
        embedder: Embedder[Any] | None = None,
        on_progress: Progress | None = None,
        records_per_second: float | None = None,
    ) -> Copied:
        """Copy the store into another Database, of any backend, while it is read and written.

        The copy has the ids, vectors, texts, metadata, versions, tombstones and index options of the store at one
        moment, which is proven record by record. It has no name in its Database before that. A call that was
        interrupted goes on when it is made again with the same arguments; `abort_move` gives it up.

        Parameters
        ----------
        database : Database
        name : str, optional
            The copy's name there; by default the store's.
        schema : Schema, optional
            Another schema for the copy; see `Database.rebuild`.
        embedder : Embedder, optional
            Embeds all texts again, unless it is the model that filled the store.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.
        records_per_second : float, optional
            Copy no faster than this.

        Returns
        -------
        Copied

        Raises
        ------
        StoreExists, StoreLocked, Unsupported, InvalidArgument, InvalidVector, EmbedderRequired, StoreCorrupt
        StoreChanged
            This Database is read-only, so nothing notes what changes, and the store was written to meanwhile.
        """
        from .swap.calls import copy_to

        return copy_to(self._current, database, name, schema, embedder, on_progress, records_per_second)

    def move_to(
        self,
        database: Database,
        name: str | None = None,
        *,
        embedder: Embedder[Any] | None = None,
        accept_volatile: bool = False,
        on_progress: Progress | None = None,
        records_per_second: float | None = None,
    ) -> Moved:
        """Move the store into another Database, of any backend, while it is read and written.

        The store is copied as by `copy_to`. Then one commit here makes the other place the store: before it the store
        is here, after it there, at no time in both. From then on every call here raises `StoreMoved`, and the name
        stays taken. The records stay too, for `move_back`, until ``Database.drop(name, moved=True)``; what is written
        at the new place is noted for them. A call that was interrupted goes on when it is made again;
        `abort_move` gives it up, before the switch.

        Parameters
        ----------
        database : Database
        name : str, optional
            The store's name there; by default the one that it has.
        embedder : Embedder, optional
            Embeds all texts again, unless it is the model that filled the store.
        accept_volatile : bool
            Move although one of both places may forget an acknowledged write when its server crashes.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.
        records_per_second : float, optional
            Copy no faster than this.

        Returns
        -------
        Moved

        Raises
        ------
        StoreExists, StoreLocked, InvalidArgument, InvalidVector, EmbedderRequired, StoreCorrupt
        Unsupported
            The target cannot store this, or one of both places is volatile, or more belongs to the table than can be
            moved (PostgreSQL). Nothing was copied.
        """
        from .swap.calls import move_to

        return move_to(
            self._current, database, name, embedder, on_progress, records_per_second, accept_volatile=accept_volatile
        )

    def move_back(
        self,
        database: Database,
        *,
        embedder: Embedder[Any] | None = None,
        accept_volatile: bool = False,
        on_progress: Progress | None = None,
    ) -> Moved:
        """Move the store to where `move_to` brought it from, including all later writes.

        Only what was written since is copied, but every record is compared. The records stay here, for yet another
        way. A call that was interrupted goes on when it is made again.

        Parameters
        ----------
        database : Database
            The one that the store came from.
        embedder : Embedder, optional
            That of the store before it moved, where the move has changed it.
        accept_volatile : bool
            As for `move_to`.
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.

        Returns
        -------
        Moved

        Raises
        ------
        InvalidArgument
            The store did not come from there.
        StoreLocked, StoreCorrupt, Unsupported, InvalidVector, EmbedderRequired
        """
        from .swap.calls import move_back

        return move_back(self._current, database, embedder, on_progress, accept_volatile=accept_volatile)

    def abort_move(self, database: Database | None = None) -> bool:
        """Give up a move or a copy of this store that was interrupted before its switch.

        Parameters
        ----------
        database : Database, optional
            Its target, from which the unfinished copy is removed. Without it the copy stays there, without a name,
            until ``Database.drop(name, moved=True)``.

        Returns
        -------
        bool
            Whether there was one.

        Raises
        ------
        StoreLocked
            It is still running.
        StoreMoved
            It has come to its switch: see `move_back`.
        """
        from .swap.calls import abort_move

        return abort_move(self._current, database)

    # -- upkeep

    def reindex(self, index: IndexOptions | None = None, on_progress: Progress | None = None) -> None:
        """Build the index again, with new options if ``index`` is given, and calibrate it.

        Searches continue in the meantime. A store that is too small for a write to build its index gets one. With the
        same options, it is built with the ``ef_construction`` that it has turned out to need.

        Parameters
        ----------
        index : Flat, HNSW or MilvusIndex, optional
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.

        Raises
        ------
        StoreLocked
            Another process is building or compacting.
        """
        self._check_writable()
        attempts = Attempts(self._current, "reindex")
        with report_to(on_progress) as report:
            while True:
                with attempts as generation:
                    present, needed = self._current.read_active(generation), None
                    if index is not None and index != present.schema.index:
                        present = replace(present, schema=present.schema.with_index(index), ef=None, calibration=None)
                        self._backend.capabilities.check_index(present.schema)
                        self._current.amend(present)
                    else:
                        needed = self._backend.index_state(present).ef_construction
                    calibration = IndexCalibration(self._current, report)
                    with log_duration("upkeep", "index of store %s built", self.name):
                        self._backend.build_index(present, report, calibration.measure, needed)
                    calibration.finish(present, stacklevel=3)
                    return

    def calibrate(self, on_progress: Progress | None = None) -> int | None:
        """Find the smallest search effort that reaches the index's ``target_recall``, and make it the default.

        Searches for the 10 nearest neighbours of some queries with increasing effort and compares them with exact
        searches, for about 10 seconds. The queries are stored records that the graph does not have yet, where there
        are 200, or else points near stored vectors; `index_status` says which. `reindex` calibrates, and so does a
        write that builds the index. Call it yourself after the nature of the data has changed.

        Parameters
        ----------
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.

        Returns
        -------
        int or None
            The effort, ``ef``. None if no effort is enough or there is no index; searches are exact then.
        """
        self._check_writable()
        attempts = Attempts(self._current, "calibrate")
        with report_to(on_progress) as report:
            while True:
                with attempts as generation:
                    return IndexCalibration(self._current, report).calibrate(generation, stacklevel=3).ef

    def compact(self, on_progress: Progress | None = None) -> None:
        """Reclaim the space of removed and replaced records now; otherwise it happens automatically over time.

        An index over removed records is rebuilt. Searches and other writers continue in the meantime.

        Parameters
        ----------
        on_progress : callable, optional
            Called as ``on_progress(phase, done, total)``; see `Progress`.

        Raises
        ------
        StoreLocked
            Another process is building or compacting.
        """
        self._check_writable()
        attempts = Attempts(self._current, "compact")
        with report_to(on_progress) as report:
            while True:
                with attempts as generation:
                    calibration = IndexCalibration(self._current, report)
                    with log_duration("upkeep", "store %s compacted", self.name):
                        changed = self._backend.compact(generation, report, calibration.measure)
                    if changed:
                        calibration.finish(generation, stacklevel=3)
                    return

    def index_status(self) -> IndexStatus:
        """Return what the index covers, the search effort and how it was found, or why searches are exact."""
        attempts = Attempts(self._current, "index_status")
        while True:
            with attempts as generation:
                present = self._current.read_active(generation)
                return read_index_status(self._backend, present)

    def measure_recall(self, queries: int = 200, k: int = 10, where: Where = None) -> Recall:
        """Compare default searches with exact ones, for queries near stored vectors.

        Parameters
        ----------
        queries : int
            Number of queries; the same store always gets the same ones. Each is near a stored vector, not on it, as
            a graph finds the neighbours of its own nodes more easily than those of other points.
        k : int
        where : Filter or mapping, optional
            Measure searches with this filter; the queries come from the matching records.
        """
        from .calibration.probes import Probes
        from .calibration.recall import summarize_recall

        queries = check_whole("queries", queries, 1, MAX_QUERIES)
        check_arguments(k, None, None, ())
        attempts = Attempts(self._current, "measure_recall")
        while True:
            with attempts as generation:
                bound = bind(where, generation.schema)
                probes = Probes.draw(self._backend, generation, queries, int(k), bound).pace()
                return summarize_recall(probes.measure_recalls(), int(k))

    def stats(self) -> Stats:
        """Return the number of records, the bytes they take and backend-specific figures."""
        attempts = Attempts(self._current, "stats")
        while True:
            with attempts as generation:
                return self._backend.stats(generation)

    def verify(self) -> Verification:
        """Check every stored byte. The result's ``problems`` list what is damaged."""
        attempts = Attempts(self._current, "verify")
        while True:
            with attempts as generation:
                return self._backend.verify(generation)

    def using(self, connection: object) -> VectorStore:
        """Return the same store inside the caller's open transaction, if the backend supports it.

        It does not follow a store that moves to another Database, which knows nothing of the transaction.

        Raises
        ------
        Unsupported, StoreMoved
        """
        backend, entry = self._current.backend, self._current.entry
        if backend is not self._current.route.backend:
            raise StoreMoved(
                entry.name, f"a Database on {backend.capabilities.backend}", entry.uid,
                "The transaction is not there. Open the store with that Database, and use a connection to it.",
            )  # fmt: skip
        return VectorStore(backend.using(connection), entry, self._embedder)

    # -- parts

    def _check_writable(self) -> None:
        self._current.backend.capabilities.check_writable()

    def _write(
        self,
        records: Iterable[Record | Mapping[str, Any]] | Columns | ArrowStream,
        batch_size: int | None,
        report: Progress | None,
        *,
        insert: bool,
    ) -> int:
        self._check_writable()
        committed, total = 0, count_rows(records)
        try:
            claimable: bool | None = None  # once for the call, so that it does not depend on where batches are cut
            for batch in cut(records, batch_size, self.schema):
                if claimable is None:
                    claimable = self._embedder.may_claim(self._current)
                self._write_batch(batch, committed, insert=insert, claimable=claimable)
                committed += len(batch)
                if report:
                    report("writing", committed, total)
        except VecstoreError as error:
            self._loading.defer(committed)
            if committed:
                raise PartialWrite(committed, error) from error
            raise
        except BaseException as error:  # from the caller's iterable or function, or an interrupt
            self._loading.defer(committed)
            error.add_note(f"vecstore: {committed} records of this call are written.")
            raise
        return committed

    def _write_batch(self, batch: Batch, first: int, *, insert: bool, claimable: bool) -> None:
        has_texts_to_embed = needs_embedder(batch)
        attempts = Attempts(self._current, "insert" if insert else "upsert")
        while True:
            with attempts as generation:
                attempts.rows = len(batch)
                if not has_texts_to_embed:
                    rows = convert(batch, generation.schema, None, unique=insert, first=first)
                    self._current.backend.write(generation, rows, insert=insert)
                    return
                present = self._embedder.refresh(self._current, generation)
                embed = self._embedder.choose_for_documents(present, self.name)
                self._embedder.check_claim(present, self.name, claimable=claimable)
                rows = convert(batch, present.schema, embed, unique=insert, first=first)
                if embed:
                    present = self._embedder.claim(self._current, present)
                self._current.backend.write(present, rows, insert=insert)
                return

    def _read_pages(self, where: Where, include: Include, most: int | None, batch_size: int) -> Iterator[Record]:
        after: str | None = None
        left = sys.maxsize if most is None else most
        while left and (page := self._read_page(where, after, min(batch_size, left), include)):
            yield from page
            after = page[-1].id
            left -= len(page)

    def _read_page(self, where: Where, after: str | None, limit: int, include: Include) -> list[Record]:
        rows, schema = self._read_part(where, after, limit, include)
        return as_records(rows, schema, include)

    def _read_parts(self, where: Where, include: Include, batch_size: int) -> Iterator[tuple[Rows, Schema]]:
        after: str | None = None
        while len((part := self._read_part(where, after, batch_size, include))[0]):
            yield part
            after = part[0].ids[-1]

    def _read_part(self, where: Where, after: str | None, limit: int, include: Include) -> tuple[Rows, Schema]:
        """Return one page and the schema of its generation."""
        attempts = Attempts(self._current, "scan page")
        while True:
            with attempts as generation:
                rows = self._current.backend.page(generation, bind(where, generation.schema), after, limit, include)
                attempts.rows = len(rows)
                return rows, generation.schema

    def _fetch(self, ids: Sequence[str]) -> list[Record]:
        attempts = Attempts(self._current, "get")
        while True:
            with attempts as generation:
                rows = self._current.backend.fetch(generation, ids)
                attempts.rows = len(rows)
                return as_records(rows, generation.schema)

    def _search(
        self,
        asked: Sequence[Any],
        k: int,
        offset: int,
        where: Where,
        min_score: float | None,
        ef: int | None,
        exact: bool,  # noqa: FBT001 - passed on by the public methods, where it is keyword-only
        include: Collection[str],
        *,
        like: str | None = None,
    ) -> list[Hits]:
        """Search for ``asked``, or for the vector of the stored record ``like``, which is then left out."""
        columns = check_arguments(k, min_score, ef, include, exact, offset)
        attempts = Attempts(self._current, "search")
        while True:
            with attempts as generation:
                schema = generation.schema
                # Before a query is embedded.
                floor = None if min_score is None else clip_threshold(min_score, schema.metric)
                if like is not None:
                    matrix = self._fetch_vector(like, generation)
                elif (plain := read_plain_query(asked, schema)) is not None:
                    matrix = plain
                else:
                    matrix = self._embed_queries(asked, generation)
                search = compile_search(
                    matrix, schema, k=int(k) + int(offset), where=where, min_score=floor, ef=ef, exact=exact,
                    include=columns, without=like,
                )  # fmt: skip
                if not k or not len(matrix):
                    return [Hits((), exact=True, complete=True, shape=(schema, columns)) for _ in matrix]
                backend = self._current.backend
                with Turn() if backend.computes_here else nullcontext():
                    answers = backend.search(generation, search)
                    hits = [make_hits(found, search, schema, offset) for found in answers]
                if attempts.is_logged:
                    attempts.rows, attempts.plan = sum(map(len, hits)), describe_plan(search, hits, generation.ef)
                return hits

    def _fetch_vector(self, id_: str, generation: Generation) -> NDArray[np.float32]:
        rows = self._current.backend.fetch(generation, [id_])
        if rows.vectors is None or not len(rows):
            raise RecordNotFound(f"Store {self.name!r} has no record {id_!a}.")
        if rows.present is not None and not rows.present[0]:
            raise InvalidQuery(
                f"Record {id_!a} has no vector, so nothing is similar to it. Give it one with update(), or search "
                "for its text."
            )
        return rows.vectors.astype(np.float32)

    def _embed_queries(self, asked: Sequence[Any], generation: Generation) -> NDArray[np.float32]:
        """Return queries, each a text, an item or a vector, as one matrix."""
        vectors = list(asked)
        if places := find_items(asked):
            present = self._embedder.refresh(self._current, generation)
            embed = self._embedder.choose_for_queries(present, self.name)
            names = name_queries(len(asked))
            items = [each.value if isinstance(each := asked[place], QueryItem) else each for place in places]
            made = embed(items, label=lambda number: names[places[number]])
            for place, vector in zip(places, check_known(made, [names[place] for place in places]), strict=True):
                vectors[place] = vector
        return as_queries(vectors, generation.schema)
