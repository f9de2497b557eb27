"""The contract that a backend fulfils, and the data that crosses it.

The facade above (`VectorStore`, `Database`) validates, embeds, batches, orders and retries; a backend
stores and finds. Everything that arrives here is valid: ids and texts are storable, vectors have the
schema's shape and dtype, filters are bound (see `vecstore.filters.nodes`), field values are in stored form
(see `vecstore.fields`).

A data method works on a `Generation`, one physical store. The facade holds the generation that it
believes to be active; a backend answers `Superseded` where that is no longer so, and the facade looks
again. One call is one atomic step; only an engine that would stand still for it may commit a selection
by filter in parts of whole records, and says `PartialWrite` when it breaks off between them.
"""

# Longer than 300 lines because one contract is read in one go, and most of it is documentation.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import Unsupported
from .fields import Stored
from .filters.nodes import Filter
from .index import HNSW
from .schema import Schema

Include = frozenset[Literal["text", "metadata", "vector"]]
Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are in all."""
Selection = Sequence[str] | Filter
"""Records by id (absent ids are passed over), or by a bound filter."""


class Superseded(Exception):
    """The generation is gone, or its role is not what ``standby`` says; nothing was read or written."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; determined once at connect, asked before an operation's I/O."""

    backend: str
    max_dim: int
    max_hnsw_dim: int
    dtypes: tuple[str, ...] = ("float32", "float16")
    metrics: tuple[str, ...] = ("cosine", "ip", "l2")
    indexes: tuple[str, ...] = ("flat", "hnsw")
    durable: bool = True
    """What a write call acknowledged survives the end of the process."""
    shared: bool = True
    """Several processes may use the place at once."""
    transactions: bool = False
    """`VectorStore.using` can join the caller's transaction."""
    read_only: bool = False
    namespaces: bool = False
    """One place keeps several databases apart by a name."""
    migrations: bool = False
    """The catalogue is under migrations."""

    def check_writable(self) -> None:
        """Refuse to write through a Database that only reads.

        Raises
        ------
        Unsupported
        """
        if self.read_only:
            raise Unsupported("writing", self.backend, "The Database was opened read-only (mode=ro).")

    def check_schema(self, schema: Schema) -> None:
        """Refuse a schema that the backend cannot store.

        Raises
        ------
        Unsupported
        """
        for what, value, known in (
            ("the metric", schema.metric.value, self.metrics),
            ("the dtype", schema.dtype, self.dtypes),
        ):
            if value not in known:
                raise Unsupported(f"{what} {value}", self.backend, f"It has: {', '.join(known)}.")
        if schema.width > self.max_dim:
            raise Unsupported(f"{schema.width:,} dimensions", self.backend, f"The maximum is {self.max_dim:,}.")
        self.check_index(schema)

    def check_index(self, schema: Schema) -> None:
        """Refuse a schema whose index the backend cannot build.

        Raises
        ------
        Unsupported
        """
        kind = schema.index.kind
        if kind not in self.indexes:
            raise Unsupported(f"the index {kind}", self.backend, f"It has: {', '.join(self.indexes)}.")
        if isinstance(schema.index, HNSW) and schema.width > self.max_hnsw_dim:
            hint = f"The maximum is {self.max_hnsw_dim:,}. Use index=Flat()."
            raise Unsupported(f"an HNSW index over {schema.width:,} dimensions", self.backend, hint)


@dataclass(frozen=True, slots=True)
class Generation:
    """One physical store, never renamed.

    A caller's copy may be older than the catalogue in what `Backend.amend` changes: the index options,
    ``identity`` and ``ef``. A backend goes by the catalogue's.

    Attributes
    ----------
    id : str
        32 hexadecimal digits.
    schema : Schema
    identity : mapping or None
        Plain JSON data about the embedder that filled it; a backend keeps it and looks at none of it.
    ef : int or None
        The calibrated search effort. None: not calibrated, or no effort reaches the target; a search
        without an ``ef`` of its own is exact then.
    standby : bool
        False where the caller believes the generation to be the active one of its store, True for a
        generation that is being built or was replaced and is kept.
    """

    id: str
    schema: Schema
    identity: Mapping[str, Any] | None = None
    ef: int | None = None
    standby: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A store in the catalogue.

    ``building`` is the generation under construction, ``previous`` the one that a switch replaced and
    that is kept; at most one of them is set. While either is, every write also notes its ids in the
    active generation's change list, in the same commit.
    """

    uid: str
    name: str
    active: Generation
    building: Generation | None = None
    previous: Generation | None = None

    @property
    def standby(self) -> Generation | None:
        """The generation beside the active one, whichever it is."""
        return self.building or self.previous


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Records by column. Columns that were not asked for are None.

    Attributes
    ----------
    ids : list of str
    vectors : ndarray, shape (n, dim), in the schema's dtype
    texts : list of str or None
    fields : mapping of str to list
        Every declared field, in stored form; None where missing.
    extras : list of str
        Undeclared metadata, one JSON object on one line each, ``{}`` when there is none.
    versions : list of int
        Given by `Backend.fetch` and `Backend.page`; a write takes fences instead.
    """

    ids: Sequence[str]
    vectors: NDArray[Any] | None
    texts: Sequence[str | None] | None
    fields: Mapping[str, Sequence[Stored | None]] | None
    extras: Sequence[str] | None
    versions: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What `Backend.update` lays over a record. None removes a field, an extra key or the text.

    `vecstore.rows.metadata.merge` lays ``extra`` over a record's.

    Attributes
    ----------
    fields : mapping of str to stored form
    extra : mapping of str to JSON text
    vector : ndarray, shape (dim,), optional
        None leaves the vector as it is.
    sets_text : bool
        Whether ``text`` replaces the record's.
    text : str, optional
    """

    fields: Mapping[str, Stored | None]
    extra: Mapping[str, str | None]
    vector: NDArray[Any] | None = None
    sets_text: bool = False
    text: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """One or more queries over one generation.

    Attributes
    ----------
    queries : ndarray, shape (q, dim), float32
    k : int
        1 to 10,001, one more than a user may ask for.
    where : Filter or None
    min_score : float or None
        Inclusive; a backend may use it to stop early, the facade applies it in any case.
    ef : int or None
        Candidates that a graph looks at; None is the generation's calibrated value, and an exact search
        where it has none.
    exact : bool
        No approximation.
    include : frozenset
        Which columns the found rows carry.
    """

    queries: NDArray[np.float32]
    k: int
    where: Filter | None = None
    min_score: float | None = None
    ef: int | None = None
    exact: bool = False
    include: Include = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The answer to one query: at least the ``k`` nearest where that many match, in any order.

    Attributes
    ----------
    rows : Rows
    scores : ndarray, shape (n,), float64
        Larger is nearer; the formulas are `vecstore.metric`'s.
    exact : bool
    complete : bool
        False where there may be more matches than were found, fewer than ``k``.
    """

    rows: Rows
    scores: NDArray[np.float64]
    exact: bool
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """An id in a change list, with the sequence number of the note; a later note may replace an earlier one."""

    seq: int
    id: str


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far the index of a generation is.

    Attributes
    ----------
    state : {"none", "building", "ready", "invalid"}
        ``"none"``: there is none, every search is exact.
    rows : int
        Records in the store.
    indexed : int
        Records that the index covers; the others are searched beside it.
    """

    state: Literal["none", "building", "ready", "invalid"]
    rows: int
    indexed: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes
    ----------
    records : int
        Records whose every byte was checked.
    problems : tuple of str
        What is damaged, empty when nothing is.
    """

    records: int
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures about one generation.

    Attributes
    ----------
    records : int
    bytes : int
        On disk, or in memory where nothing is on disk.
    details : mapping
        What is peculiar to the backend, for people to read.
    """

    records: int
    bytes: int
    details: Mapping[str, str | int | float] = field(default_factory=dict)


class Backend(ABC):
    """The driver contract.

    Errors are those of `vecstore.errors`; a driver's own never escape. Beside the errors named at a
    method, each may raise a `StorageError`, `UnknownOutcome` or `ForkedStore`, and each data method
    `Superseded`. A write that meets a switch or another writer waits up to ``lock_timeout``, then raises
    `StoreLocked`. Writes to a standby generation take no notes and pass during a switch.
    """

    capabilities: Capabilities

    # -- catalogue

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all stores, sorted."""

    @abstractmethod
    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        """Return the entry of a store by its name, or by its uid, which outlives a renaming.

        Raises
        ------
        StoreNotFound
        """

    @abstractmethod
    def create(self, name: str, generation: Generation) -> Entry:
        """Create a physical store, and point the name at it or, for a standby one, attach it as ``building``.

        Raises
        ------
        StoreExists
            The name is taken; or, for a standby generation, the store has a standby already.
        StoreNotFound
            There is no store to build for.
        """

    @abstractmethod
    def rename(self, uid: str, name: str) -> None:
        """Give a store another name.

        Raises
        ------
        StoreNotFound, StoreExists
        """

    @abstractmethod
    def drop(self, uid: str, generation: str | None = None) -> None:
        """Remove a store with all its generations, or one standby generation and the change list with it.

        Raises
        ------
        StoreNotFound
        """

    @abstractmethod
    def amend(self, generation: Generation) -> None:
        """Store a generation's index options, identity and ``ef``, whatever its role; nothing else may differ."""

    @abstractmethod
    def builder(self, uid: str) -> AbstractContextManager[None]:
        """Be the only builder of a store while the context lasts.

        A killed process holds nothing any more, a vanished machine nothing beyond a lease.

        Raises
        ------
        StoreLocked
        """

    @abstractmethod
    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        """Make the standby generation of that id the active one, and the active one ``previous``.

        No write to the active generation commits from the moment of the call to its end. The changes
        still noted are handed to ``drain``, once and be it an empty list, which copies those records into
        the standby; it may read both generations and write to the standby. Then the pointer flips, and
        both change lists are empty. When ``drain`` raises, the pointer and the changes are as before. The
        caller settles changes down to few beforehand.

        Raises
        ------
        StoreLocked
            Another switch is under way.
        StoreNotFound
            There is no such store, or its standby is not that generation.
        """

    # -- records

    @abstractmethod
    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        """Write one batch of distinct ids in one atomic commit.

        Parameters
        ----------
        generation : Generation
        rows : Rows
            All columns given.
        insert : bool
            True refuses ids that are stored; False replaces those records whole.
        fence : sequence of int, 0 to 2⁵³, optional
            One for each row; not together with ``insert``. A row is written only where the stored version,
            or that of a tombstone, is at most its fence; its version then is the fence. Without fences a
            row keeps the version that the id or its tombstone has, 0 when there is neither. A
            written row ends its tombstone; a row that its fence holds back is not noted.

        Returns
        -------
        int
            Rows written.

        Raises
        ------
        RecordExists
            With ``insert``; nothing was written.
        """

    @abstractmethod
    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        """Lay changes over the selected records, versions kept; return how many there were."""

    @abstractmethod
    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None = None) -> int:
        """Remove the selected records; return how many there were.

        The version of an id never falls: a removed record with a version above 0 leaves a tombstone of
        that version, so that no fence that was refused before passes after. A tombstone of version 0 is none.

        With fences, one for each id of a selection by ids, a record is removed only where its version is
        at most its fence, and a tombstone with the fence as its version is left where no newer one stands,
        whether or not there was a record.
        """

    @abstractmethod
    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        """Forget the settled changes, then return up to ``limit`` noted ones, oldest first.

        A record that changed again after its note was returned has a new note, with a new sequence
        number; settling the old one does not remove it. An empty answer does not prove that nothing is
        noted: only `switch` sees the end.
        """

    @abstractmethod
    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        """Return the records of those ids that exist, all columns, in any order."""

    @abstractmethod
    def page(self, generation: Generation, where: Filter | None, after: str | None, limit: int) -> Rows:
        """Return the first ``limit`` matching records with an id beyond ``after``, ordered by id, all columns."""

    @abstractmethod
    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        """Return up to ``size`` matching records, spread evenly over the order of their ids, all columns.

        Of n matches those at the places ⌊i·n/size⌋ for i = 0 … size − 1, in that order; all of them where
        n ≤ ``size``, which is at least 1. Every backend draws the same records.
        """

    @abstractmethod
    def count(self, generation: Generation, where: Filter | None) -> int:
        """Return how many records match."""

    @abstractmethod
    def search(self, generation: Generation, search: Search) -> list[Found]:
        """Return one answer for each query."""

    @abstractmethod
    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        """Return the versions of the first ``limit`` tombstones with an id beyond ``after``, in the order of ids."""

    # -- upkeep

    @abstractmethod
    def build_index(self, generation: Generation, on_progress: Progress | None = None) -> None:
        """Build the index of the schema over all records, or remove it for ``Flat``; searches go on meanwhile.

        The generation may be the active one or a standby. Its ``ef`` stays as it is: whoever builds
        calibrates anew.

        Raises
        ------
        StoreLocked
            Somebody else builds or compacts.
        """

    def tend(self, generation: Generation) -> bool:
        """Do the upkeep that is due; the facade calls this at the end of each write call that changed something.

        Build or extend the index that the schema asks for, give back the room of removed records. Cheap
        where nothing is due; searches and other writers go on meanwhile. The generation may be a standby.

        Returns
        -------
        bool
            Whether the index changed so much that its search effort has to be calibrated.

        Raises
        ------
        StoreLocked
            Somebody else is at it.
        """
        return False

    def compact(self, generation: Generation) -> bool:
        """Give back the room of removed records now, in the index too; searches and other writers go on meanwhile.

        Returns
        -------
        bool
            Whether the index changed so much that its search effort has to be calibrated.

        Raises
        ------
        StoreLocked
            Somebody else builds or compacts.
        """
        return False

    def backup(self, target: str) -> None:
        """Copy the whole database while it is used, each store as it is at one moment, into a new or empty directory.

        Raises
        ------
        Unsupported
        """
        hint = "Use a tool of the engine's own, such as pg_dump for PostgreSQL."
        raise Unsupported("backup", self.capabilities.backend, hint)

    @abstractmethod
    def index_state(self, generation: Generation) -> IndexState:
        """Say how far the index is."""

    @abstractmethod
    def stats(self, generation: Generation) -> Stats:
        """Return figures."""

    @abstractmethod
    def verify(self, generation: Generation) -> Verification:
        """Check every stored byte, as far as the engine keeps checksums; damage is reported, not raised."""

    @abstractmethod
    def close(self) -> None:
        """Release connections, files and locks; a second call does nothing."""

    def using(self, connection: object) -> Backend:
        """Return a backend that works inside the caller's open transaction.

        Raises
        ------
        Unsupported
        """
        raise Unsupported("joining a transaction", self.capabilities.backend)
