"""`VectorStore`: validate, embed, ask capabilities, delegate, order."""

# Longer than 300 lines because the one public class stands here with its documentation.

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import queries
from .backend import (
    Backend,
    Entry,
    Generation,
    Include,
    Progress,
    Rows,
    Selection,
    Stats,
    Superseded,
    Update,
    Verification,
)
from .calibration import recall, upkeep
from .calibration.probes import Probes
from .embedders.identity import Identity
from .embedding import StoreEmbedder
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
    Unsupported,
    VecstoreError,
)
from .filters.binding import bind
from .filters.nodes import Filter
from .index import HNSW, IndexOptions, kind
from .queries import DEFAULT_INCLUDE, check_arguments
from .rebuild.lookup import find_again
from .records import Hits, Record, check_id, check_ids
from .rows import metadata
from .rows.batches import as_rows, in_batches
from .rows.vectors import as_matrix, as_queries
from .schema import Schema

T = TypeVar("T")
Where = Filter | Mapping[str, Any] | None

PAGE = 1_000
_OF_A_SCHEMA = (InvalidVector, InvalidMetadata, InvalidFilter, EmbedderMismatch)
_LOOKS = 8
"""How often one call follows a store whose generation changes under it."""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index of a store.

    Attributes
    ----------
    kind : {"flat", "hnsw"}
    state : {"none", "building", "ready", "invalid"}
        ``"none"``: every search is exact.
    rows, indexed : int
        Records in the store, and how many of them the index covers; the others are searched beside it.
    ef : int or None
        The calibrated search effort; a search that names none uses it. None: not calibrated, or no effort
        reaches the target, and such a search is exact.
    target_recall : float or None
    """

    kind: str
    state: str
    rows: int
    indexed: int
    ef: int | None
    target_recall: float | None


class VectorStore:
    """One named, typed collection of records; `Database.create` and `Database.open` make it.

    Any thread may use it. A call is checked completely before anything is read or written; every error
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
        """What is known of the model that filled the store; None where vectors were given."""
        identity = self._entry.active.identity
        return None if identity is None else Identity.from_json(identity).config

    # -- writing

    def insert(self, records: Iterable[Record], *, batch_size: int | None = None) -> int:
        """Write new records; see `upsert`.

        Raises
        ------
        RecordExists
            An id is stored already; of its batch nothing is written.
        """
        return self._tended(self._write(records, batch_size, insert=True))

    def upsert(self, records: Iterable[Record], *, batch_size: int | None = None) -> int:
        """Write records, replacing those with the same id whole.

        Parameters
        ----------
        records : iterable of Record
            Consumed once, in constant memory; a generator of millions will do. A record without a vector
            is embedded from its text.
        batch_size : int, optional
            Records in one atomic commit; 5,000 or 16 MiB by default, whichever is reached first.

        Returns
        -------
        int
            Records written.

        Raises
        ------
        InvalidId, DuplicateId, InvalidVector, DimensionMismatch, InvalidMetadata, EmbedderRequired
            Before anything of the batch is written.
        PartialWrite
            The same, or an error of the storage, after earlier batches were committed.
        """
        return self._tended(self._write(records, batch_size, insert=False))

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
            One of ``ids`` and ``where``; ``where=vecstore.ALL`` for every record.
        set : mapping, optional
            Declared and undeclared metadata keys, ``text`` and ``vector``. A new text without a vector is
            embedded again. None removes a key.
        unset : iterable of str
            Keys to remove, ``text`` among them.

        Returns
        -------
        int
            Records changed; ids that do not exist are not counted.
        """
        self._check_writable()
        if isinstance(unset, str):
            raise InvalidArgument(f"unset must be a list of keys, not the str {unset[:40]!a}.")
        if set is not None and not isinstance(set, Mapping):
            raise InvalidArgument(f"set must be a mapping, not {type(set).__name__}.")
        removed = dict.fromkeys(unset)
        for key in removed.keys() & (set or {}).keys():
            raise InvalidArgument(f"update() is told to set {key!a} and to unset it.")
        changes = {**(set or {}), **removed}
        if not changes:
            raise InvalidArgument("update() has nothing to change. Give set={…} or unset=[…].")
        listed = None if ids is None else check_ids(ids)

        def change(generation: Generation) -> int:
            selection = _selection(listed, where, generation.schema)
            return self._backend.update(generation, selection, self._update_of(changes, generation))

        return self._tended(self._on_active(change))

    def delete(self, *, ids: Iterable[str] | None = None, where: Where = None) -> int:
        """Remove the selected records, in one atomic commit; return how many there were.

        Parameters
        ----------
        ids : iterable of str, optional
        where : Filter or mapping, optional
            One of ``ids`` and ``where``; ``where=vecstore.ALL`` for every record.
        """
        self._check_writable()
        listed = None if ids is None else check_ids(ids)

        def remove(generation: Generation) -> int:
            return self._backend.delete(generation, _selection(listed, where, generation.schema))

        return self._tended(self._on_active(remove))

    # -- reading

    def get(self, ids: Iterable[str]) -> list[Record | None]:
        """Return the records of ids, in the same order; None for an id that does not exist."""
        listed = check_ids(ids)
        found: dict[str, Record] = {}
        for start in range(0, len(listed), PAGE):
            part = listed[start : start + PAGE]
            found.update((record.id, record) for record in self._on_active(partial(self._fetched, part)))
        return [found.get(id_) for id_ in listed]

    def scan(self, where: Where = None, batch_size: int = PAGE) -> Iterator[Record]:
        """Iterate over the matching records in the order of their ids, page by page.

        Records present throughout appear exactly once; concurrent changes may or may not.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InvalidArgument(f"batch_size must be a whole number of at least 1, not {batch_size!r}.")
        self._on_active(lambda generation: bind(where, generation.schema))
        return self._pages(where, batch_size)

    def count(self, where: Where = None) -> int:
        """Return how many records match."""
        return self._on_active(lambda generation: self._backend.count(generation, bind(where, generation.schema)))

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
        """Return the ``k`` nearest records, nearest first; ``k`` of them whenever that many match.

        Parameters
        ----------
        query : str or array_like, shape (dim,)
            A text needs an embedder.
        k : int, 0 to 10,000
        where : Filter or mapping, optional
        min_score : float, optional
            Leave out hits with a lower score.
        ef : int, 1 to 1,000, optional
            Candidates that an HNSW index looks at; by default what calibration found, and an exact search
            where it found none.
        exact : bool
            Compare with every matching record.
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
        """Answer several queries at once, a list of texts or a matrix of shape (n, dim); see `search`."""
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
        """Return the records nearest to a stored one, without itself; see `search`.

        Raises
        ------
        RecordNotFound
        """
        listed = [check_id(id)]

        def stored(generation: Generation) -> NDArray[np.float32]:
            vectors = self._backend.fetch(generation, listed).vectors
            if vectors is None or not len(vectors):
                raise RecordNotFound(f"Store {self.name!r} has no record {id!a}.")
            return vectors.astype(np.float32)

        return self._search(stored, k, where, min_score, ef, exact, include, without=listed[0])[0]

    # -- upkeep

    def reindex(self, index: IndexOptions | None = None, on_progress: Progress | None = None) -> None:
        """Build the index again, with other options where some are given, and calibrate it.

        Searches go on meanwhile.

        Parameters
        ----------
        index : Flat or HNSW, optional
        on_progress : callable, optional
            Called with how many records are indexed and how many there are.

        Raises
        ------
        StoreLocked
            Another process builds or compacts.
        """
        self._check_writable()

        def build(generation: Generation) -> None:
            wanted = self._reread(generation)
            if index is not None and index != wanted.schema.index:
                wanted = replace(wanted, schema=wanted.schema.with_index(index), ef=None)
                check_index(index, wanted.schema, self._backend)
                self._backend.amend(wanted)
                self._entry = replace(self._entry, active=wanted)
            self._backend.build_index(wanted, on_progress)
            self._calibrate(wanted)

        self._on_active(build)

    def calibrate(self) -> int | None:
        """Measure which search effort reaches the index's ``target_recall``; searches that name none use it then.

        Asks for the 10 nearest records of 200 stored ones, with more and more effort, and compares with exact
        searches, for about 10 seconds at most. `reindex` does it, and so does a write call that builds the
        index; by hand it is worth while after the data changed in kind.

        Returns
        -------
        int or None
            The effort, ``ef``. None where no effort is enough or there is no index: searches are exact.
        """
        self._check_writable()
        return self._on_active(self._calibrate).ef

    def compact(self) -> None:
        """Give back the room of removed and replaced records now; it happens on its own, in good time, too.

        An index over removed records is built anew. Searches and other writers go on meanwhile.

        Raises
        ------
        StoreLocked
            Another process builds or compacts.
        """
        self._check_writable()

        def compact(generation: Generation) -> None:
            if self._backend.compact(generation):
                self._calibrate(generation)

        self._on_active(compact)

    def index_status(self) -> IndexStatus:
        """Say what the index covers, and the search effort that calibration found."""

        def status(generation: Generation) -> IndexStatus:
            generation = self._reread(generation)
            state, index = self._backend.index_state(generation), generation.schema.index
            target = index.target_recall if isinstance(index, HNSW) else None
            return IndexStatus(kind(index), state.state, state.rows, state.indexed, generation.ef, target)

        return self._on_active(status)

    def measure_recall(self, queries: int = 200, k: int = 10, where: Where = None) -> recall.Recall:
        """Compare searches as they are with exact ones, for queries that lie between stored vectors.

        Parameters
        ----------
        queries : int
            How many to ask; always the same ones of the same store. Each is a stored vector turned part of
            the way towards another one, its length kept: a graph finds the neighbours of its own nodes more
            easily than others.
        k : int
        where : Filter or mapping, optional
            Measure searches under this filter; the queries come from the matching records.
        """
        if isinstance(queries, bool) or not isinstance(queries, int) or queries < 1:
            raise InvalidArgument(f"queries must be a whole number of at least 1, not {queries!r}.")
        check_arguments(k, None, None, ())

        def measure(generation: Generation) -> recall.Recall:
            probes = Probes.drawn(self._backend, generation, queries, int(k), bind(where, generation.schema)).leaning()
            return recall.summary(probes.recalls(), int(k))

        return self._on_active(measure)

    def stats(self) -> Stats:
        """Return the number of records, the bytes they take and figures peculiar to the backend."""
        return self._on_active(self._backend.stats)

    def verify(self) -> Verification:
        """Check every stored byte; what is damaged stands in the result's ``problems``."""
        return self._on_active(self._backend.verify)

    def using(self, connection: object) -> VectorStore:
        """Return the same store inside the caller's open transaction, where the backend can join one.

        Raises
        ------
        Unsupported
        """
        return VectorStore(self._backend.using(connection), self._entry, self._embedder)

    # -- parts

    def _on_active(self, operation: Callable[[Generation], T]) -> T:
        for _ in range(_LOOKS):
            entry = self._entry
            try:
                return operation(entry.active)
            except Superseded:
                self._entry = find_again(self._backend, entry)
            except _OF_A_SCHEMA:
                # What does not fit the generation that this object knows may fit one that took its place.
                self._entry = find_again(self._backend, entry)
                if self._entry.active.id == entry.active.id:
                    raise
        raise BackendUnavailable(
            f"Store {self.name!r} changed its generation {_LOOKS} times during one call. Try again."
        )

    def _check_writable(self) -> None:
        self._backend.capabilities.check_writable()

    def _calibrate(self, generation: Generation) -> Generation:
        present = upkeep.calibrated(self._backend, self._entry, generation)
        self._entry = replace(self._entry, active=present)
        return present

    def _tended(self, changed: int) -> int:
        """Do the upkeep that is due after a write of so many records, which are in whatever becomes of this."""

        def tend(generation: Generation) -> None:
            if self._backend.tend(generation):
                self._calibrate(generation)

        try:
            if changed:
                self._on_active(tend)
        except (StoreLocked, StoreNotFound):  # somebody else is at it, or nothing is left to tend
            return changed
        except (StorageError, UnknownOutcome, MemoryError) as error:
            reason = str(error) or "there was too little memory."
            warnings.warn(
                f"The records are written to store {self.name!r}; the upkeep after it failed: {reason} Searches stay "
                "right, perhaps slower. Mend the cause, then call reindex(), and compact() to give back room.",
                upkeep.UpkeepWarning,
                stacklevel=3,
            )
        except BaseException as error:  # an interrupt
            error.add_note(f"vecstore: the {changed} records of this call are written; upkeep was under way.")
            raise
        return changed

    def _write(self, records: Iterable[Record], batch_size: int | None, *, insert: bool) -> int:
        self._check_writable()
        committed = 0
        width = self.schema.width * np.dtype(self.schema.dtype).itemsize
        try:
            for batch in in_batches(records, batch_size, width):
                committed += self._on_active(partial(self._write_batch, batch, insert))
        except VecstoreError as error:
            if committed:
                raise PartialWrite(committed, error) from error
            raise
        except BaseException as error:  # the caller's own iterable failed, or an interrupt
            error.add_note(f"vecstore: {committed} records of this call are written.")
            raise
        return committed

    def _write_batch(self, batch: Sequence[Record], insert: bool, generation: Generation) -> int:  # noqa: FBT001
        embed = None
        if any(record.vector is None for record in batch):
            generation = self._present(generation)
            embed = self._embedder.documents(generation, self.name)
        rows = as_rows(batch, generation.schema, embed)
        if embed and generation.identity is None:
            generation = self._claimed(generation)
        return self._backend.write(generation, rows, insert=insert)

    def _present(self, generation: Generation) -> Generation:
        """Return a generation without a known embedder again: since it was looked up, it may have got one."""
        if generation.identity is not None or not self._embedder:
            return generation
        return self._reread(generation)

    def _reread(self, generation: Generation) -> Generation:
        entry = find_again(self._backend, self._entry)
        if entry.active.id != generation.id:
            raise Superseded
        self._entry = entry
        return entry.active

    def _claimed(self, generation: Generation) -> Generation:
        """Store the identity of the embedder that is the first to write into a store made without one."""
        claimed = replace(generation, identity=self._embedder.identity(generation, self.name).to_json())
        self._backend.amend(claimed)
        self._entry = replace(self._entry, active=claimed)
        return claimed

    def _update_of(self, changes: Mapping[str, Any], generation: Generation) -> Update:
        values = dict(changes)
        for key in ("id", "score", "distance"):
            if key in values:
                raise InvalidArgument(f"update() cannot set {key!r}.")
        sets_text, text = "text" in values, metadata.check_text(values.pop("text", None), "update()")
        if "vector" in values and values["vector"] is None:
            raise InvalidArgument("A record cannot be without a vector; update() cannot remove it.")
        vector = values.pop("vector", None)
        declared, extra = metadata.split(values, generation.schema.fields, "update()")
        texts = metadata.dump_each(extra, "update()")
        return Update(declared, texts, self._new_vector(vector, text, generation), sets_text, text)

    def _new_vector(self, vector: Any, text: str | None, generation: Generation) -> NDArray[Any] | None:
        schema = generation.schema
        if vector is not None:
            return as_matrix([vector], schema, ["The new vector"])[0]  # type: ignore[no-any-return]
        if text is None:
            return None
        generation = self._present(generation)
        embed = self._embedder.documents(generation, self.name)
        if embed is None:
            raise EmbedderRequired(
                "The new text needs a new vector, and the store has no embedder. "
                "Open the store with embedder=…, or set 'vector' too."
            )
        made = as_matrix(list(embed([text], label=lambda _: "The new text")), schema, ["The new text"])
        if generation.identity is None:
            self._claimed(generation)
        return made[0]  # type: ignore[no-any-return]

    def _pages(self, where: Where, batch_size: int) -> Iterator[Record]:
        after: str | None = None
        while True:
            page = self._on_active(partial(self._page, where, after, batch_size))
            if not page:
                return
            yield from page
            after = page[-1].id

    def _page(self, where: Where, after: str | None, limit: int, generation: Generation) -> list[Record]:
        rows = self._backend.page(generation, bind(where, generation.schema), after, limit)
        return as_records(rows, generation.schema)

    def _fetched(self, ids: Sequence[str], generation: Generation) -> list[Record]:
        return as_records(self._backend.fetch(generation, ids), generation.schema)

    def _search(
        self,
        asked: Sequence[Any] | Callable[[Generation], NDArray[np.float32]],
        k: int,
        where: Where,
        min_score: float | None,
        ef: int | None,
        exact: bool,  # noqa: FBT001 - handed on from the public methods, where it has a name
        include: Collection[str],
        *,
        without: str | None = None,
    ) -> list[Hits]:
        columns: Include = check_arguments(k, min_score, ef, include)

        def find(generation: Generation) -> list[Hits]:
            schema = generation.schema
            matrix = asked(generation) if callable(asked) else self._query_matrix(asked, generation)
            search = queries.compiled(
                matrix, schema, k=int(k), where=where, min_score=min_score, ef=ef, exact=exact, include=columns,
                without=without,
            )  # fmt: skip
            if not k or not len(matrix):
                return [Hits((), exact=True, complete=True) for _ in matrix]
            return [queries.hits(found, search, schema) for found in self._backend.search(generation, search)]

        return self._on_active(find)

    def _query_matrix(self, asked: Sequence[Any], generation: Generation) -> NDArray[np.float32]:
        if len(asked) == 1 and (plain := queries.plain_matrix(asked[0], generation.schema)) is not None:
            return plain
        vectors = list(asked)
        places = [place for place, query in enumerate(asked) if isinstance(query, str)]
        if places:
            generation = self._present(generation)
            made = self._embedder.queries(generation, self.name)([asked[place] for place in places])
            for place, vector in zip(places, made, strict=True):
                vectors[place] = vector
        return as_queries(vectors, generation.schema)


def as_records(rows: Rows, schema: Schema) -> list[Record]:
    """Return rows with all columns as records."""
    if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("records need every column")
    values = metadata.joined(rows.fields, rows.extras, schema.fields)
    return [Record(*record) for record in zip(rows.ids, rows.vectors, rows.texts, values, strict=True)]


def check_index(index: IndexOptions, schema: Schema, backend: Backend) -> None:
    """Refuse an index that the backend cannot build for the schema.

    Raises
    ------
    Unsupported
    """
    able = backend.capabilities
    if kind(index) not in able.indexes:
        raise Unsupported(f"the index {kind(index)}", able.backend, f"It has: {', '.join(able.indexes)}.")
    if isinstance(index, HNSW) and schema.width > able.max_hnsw_dim:
        hint = f"At most {able.max_hnsw_dim:,}. Use index=Flat()."
        raise Unsupported(f"an HNSW index over {schema.width:,} dimensions", able.backend, hint)


def _selection(ids: list[str] | None, where: Where, schema: Schema) -> Selection:
    if ids is not None and where is None:
        return ids
    bound = bind(where, schema)
    if bound is None or ids is not None:
        raise InvalidArgument("Give ids=[…] or where=…, one of them. Every record is where=vecstore.ALL.")
    return bound
