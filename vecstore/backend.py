"""The contract of a backend, and the data that crosses it.

The facade (`VectorStore`, `Database`) validates, embeds, batches, sorts and retries. A backend stores and
finds. Its arguments are always valid: ids and texts are storable, vectors have the schema's shape and dtype,
filters are bound (see `vecstore.filters.nodes`), and field values are in stored form (see `vecstore.fields`).

A data method works on a `Generation`, one physical store. The facade passes the generation that it believes
to be active. A backend raises `Superseded` if it no longer is, and the facade looks it up again. A call is
atomic. Only an engine that would block during a large update or delete by filter may commit it in parts of
whole records; it raises `PartialWrite` if it stops between two parts.
"""

# Longer than 300 lines because the contract is read in one go, and most of it is documentation.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .capabilities import Capabilities as Capabilities  # a part of the contract
from .errors import Unsupported
from .fields import Stored
from .filters.nodes import Filter
from .index_options import HNSW
from .progress import Progress as Progress  # a part of the contract
from .rows.tallies import rank_values, tally_column
from .schema import Schema

Include = frozenset[Literal["text", "metadata", "vector"]]
EVERYTHING: Include = frozenset({"text", "metadata", "vector"})
"""All columns of a row."""
Selection = Sequence[str] | Filter
"""Records selected by id (missing ids are ignored) or by a bound filter."""


class Superseded(Exception):
    """The generation is gone, or its role is not what ``standby`` says. Nothing was read or written."""


@dataclass(frozen=True, slots=True)
class CalibrationState:
    """How the search effort of an index was found, or why there is none. A backend stores it without interpreting it.

    Attributes
    ----------
    measured : str or None
        The queries that it was measured with; None if it could not be measured.
    recall : float or None
        The mean recall@10 of these queries, at the effort that was found; without one, the best that any reached.
    reason : str or None
        Why there is no effort, as a sentence.
    """

    measured: str | None = None
    recall: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """The store in another Database that holds the records of a generation; see `vecstore.swap`.

    Attributes
    ----------
    place : str
        The kind of the other Database: the name of its backend.
    uid, name : str
        The other store's.
    move : str
        32 hexadecimal digits of the latest move or copy between both.
    kind : {"move", "copy", "back", "load"}
        ``"back"`` where a move brings the records back, which are still there until the other store names this one.
        ``"load"`` where no other store has the records, but a load of `vecstore.bulk` is writing them.
    arrived : bool
        Of a signpost: whether the other store is known to be active, so that it needs the signpost no more.
    """

    place: str
    uid: str
    name: str
    move: str
    kind: Literal["move", "copy", "back", "load"] = "move"
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """One physical store, never renamed.

    A remote generation is a line in the catalogue and no more: another Database holds its records, and every data
    method answers `Superseded`. It has the roles of other generations: while it is the standby, writes are noted, and
    a switch to it sends clients elsewhere.

    `Backend.amend` changes the index options, ``identity``, ``ef`` and ``calibration``, so a caller's copy of these
    may be outdated. A backend uses those in the catalogue.

    Attributes
    ----------
    id : str
        32 hexadecimal digits.
    schema : Schema
    identity : mapping or None
        JSON data about the embedder that filled it. A backend stores it without interpreting it.
    ef : int or None
        The calibrated search effort. None if it is not calibrated or no effort reaches the target; a search
        without ``ef`` is exact then.
    standby : bool
        False if the caller believes that the generation is the active one of its store. True for a generation
        that is being built, or that was replaced and is kept.
    calibration : CalibrationState or None
        How ``ef`` was found; None if the index was never calibrated.
    remote : Remote or None
        Where the records are, if they are in another Database.
    """

    id: str
    schema: Schema
    identity: Mapping[str, Any] | None = None
    ef: int | None = None
    standby: bool = False
    calibration: CalibrationState | None = None
    remote: Remote | None = None

    def amend(self, other: Generation) -> Generation:
        """Return a copy of the generation with what it may change; an identity that it has already stays."""
        return replace(other, identity=other.identity if self.identity is None else self.identity, standby=self.standby)


@dataclass(frozen=True, slots=True)
class Entry:
    """A store in the catalogue.

    ``building`` is the generation under construction; ``previous`` is a kept generation that a switch
    replaced. While there is one, every write also notes its ids in the active generation's change list, in
    the same commit. While both are set, ``building`` is the standby. ``previous`` is parked: it is kept as it
    is and answers `Superseded`, until ``building`` is dropped, which makes it the standby again, without what
    was written meanwhile; or becomes active, which ends ``previous``.
    """

    uid: str
    name: str
    active: Generation
    building: Generation | None = None
    previous: Generation | None = None

    @property
    def standby(self) -> Generation | None:
        """The generation that follows the active one: ``building`` or ``previous``."""
        return self.building or self.previous

    @property
    def generations(self) -> tuple[Generation, ...]:
        """All generations: the active one, the standby, and one that is parked."""
        return tuple(each for each in (self.active, self.building, self.previous) if each is not None)

    @property
    def is_incoming(self) -> bool:
        """Whether a move or a copy from another Database is filling the store, which nobody else may use yet."""
        return self.active.remote is not None and self.previous is None

    @property
    def successor(self) -> Remote | None:
        """Where the store has moved; None if its records are here, or not yet."""
        return None if self.is_incoming else self.active.remote

    @property
    def may_be_awaited(self) -> bool:
        """Whether the other place may have switched to the records here already, which makes them the only ones."""
        way = self.active.remote
        return way is not None and way.kind in {"move", "back"} and (self.is_incoming or way.kind == "back")

    def has_role(self, generation: Generation) -> bool:
        """Say whether the store has the records of that generation, in the role that ``generation.standby`` says."""
        holder = self.standby if generation.standby else self.active
        return holder is not None and holder.id == generation.id and holder.remote is None

    def replace_generation(self, generation: Generation) -> Entry:
        """Return the entry with the generation of that id, whatever its role, replaced by this one.

        An identity that it has already stays.
        """
        if self.active.id == generation.id:
            return replace(self, active=self.active.amend(generation))
        if self.building is not None and self.building.id == generation.id:
            return replace(self, building=self.building.amend(generation))
        if self.previous is not None and self.previous.id == generation.id:
            return replace(self, previous=self.previous.amend(generation))
        return self

    def drop_beside(self, generation: str) -> Entry | None:
        """Return the entry without the generation of that id beside the active one; None if there is none."""
        if self.building is not None and self.building.id == generation:
            return replace(self, building=None)
        if self.previous is not None and self.previous.id == generation:
            return replace(self, previous=None)
        return None

    def switch(self, standby: Generation) -> Entry:
        """Return the entry with its standby as the active generation, and the active one as ``previous``."""
        return Entry(self.uid, self.name, replace(standby, standby=False), previous=replace(self.active, standby=True))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Records by column. Columns that were not requested are None.

    Attributes
    ----------
    ids : list of str
    vectors : ndarray, shape (n, dim), in the schema's dtype
        Zeros where a record has no vector.
    texts : list of str or None
    fields : mapping of str to list
        Every declared field, in stored form; None for missing values.
    extras : list of str
        Undeclared metadata, one single-line JSON object per record, ``{}`` if there is none.
    versions : list of int
        Returned by `Backend.fetch` and `Backend.page`; a write takes fences instead.
    present : ndarray of bool, shape (n,), or None
        Which records have a vector; None where all have one, as always where the schema requires vectors.
    """

    ids: Sequence[str]
    vectors: NDArray[Any] | None
    texts: Sequence[str | None] | None
    fields: Mapping[str, Sequence[Stored | None]] | None
    extras: Sequence[str] | None
    versions: Sequence[int] | None = None
    present: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """The changes that `Backend.update` applies. None removes a field, an extra key or the text.

    `vecstore.rows.metadata.merge` applies ``extra`` to a record's undeclared metadata.

    Attributes
    ----------
    fields : mapping of str to stored form
    extra : mapping of str to JSON text
    vector : ndarray, shape (dim,), optional
        None leaves the vector unchanged, unless ``removes_vector``.
    sets_text : bool
        Whether ``text`` replaces the record's.
    text : str, optional
    removes_vector : bool
        Only where the schema does not require vectors.
    """

    fields: Mapping[str, Stored | None]
    extra: Mapping[str, str | None]
    vector: NDArray[Any] | None = None
    sets_text: bool = False
    text: str | None = None
    removes_vector: bool = False


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
        Inclusive. A backend may use it to stop early; the facade applies it in any case.
    ef : int or None
        Number of candidates of a graph search. None means the generation's calibrated value, or an exact
        search if it has none.
    exact : bool
        No approximation.
    include : frozenset
        The columns of the found rows.
    fresh : bool
        Never answered by a replica: the caller measures the index, which a replica may not have yet.
    """

    queries: NDArray[np.float32]
    k: int
    where: Filter | None = None
    min_score: float | None = None
    ef: int | None = None
    exact: bool = False
    include: Include = frozenset()
    fresh: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The answer to one query, in any order: at least the ``k`` nearest records if that many match and have a vector.

    Attributes
    ----------
    rows : Rows
    scores : ndarray, shape (n,), float64
        Larger is nearer. `vecstore.metric` defines them.
    exact : bool
    complete : bool
        False if fewer than ``k`` were found although more may match.
    """

    rows: Rows
    scores: NDArray[np.float64]
    exact: bool
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """An id in a change list, with the sequence number of its note. A later note may replace an earlier one."""

    seq: int
    id: str


@dataclass(frozen=True, slots=True)
class IndexState:
    """The state of a generation's index.

    Attributes
    ----------
    state : {"none", "building", "ready", "invalid"}
        ``"none"`` means that there is no index and every search is exact.
    rows : int
        Records in the store.
    indexed : int
        Records that the index covers. Others with a vector are searched exactly.
    min_rows : int or None
        A write builds an index over at least so many records. None if the backend never builds one.
    ef_construction : int or None
        With which the index was built.
    without_vector : int
        Records that have no vector, and which no index covers.
    reason : str or None
        Why searches are exact although an index is asked for, where only the backend knows it; with what to do.
    """

    state: Literal["none", "building", "ready", "invalid"]
    rows: int
    indexed: int
    min_rows: int | None = None
    ef_construction: int | None = None
    without_vector: int = 0
    reason: str | None = None

    @property
    def vectors(self) -> int:
        """How many records have a vector."""
        return self.rows - self.without_vector


@dataclass(frozen=True, slots=True)
class Followed:
    """What one call of `Backend.follow` did, and what is left.

    Attributes
    ----------
    sent : int
        Ids whose records it brought.
    pending : int
        Ids that wait.
    lag : float
        For how many seconds the first of these has waited.
    rests : float
        For how many seconds nothing can be done.
    built : bool
        Whether the search effort of the index has to be calibrated.
    copying : bool
        Whether a copy is under way, here or in another process, or due; the measurement of its index is part of it.
    """

    sent: int = 0
    pending: int = 0
    lag: float = 0.0
    rests: float = 0.0
    built: bool = False
    copying: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`.

    Attributes
    ----------
    records : int
        Number of records whose bytes were all checked.
    problems : tuple of str
        One text for each damaged thing; empty if nothing is damaged.
    unchecked : tuple of str
        What beside the records could not be checked, and why: an engine that follows does not answer.
    """

    records: int
    problems: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

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
        Bytes on disk, or in memory if nothing is on disk.
    details : mapping
        Backend-specific figures for people to read.
    """

    records: int
    bytes: int
    details: Mapping[str, str | int | float] = field(default_factory=dict)


class HeldOut(Protocol):
    """Stored records that a graph does not have, as queries to measure it with: what users ask is not in it either."""

    def __len__(self) -> int:
        """Return the number of queries."""

    def find(self, part: slice, k: int, ef: int | None) -> list[Found]:
        """Return for each of some queries the nearest of the records that the graph has, by any name that tells them.

        Parameters
        ----------
        part : slice
        k : int
        ef : int or None
            The effort of a graph search; None compares all these records. Where a search of that effort would
            compare them too, `Found.exact` says so.
        """


Measure = Callable[[HeldOut, HNSW], None]
"""Takes held-out records and the options of the graph that is about to get them."""


class Backend(ABC):
    """The driver contract.

    A backend raises only errors of `vecstore.errors`, never those of its driver. Besides the errors named at
    a method, each may raise a `StorageError`, `UnknownOutcome` or `ForkedStore`, and each data method
    `Superseded`. A write that meets a switch or another writer waits up to ``lock_timeout``, then raises
    `StoreLocked`. Writes to a standby generation note no changes and are allowed during a switch.
    """

    capabilities: Capabilities
    backup_hint = "Use the engine's own tool."
    """What to do instead, where `backup` is not supported."""
    computes_here = False
    """Whether searches compute in this process, so that threads had better pass one at a time; see `turnstile`."""

    # -- catalogue

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all stores, sorted, without those that are still incoming, see `Entry.is_incoming`."""

    @abstractmethod
    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        """Return the entry of a store by its name, or by its uid, which a rename does not change.

        Raises
        ------
        StoreNotFound
        """

    @abstractmethod
    def create(self, name: str, generation: Generation) -> Entry:
        """Create a physical store. A standby generation is attached as ``building``; another one gets the name.

        A ``previous`` generation is parked, see `Entry`. The change list begins empty. A remote generation takes no
        space. A new store with one is incoming.

        Raises
        ------
        StoreExists
            The name is taken; or, for a standby generation, one is under construction already.
        StoreNotFound
            The store of the standby generation does not exist.
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
        """Remove a store with all its generations, or one generation beside the active one.

        The change list goes with the standby generation.

        Raises
        ------
        StoreNotFound
        """

    @abstractmethod
    def amend(self, generation: Generation) -> None:
        """Store a generation's index options, ``ef``, calibration and identity, in any role; of a remote one its place.

        Nothing else may differ.

        A generation keeps the identity that it has, in the same atomic step: of two embedders that claim it at
        once, the first one stays.
        """

    @abstractmethod
    def builder(self, uid: str) -> AbstractContextManager[None]:
        """Be the only builder of a store inside the context.

        A killed process holds no lock; a vanished machine holds it only until its lease ends.

        Raises
        ------
        StoreLocked
        """

    def explain_volatility(self) -> str | None:
        """Say why a write that was acknowledged may be lost, as a sentence; None if it may not."""
        return None if self.capabilities.durable else "Its records end with the process."

    def make_durable(self) -> None:  # noqa: B027 - most backends acknowledge what is durable
        """Wait until every write so far is durable, as far as `explain_volatility` has nothing against it."""

    def check_rebuildable(self, entry: Entry) -> None:  # noqa: B027 - most backends have nothing to refuse
        """Refuse a rebuild or a rollback that would lose records or what else belongs to the active generation.

        The builder calls it before it copies anything.

        Raises
        ------
        Unsupported
        """

    def check_sees_all(self, entry: Entry) -> None:  # noqa: B027 - most backends show all records to everybody
        """Refuse a copy that would take the records that the caller may see for all of them.

        Raises
        ------
        Unsupported
        """

    @abstractmethod
    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        """Make the standby generation with this id active, and the active one ``previous``; drop a parked one.

        No write to the active generation commits during the call. ``drain`` is called exactly once with the
        changes still noted, even if there are none, and copies these records into the standby. It may read
        both generations and write to the standby. Then the pointer flips, and both change lists are empty. If
        ``drain`` raises, the pointer and the changes are unchanged. The caller settles all but a few changes
        beforehand.

        Raises
        ------
        StoreLocked
            Another switch is under way.
        StoreNotFound
            The store does not exist, or its standby is another generation.
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
            True refuses stored ids; False replaces those records as a whole.
        fence : sequence of int, 0 to 2⁵³, optional
            One for each row; not together with ``insert``. A row is written only if the version of the stored
            record or tombstone is at most its fence, and the fence becomes its version. Without fences a row
            keeps the version of its record or tombstone, or gets 0 if there is neither. A written row removes
            its tombstone. A row that its fence refuses is not noted.

        Returns
        -------
        int
            Rows written.

        Raises
        ------
        RecordExists
            With ``insert``. Nothing was written.
        """

    @abstractmethod
    def write_groups(self, generation: Generation, rows: Rows, fences: Mapping[str, int]) -> int:
        """Replace groups of records in one atomic commit, each of them as a whole or not at all.

        `vecstore.groups` says which ids the records of a group have. The version of its head, be that a record or a
        tombstone, decides for all of it: a group is written if that version is at most the group's fence. Its records
        that are stored and not among the rows are deleted then. The fence becomes the version of what is written, and
        of the tombstones of what is deleted and of the head of an empty group; only a member that somebody wrote alone
        with a higher version keeps it. Nothing of a group that its fence refuses is written, deleted or noted.

        Parameters
        ----------
        generation : Generation
        rows : Rows
            All columns given, distinct ids. Each belongs to one of the groups. A group has its head among them, or no
            row at all.
        fences : mapping of str to int, 0 to 2⁵³
            By the ids of heads.

        Returns
        -------
        int
            Rows written.
        """

    @abstractmethod
    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        """Apply changes to the selected records, keep their versions, and return how many there were."""

    @abstractmethod
    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None = None) -> int:
        """Delete the selected records, and return how many there were.

        The version of an id never decreases: a deleted record with a version above 0 leaves a tombstone of
        that version, so that a fence refused before is refused after. There are no tombstones of version 0.

        With fences, one for each id of a selection by ids, a record is deleted only if its version is at most
        its fence. The fence becomes the version of a tombstone unless there is a newer one, whether or not
        there was a record.
        """

    @abstractmethod
    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        """Forget the settled changes, then return up to ``limit`` noted ones, oldest first.

        A record that changed again after its note was returned has a new note with a new sequence number, and
        settling the old note does not remove it. An empty answer does not prove that nothing is noted; only
        `switch` sees all changes.
        """

    @abstractmethod
    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        """Return the existing records of these ids with all columns, in any order."""

    @abstractmethod
    def page(
        self,
        generation: Generation,
        where: Filter | None,
        after: str | None,
        limit: int,
        include: Include = EVERYTHING,
    ) -> Rows:
        """Return the first ``limit`` matching records with an id above ``after``, ordered by id.

        They have at least the columns in ``include``, and versions.
        """

    @abstractmethod
    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        """Return up to ``size`` matching records that have a vector, spread evenly over the order of their ids.

        They have all columns.

        Of n matches these are the ones at positions ⌊i·n/size⌋ for i = 0 … size − 1, in that order, or all of
        them if n ≤ ``size``, which is at least 1. Every backend returns the same records.
        """

    @abstractmethod
    def count(self, generation: Generation, where: Filter | None) -> int:
        """Return how many records match."""

    def find_without_vector(self, generation: Generation, limit: int) -> list[str]:
        """Return the first ``limit`` ids of records without a vector, in the order of ids."""
        found: list[str] = []
        after = None
        while generation.schema.has_optional_vectors and len(found) < limit:
            page = self.page(generation, None, after, 1_000)
            if not len(page):
                break
            after = page.ids[-1]
            if page.present is not None:
                found += [id_ for id_, has_vector in zip(page.ids, page.present, strict=True) if not has_vector]
        return found[:limit]

    def values(
        self, generation: Generation, field: str, where: Filter | None, limit: int | None
    ) -> list[tuple[Stored, int]]:
        """Return the values of a declared field among the matching records, each with the number of records.

        Of a list each element is a value, which counts once in a record. The largest count comes first, equal ones in
        the order of the values; ``limit`` is at least 1 and cuts the list. This method reads every record; a backend
        whose engine can count has its own.
        """
        counts, after = Counter[Stored](), None
        while len(rows := self.page(generation, where, after, 5_000, frozenset({"metadata"}))):
            tally_column((rows.fields or {})[field], counts)
            after = rows.ids[-1]
        return rank_values(counts, limit)

    @abstractmethod
    def search(self, generation: Generation, search: Search) -> list[Found]:
        """Return one answer for each query."""

    @abstractmethod
    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        """Return the versions of the first ``limit`` tombstones with an id above ``after``, in the order of ids."""

    # -- upkeep

    def build_index(
        self,
        generation: Generation,
        on_progress: Progress | None = None,
        measure: Measure | None = None,
        ef_construction: int | None = None,
    ) -> None:
        """Build the schema's index over all records, or remove it for ``Flat``, while searches continue.

        The generation may be the active one or a standby, and as small as it likes. Its ``ef`` is unchanged; the
        caller calibrates afterwards. What ``on_progress`` raises gives the build up and leaves the former index.

        Parameters
        ----------
        generation : Generation
        on_progress : callable, optional
        measure : callable, optional
            A backend that can builds a large graph without some of the records, drawn at random, calls this once
            with them, and adds them before a search uses the graph.
        ef_construction : int, optional
            For options that leave it open; the first of `HNSW.list_ef_constructions` by default.

        Raises
        ------
        StoreLocked
            Another process is building or compacting.
        """
        self.count(generation, None)  # a backend without an index has nothing to build, unless the generation is gone

    def carry_index(self, source: Generation, target: Generation, on_progress: Progress | None = None) -> bool:
        """Give a standby the index of the active generation, where that spares building it, and say whether it did.

        A rebuild calls this where both have vectors in the same form and most records have the same one. What was
        there is replaced. Searches find all records, as after `build_index`; the caller calibrates afterwards, or
        takes over the search effort. The default carries nothing.

        Parameters
        ----------
        source : Generation
            Its dim, metric and dtype are those of the target.
        target : Generation
        on_progress : callable, optional

        Raises
        ------
        StoreLocked
            Another process is building or compacting.
        """
        return False

    def tend(self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None) -> bool:
        """Do the upkeep that is due. The facade calls this at the end of each write call that changed something.

        Build or extend the schema's index and reclaim the space of removed records. This is cheap if nothing
        is due. Searches and other writers continue in the meantime. The generation may be a standby. ``measure``
        is that of `build_index`.

        Returns
        -------
        bool
            Whether the search effort of the index has to be calibrated, because the index changed much or was never
            calibrated.

        Raises
        ------
        StoreLocked
            Another process is doing the upkeep.
        """
        return False

    def compact(
        self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None
    ) -> bool:
        """Reclaim the space of removed records now, also in the index, while searches and writers continue.

        ``measure`` is that of `build_index`.

        Returns
        -------
        bool
            Whether the search effort of the index has to be calibrated, because the index changed much or was never
            calibrated.

        Raises
        ------
        StoreLocked
            Another process is building or compacting.
        """
        return False

    def hold_waiting(self, generation: Generation) -> AbstractContextManager[HeldOut | None]:
        """Give records that the graph does not have yet, drawn at random, as long as the context lasts.

        None where there are too few, or the backend's graphs have all records at once.
        """
        return nullcontext()

    def backup(self, target: str) -> None:
        """Copy the whole database while it is in use into a new or empty directory, each store at one moment.

        Raises
        ------
        Unsupported
        """
        raise Unsupported("backup", self.capabilities.backend, self.backup_hint)

    def index_state(self, generation: Generation) -> IndexState:
        """Return the state of the index."""
        rows = self.count(generation, None)
        return IndexState("none", rows, indexed=0, without_vector=len(self.find_without_vector(generation, rows)))

    def list_efforts(self, generation: Generation, k: int) -> Sequence[int] | None:
        """Return the search efforts that a calibration for ``k`` hits tries, ascending; None for the usual ones.

        For an index whose effort is another number than the candidates of a graph search.
        """
        return None

    def follow(self, generation: Generation, on_progress: Progress | None = None) -> Followed:
        """Bring a part of what has changed to the engine that follows a generation, as far as it is due.

        Parameters
        ----------
        generation : Generation
        on_progress : callable, optional
            Called between the parts of a copy, which may take hours, and while its index is built. An exception that
            it raises ends the copy, and the next call goes on with it. Without a function no copy is begun or gone on
            with.

        Raises
        ------
        Unsupported
        """
        raise Unsupported(
            "following", self.capabilities.backend, "Connect to PostgreSQL with ?vectors=milvus://host:19530."
        )

    def stats(self, generation: Generation) -> Stats:
        """Return figures."""
        return Stats(self.count(generation, None), bytes=0)

    def verify(self, generation: Generation) -> Verification:
        """Check every stored byte for which the engine has a checksum. Damage is reported, not raised."""
        return Verification(self.count(generation, None))

    @abstractmethod
    def close(self) -> None:
        """Release connections, files and locks. A second call does nothing."""

    @classmethod
    def check_replicas(cls, replicas: Sequence[object]) -> None:
        """Refuse replicas that `use_replicas` would not take, as far as that is known without I/O.

        Raises
        ------
        Unsupported, InvalidUrl
        """
        raise Unsupported("read replicas", cls.capabilities.backend, "Leave replicas out.")

    def use_replicas(self, replicas: Sequence[object], lag: float) -> None:
        """Let searches be answered by replicas, given by URLs or engines, up to ``lag`` seconds behind.

        Every search sees what was written through this backend before it.

        Raises
        ------
        Unsupported, InvalidUrl
        """
        self.check_replicas(replicas)

    def using(self, connection: object) -> Backend:
        """Return a backend that works inside the caller's open transaction.

        Raises
        ------
        Unsupported
        """
        raise Unsupported("joining a transaction", self.capabilities.backend)
