"""`VectorStore`: validate, embed, ask capabilities, delegate, order."""

# Longer than 300 lines because the main public class is documented here in full.

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backend import (
    Backend,
    Entry,
    Generation,
    Progress,
    Selection,
    Stats,
    Superseded,
    Update,
    Verification,
)
from .calibration.calibrate import calibrate
from .calibration.probes import Probes
from .calibration.recall import Recall, summarize_recall
from .embedders.identity import Identity
from .errors import (
    BackendUnavailable,
    EmbedderMismatch,
    EmbedderRequired,
    InvalidArgument,
    InvalidFilter,
    InvalidMetadata,
    InvalidVector,
    PartialWrite,
    RecordNotFound,
    StorageError,
    StoreLocked,
    StoreNotFound,
    UnknownOutcome,
    VecstoreError,
)
from .filters.binding import bind
from .filters.nodes import Filter
from .hits import Hits, make_hits
from .ids import check_id, check_ids
from .index_options import HNSW, IndexOptions
from .lookup import find_again
from .queries import DEFAULT_INCLUDE, check_arguments, compile_search, read_plain_query
from .records import Record
from .rows import metadata
from .rows.batches import cut_batches
from .rows.conversion import as_records, as_rows
from .rows.vectors import as_matrix, as_queries
from .schema import Schema
from .store_embedder import StoreEmbedder

Where = Filter | Mapping[str, Any] | None

PAGE = 1_000
_SCHEMA_ERRORS = (InvalidVector, InvalidMetadata, InvalidFilter, EmbedderMismatch)
_ATTEMPTS = 8
"""How many generations one call tries when the store's active generation keeps changing."""


class UpkeepWarning(UserWarning):
    """The records were written, but the upkeep of the index failed: searches are correct, perhaps slower."""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index of a store.

    Attributes
    ----------
    kind : {"flat", "hnsw"}
    state : {"none", "building", "ready", "invalid"}
        ``"none"`` means that every search is exact. A small store has no index yet.
    rows, indexed : int
        Records in the store, and how many of them the index covers. The rest is searched exactly.
    ef : int or None
        The calibrated search effort, the default of ``search(ef=…)``. None if the index is not calibrated or
        no effort reaches the target; searches without ``ef`` are exact then.
    target_recall : float or None
    """

    kind: str
    state: str
    rows: int
    indexed: int
    ef: int | None
    target_recall: float | None


class VectorStore:
    """One named, typed collection of records. `Database.create` and `Database.open` return it.

    Threads may share it. A call is validated completely before anything is read or written, and every error
    is a `VecstoreError`.
    """

    def __init__(self, backend: Backend, entry: Entry, embedder: StoreEmbedder) -> None:
        self._backend = backend
        self._entry = entry
        self._embedder = embedder

    def __repr__(self) -> str:
        schema = self.schema
        return f"<VectorStore {self.name!r} dim={schema.dim} {schema.metric} on {self._backend.capabilities.backend}>"

    @property
    def name(self) -> str:
        """The store's name when it was last looked up."""
        return self._entry.name

    @property
    def schema(self) -> Schema:
        """The schema of the active generation when it was last looked up."""
        return self._entry.active.schema

    @property
    def embedder_config(self) -> Mapping[str, Any] | None:
        """The config of the embedder that filled the store; None if all vectors were given."""
        identity = self._entry.active.identity
        return None if identity is None else Identity.from_json(identity).config

    # -- writing

    def insert(self, records: Iterable[Record], *, batch_size: int | None = None) -> int:
        """Write new records; see `upsert`.

        Raises
        ------
        RecordExists
            An id is already stored. Nothing of its batch is written.
        """
        written = self._write(records, batch_size, insert=True)
        self._tend(written)
        return written

    def upsert(self, records: Iterable[Record], *, batch_size: int | None = None) -> int:
        """Write records; a stored record with the same id is replaced as a whole.

        Parameters
        ----------
        records : iterable of Record
            Consumed once, in constant memory, so a generator of millions is fine. A record without a vector
            is embedded from its text.
        batch_size : int, optional
            Records per atomic commit. By default 5,000 records or 16 MiB, whichever comes first.

        Returns
        -------
        int
            Records written.

        Raises
        ------
        InvalidId, DuplicateId, InvalidVector, DimensionMismatch, InvalidMetadata, EmbedderRequired
            Nothing of the batch is written.
        PartialWrite
            The same errors, or an error of the storage, after earlier batches were committed.
        """
        written = self._write(records, batch_size, insert=False)
        self._tend(written)
        return written

    def update(
        self,
        *,
        ids: Iterable[str] | None = None,
        where: Where = None,
        set: Mapping[str, Any] | None = None,
        unset: Iterable[str] = (),
    ) -> int:
        """Change parts of the selected records, in one atomic commit.

        Parameters
        ----------
        ids : iterable of str, optional
        where : Filter or mapping, optional
            Give either ``ids`` or ``where``; ``where=vecstore.ALL`` selects every record.
        set : mapping, optional
            Declared and undeclared metadata keys, ``text`` and ``vector``. A new text without a vector is
            embedded. None removes a key.
        unset : iterable of str
            Keys to remove; ``text`` is allowed.

        Returns
        -------
        int
            Records changed. Ids that do not exist are not counted.
        """
        self._check_writable()
        if isinstance(unset, str):
            raise InvalidArgument(f"unset must be a list of keys, not the str {unset[:40]!a}.")
        if set is not None and not isinstance(set, Mapping):
            raise InvalidArgument(f"set must be a mapping, not {type(set).__name__}.")
        removed = dict.fromkeys(unset)
        for key in removed.keys() & (set or {}).keys():
            raise InvalidArgument(f"update() got {key!a} in both set and unset. Leave it out of one of them.")
        changes = {**(set or {}), **removed}
        if not changes:
            raise InvalidArgument("update() has nothing to change. Give set={…} or unset=[…].")
        listed = None if ids is None else check_ids(ids)
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                selection = _make_selection(listed, where, generation.schema)
                changed = self._backend.update(generation, selection, self._make_update(changes, generation))
                break
        self._tend(changed)
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
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                deleted = self._backend.delete(generation, _make_selection(listed, where, generation.schema))
                break
        self._tend(deleted)
        return deleted

    # -- reading

    def get(self, ids: Iterable[str]) -> list[Record | None]:
        """Return the records with these ids, in the same order; None for an id that does not exist."""
        listed = check_ids(ids)
        found: dict[str, Record] = {}
        for start in range(0, len(listed), PAGE):
            found.update((record.id, record) for record in self._fetch(listed[start : start + PAGE]))
        return [found.get(id_) for id_ in listed]

    def scan(self, where: Where = None, batch_size: int = PAGE) -> Iterator[Record]:
        """Iterate over the matching records in the order of their ids, page by page.

        A record that is present throughout appears exactly once. Concurrent changes may or may not appear.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InvalidArgument(f"batch_size must be a whole number of at least 1, not {batch_size!r}.")
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                bind(where, generation.schema)
                return self._read_pages(where, batch_size)

    def count(self, where: Where = None) -> int:
        """Return how many records match."""
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                return self._backend.count(generation, bind(where, generation.schema))

    def search(
        self,
        query: str | ArrayLike,
        k: int = 10,
        *,
        where: Where = None,
        min_score: float | None = None,
        ef: int | None = None,
        exact: bool = False,
        include: Collection[str] = DEFAULT_INCLUDE,
    ) -> Hits:
        """Return the ``k`` nearest records, nearest first. There are ``k`` hits whenever that many records match.

        Parameters
        ----------
        query : str or array_like, shape (dim,)
            A text requires an embedder.
        k : int, 0 to 10,000
        where : Filter or mapping, optional
        min_score : float, optional
            Leave out hits with a lower score.
        ef : int, 1 to 1,000, optional
            Number of candidates that an HNSW search keeps (``ef_search``). The default is the calibrated
            value; without one the search is exact.
        exact : bool
            Compare the query with every matching record.
        include : collection of {"text", "metadata", "vector"}

        Raises
        ------
        InvalidVector, DimensionMismatch, InvalidFilter, UnknownField, EmbedderRequired, EmbedderMismatch
        """
        return self._search([query], k, where, min_score, ef, exact, include)[0]

    def search_many(
        self,
        queries: Sequence[str] | ArrayLike,
        k: int = 10,
        *,
        where: Where = None,
        min_score: float | None = None,
        ef: int | None = None,
        exact: bool = False,
        include: Collection[str] = DEFAULT_INCLUDE,
    ) -> list[Hits]:
        """Answer several queries in one call: a list of texts or a matrix of shape (n, dim). See `search`."""
        if isinstance(queries, str):
            raise InvalidArgument("search_many() takes a list of queries. For one text use search().")
        if not isinstance(queries, Iterable):
            raise InvalidArgument(f"queries must be a list of queries, not {type(queries).__name__}.")
        listed: list[Any] = list(queries)
        return self._search(listed, k, where, min_score, ef, exact, include)

    def similar_to(
        self,
        id: str,
        k: int = 10,
        *,
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
        """
        return self._search([], k, where, min_score, ef, exact, include, like=check_id(id))[0]

    # -- upkeep

    def reindex(self, index: IndexOptions | None = None, on_progress: Progress | None = None) -> None:
        """Rebuild the index, with new options if ``index`` is given, and calibrate it.

        Searches continue in the meantime.

        Parameters
        ----------
        index : Flat or HNSW, optional
        on_progress : callable, optional
            Called with the number of indexed records and the total.

        Raises
        ------
        StoreLocked
            Another process is building or compacting.
        """
        self._check_writable()
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                present = self._read_again(generation)
                if index is not None and index != present.schema.index:
                    present = replace(present, schema=present.schema.with_index(index), ef=None)
                    self._backend.capabilities.check_index(present.schema)
                    self._amend(present)
                self._backend.build_index(present, on_progress)
                self._calibrate(present)
                return

    def calibrate(self) -> int | None:
        """Find the smallest search effort that reaches the index's ``target_recall``, and make it the default.

        Searches for the 10 nearest neighbours of 200 stored records with increasing effort and compares them
        with exact searches, for about 10 seconds at most. `reindex` calibrates, and so does a write that
        builds the index. Call it yourself after the nature of the data has changed.

        Returns
        -------
        int or None
            The effort, ``ef``. None if no effort is enough or there is no index; searches are exact then.
        """
        self._check_writable()
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                return self._calibrate(generation).ef

    def compact(self) -> None:
        """Reclaim the space of removed and replaced records now; otherwise it happens automatically over time.

        An index over removed records is rebuilt. Searches and other writers continue in the meantime.

        Raises
        ------
        StoreLocked
            Another process is building or compacting.
        """
        self._check_writable()
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                if self._backend.compact(generation):
                    self._calibrate(generation)
                return

    def index_status(self) -> IndexStatus:
        """Return what the index covers, and the calibrated search effort."""
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                present = self._read_again(generation)
                state, index = self._backend.index_state(present), present.schema.index
                target = index.target_recall if isinstance(index, HNSW) else None
                return IndexStatus(index.kind, state.state, state.rows, state.indexed, present.ef, target)

    def measure_recall(self, queries: int = 200, k: int = 10, where: Where = None) -> Recall:
        """Compare default searches with exact ones, for queries that lie between stored vectors.

        Parameters
        ----------
        queries : int
            Number of queries; the same store always gets the same ones. Each is a stored vector rotated part
            of the way towards another one, at the same length, because a graph finds the neighbours of its
            own nodes more easily than those of other points.
        k : int
        where : Filter or mapping, optional
            Measure searches with this filter; the queries come from the matching records.
        """
        if isinstance(queries, bool) or not isinstance(queries, int) or queries < 1:
            raise InvalidArgument(f"queries must be a whole number of at least 1, not {queries!r}.")
        check_arguments(k, None, None, ())
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                bound = bind(where, generation.schema)
                probes = Probes.draw(self._backend, generation, queries, int(k), bound).rotate()
                return summarize_recall(probes.measure_recalls(), int(k))

    def stats(self) -> Stats:
        """Return the number of records, the bytes they take and backend-specific figures."""
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                return self._backend.stats(generation)

    def verify(self) -> Verification:
        """Check every stored byte. The result's ``problems`` list what is damaged."""
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                return self._backend.verify(generation)

    def using(self, connection: object) -> VectorStore:
        """Return the same store inside the caller's open transaction, if the backend supports it.

        Raises
        ------
        Unsupported
        """
        return VectorStore(self._backend.using(connection), self._entry, self._embedder)

    # -- parts

    def _check_writable(self) -> None:
        self._backend.capabilities.check_writable()

    def _amend(self, generation: Generation) -> None:
        self._backend.amend(generation)
        self._entry = replace(self._entry, active=generation)

    def _calibrate(self, generation: Generation) -> Generation:
        present = calibrate(self._backend, self._entry, generation)
        self._entry = replace(self._entry, active=present)
        return present

    def _tend(self, changed: int) -> None:
        """Do the upkeep that is due after a write. Its failure is only a warning: the records are committed."""
        if not changed:
            return
        attempts = _Attempts(self)
        try:
            while True:
                with attempts as generation:
                    if self._backend.tend(generation):
                        self._calibrate(generation)
                    return
        except (StoreLocked, StoreNotFound):  # another process does the upkeep, or the store was dropped
            return
        except (StorageError, UnknownOutcome, MemoryError) as error:
            reason = str(error) or "there was too little memory."
            warnings.warn(
                f"The records are written to store {self.name!r}, but the upkeep after the write failed: {reason} "
                "Searches are still correct but may be slower. Fix the cause, then call reindex() and compact().",
                UpkeepWarning,
                stacklevel=3,
            )
        except BaseException as error:  # an interrupt
            error.add_note(f"vecstore: the {changed} records of this call are written; the upkeep was interrupted.")
            raise

    def _write(self, records: Iterable[Record], batch_size: int | None, *, insert: bool) -> int:
        self._check_writable()
        committed = 0
        width = self.schema.width * np.dtype(self.schema.dtype).itemsize
        try:
            for batch in cut_batches(records, batch_size, width):
                committed += self._write_batch(batch, insert=insert)
        except VecstoreError as error:
            if committed:
                raise PartialWrite(committed, error) from error
            raise
        except BaseException as error:  # from the caller's iterable, or an interrupt
            error.add_note(f"vecstore: {committed} records of this call are written.")
            raise
        return committed

    def _write_batch(self, batch: Sequence[Record], *, insert: bool) -> int:
        needs_embedder = any(record.vector is None for record in batch)
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                if not needs_embedder:
                    return self._backend.write(generation, as_rows(batch, generation.schema, None), insert=insert)
                present = self._refresh_identity(generation)
                embed = self._embedder.choose_for_documents(present, self.name)
                rows = as_rows(batch, present.schema, embed)
                if embed:
                    present = self._claim(present)
                return self._backend.write(present, rows, insert=insert)

    def _read_again(self, generation: Generation) -> Generation:
        """Return the catalogue's present copy of an active generation."""
        entry = find_again(self._backend, self._entry)
        if entry.active.id != generation.id:
            raise Superseded
        self._entry = entry
        return entry.active

    def _refresh_identity(self, generation: Generation) -> Generation:
        """Look up a generation without an identity again; another process may have stored one since."""
        if generation.identity is not None or not self._embedder:
            return generation
        return self._read_again(generation)

    def _claim(self, generation: Generation) -> Generation:
        """Store the embedder's identity if it is the first embedder that writes into this generation."""
        if generation.identity is not None:
            return generation
        claimed = replace(generation, identity=self._embedder.identify(generation, self.name).to_json())
        self._amend(claimed)
        return claimed

    def _make_update(self, changes: Mapping[str, Any], generation: Generation) -> Update:
        values = dict(changes)
        for key in ("id", "score", "distance"):
            if key in values:
                raise InvalidArgument(f"update() cannot set {key!r}.")
        sets_text, text = "text" in values, metadata.check_text(values.pop("text", None), "update()")
        if "vector" in values and values["vector"] is None:
            raise InvalidArgument("update() cannot remove 'vector': every record has one.")
        vector = values.pop("vector", None)
        declared, extra = metadata.split(values, generation.schema.fields, "update()")
        texts = metadata.dump_each(extra, "update()")
        return Update(declared, texts, self._make_vector(vector, text, generation), sets_text, text)

    def _make_vector(self, vector: Any, text: str | None, generation: Generation) -> NDArray[Any] | None:
        schema = generation.schema
        if vector is not None:
            return as_matrix([vector], schema, ["The new vector"])[0]  # type: ignore[no-any-return]
        if text is None:
            return None
        present = self._refresh_identity(generation)
        embed = self._embedder.choose_for_documents(present, self.name)
        if embed is None:
            raise EmbedderRequired(
                "The new text needs a new vector, but the store has no embedder. "
                "Open the store with embedder=…, or set 'vector' too."
            )
        matrix = as_matrix(list(embed([text], label=lambda _: "The new text")), schema, ["The new text"])
        self._claim(present)
        return matrix[0]  # type: ignore[no-any-return]

    def _read_pages(self, where: Where, batch_size: int) -> Iterator[Record]:
        after: str | None = None
        while page := self._read_page(where, after, batch_size):
            yield from page
            after = page[-1].id

    def _read_page(self, where: Where, after: str | None, limit: int) -> list[Record]:
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                rows = self._backend.page(generation, bind(where, generation.schema), after, limit)
                return as_records(rows, generation.schema)

    def _fetch(self, ids: Sequence[str]) -> list[Record]:
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                return as_records(self._backend.fetch(generation, ids), generation.schema)

    def _search(
        self,
        asked: Sequence[Any],
        k: int,
        where: Where,
        min_score: float | None,
        ef: int | None,
        exact: bool,  # noqa: FBT001 - passed on by the public methods, where it is keyword-only
        include: Collection[str],
        *,
        like: str | None = None,
    ) -> list[Hits]:
        """Search for ``asked``, or for the vector of the stored record ``like``, which is then left out."""
        columns = check_arguments(k, min_score, ef, include)
        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                schema = generation.schema
                matrix = (
                    self._embed_queries(asked, generation) if like is None else self._fetch_vector(like, generation)
                )
                search = compile_search(
                    matrix, schema, k=int(k), where=where, min_score=min_score, ef=ef, exact=exact, include=columns,
                    without=like,
                )  # fmt: skip
                if not k or not len(matrix):
                    return [Hits((), exact=True, complete=True) for _ in matrix]
                return [make_hits(found, search, schema) for found in self._backend.search(generation, search)]

    def _fetch_vector(self, id_: str, generation: Generation) -> NDArray[np.float32]:
        vectors = self._backend.fetch(generation, [id_]).vectors
        if vectors is None or not len(vectors):
            raise RecordNotFound(f"Store {self.name!r} has no record {id_!a}.")
        return vectors.astype(np.float32)

    def _embed_queries(self, asked: Sequence[Any], generation: Generation) -> NDArray[np.float32]:
        """Return queries, each a text or a vector, as one matrix."""
        if len(asked) == 1 and (plain := read_plain_query(asked[0], generation.schema)) is not None:
            return plain
        vectors = list(asked)
        places = [place for place, query in enumerate(asked) if isinstance(query, str)]
        if places:
            present = self._refresh_identity(generation)
            embed = self._embedder.choose_for_queries(present, self.name)
            for place, vector in zip(places, embed([asked[place] for place in places]), strict=True):
                vectors[place] = vector
        return as_queries(vectors, generation.schema)


class _Attempts:
    """The attempts of one call on the active generation: a context manager that a loop enters for each attempt.

    ::

        attempts = _Attempts(self)
        while True:
            with attempts as generation:
                return self._backend.count(generation, …)

    Other processes replace the active generation. A block that fails because of this is left silently, and the
    loop tries again with the generation that the catalogue names now. An error about the schema counts too:
    what does not fit the generation that this object knew may fit its successor.
    """

    __slots__ = ("_entry", "_left", "_store")

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self._entry = store._entry
        self._left = _ATTEMPTS

    def __enter__(self) -> Generation:
        self._entry = self._store._entry
        return self._entry.active

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, (Superseded, *_SCHEMA_ERRORS)):
            return False
        entry = self._store._entry = find_again(self._store._backend, self._entry)
        if not isinstance(error, Superseded) and entry.active.id == self._entry.active.id:
            return False
        self._left -= 1
        if not self._left:
            raise BackendUnavailable(
                f"Store {entry.name!r} changed its active generation {_ATTEMPTS} times during one call. Try again."
            ) from None
        return True


def _make_selection(ids: list[str] | None, where: Where, schema: Schema) -> Selection:
    if ids is not None and where is None:
        return ids
    bound = bind(where, schema)
    if bound is None or ids is not None:
        raise InvalidArgument("Give either ids=[…] or where=…. To select every record, give where=vecstore.ALL.")
    return bound
