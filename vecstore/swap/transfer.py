"""The transfer of a store into another Database: both stores, their locks, and what an interrupted call has left."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from ..backend import Backend, Entry, Generation, Remote, Superseded
from ..calibration.calibrate import Calibration
from ..errors import BackendUnavailable, InvalidArgument, StoreCorrupt, StoreExists, StoreLocked, StoreNotFound
from ..logs import log_duration
from ..lookup import check_here, create_beside, find_again
from ..rebuild.copy import Copy
from ..rebuild.overlap import measure_overlap
from ..rebuild.pace import Pace
from ..rebuild.target import check_vectors, is_same_model
from ..store_embedder import StoreEmbedder
from .proof import Proof, ProvenCatchUp


@dataclass
class Transfer:
    """A store that is copied or moved, and its copy.

    Attributes
    ----------
    source, target : Backend
    leaving : Entry
        The store. Its ``building`` is remote, unless nothing can be noted in a read-only Database.
    coming : Entry
        The copy, which is incoming.
    copy : Copy
    proof : Proof
    catch_up : ProvenCatchUp
    """

    source: Backend
    target: Backend
    leaving: Entry
    coming: Entry
    copy: Copy
    proof: Proof
    catch_up: ProvenCatchUp

    @property
    def is_followed(self) -> bool:
        """Whether the source notes what changes."""
        return self.leaving.building is not None and not self.source.capabilities.read_only

    def fill(self, pace: Pace) -> float:
        """Copy everything, index and prove it, and return the share of neighbours that are the same.

        Raises
        ------
        StoreCorrupt
        """
        copy, name = self.copy, self.leaving.name
        with log_duration("swap", "store %s copied", name):
            copy.backfill(pace)
            self._follow()
        with log_duration("swap", "index of the copy of store %s built and calibrated", name):
            self._build_index(pace)
        with log_duration("swap", "copy of store %s compared", name):
            self._follow()
            self.proof.walk(partial(pace.report, "comparing"))
            overlap = measure_overlap(copy)
        if self.is_followed:
            self._take_claim()
            self.proof.settle(self.catch_up)
        return overlap

    def give_up(self) -> None:
        """Remove the copy, or the next call would go on with it; but not once it is the store."""
        leaving = find_again(self.source, self.leaving)
        if leaving.successor is not None or not self.target.find(uid=self.coming.uid).is_incoming:
            return
        self.target.drop(self.coming.uid)
        if self.is_followed and leaving.building is not None:
            self.source.drop(leaving.uid, leaving.building.id)

    def _take_claim(self) -> None:
        """Take over that an embedder has claimed the store since the copy began."""
        identity = find_again(self.source, self.leaving).active.identity
        building = find_again(self.target, self.coming).building
        if not self.copy.embeds and building is not None and building.identity is None and identity is not None:
            self.target.amend(replace(building, identity=identity))

    def _follow(self) -> None:
        if self.is_followed:
            self.catch_up.run()

    def _build_index(self, pace: Pace) -> None:
        target, built = self.target, self.copy.target
        calibration = Calibration(target, self.coming, pace.on_progress)
        state = target.index_state(built)
        is_due = state.state != "none" or state.vectors >= (state.min_rows or 0)
        if is_due or self.source.index_state(self.copy.source).state != "none":
            target.build_index(built, pace.on_progress, calibration.measure, self.copy.find_ef_construction())
        calibration.finish(built)


@contextmanager
def open_transfer(
    source: Backend,
    leaving: Entry,
    target: Backend,
    name: str,
    wanted: Generation,
    embedder: StoreEmbedder,
    kind: Literal["move", "copy"],
) -> Iterator[Transfer]:
    """Be the only builder of both stores, and begin the transfer or go on with an interrupted one.

    Parameters
    ----------
    source : Backend
    leaving : Entry
    target : Backend
    name : str
        The store's name in the target.
    wanted : Generation
        What the copy is to be.
    embedder : StoreEmbedder
    kind : {"move", "copy"}

    Raises
    ------
    StoreLocked, StoreExists, StoreMoved, InvalidArgument, StoreNotFound, Unsupported
    """
    with ExitStack() as locks:
        if not source.capabilities.read_only:
            locks.enter_context(source.builder(leaving.uid))
        leaving = check_here(find_again(source, leaving))
        check_vectors(source, leaving, wanted.schema)
        coming = _find_begun(source, leaving, target, name, kind)
        if coming is not None:
            locks.enter_context(target.builder(coming.uid))
            coming = _keep_if_wanted(source, leaving, target, coming, wanted)
        leaving = find_again(source, leaving)
        if coming is None:
            coming, leaving = _begin(source, leaving, target, name, wanted, kind)
            locks.enter_context(target.builder(coming.uid))
        if coming.building is None:
            raise StoreLocked(f"Store {name!r} is being changed by another call. Try again.")
        copy = Copy(source, leaving.active, coming.building, embedder, leaving.name, target)
        proof = Proof(copy)
        transfer = Transfer(source, target, leaving, coming, copy, proof, ProvenCatchUp(copy, proof))
        try:
            yield transfer
        except StoreCorrupt:
            transfer.give_up()
            raise
        except (Superseded, StoreNotFound) as error:
            check_here(find_again(source, leaving))
            raise BackendUnavailable(
                f"Store {leaving.name!r} or its copy was changed by another call. Try again."
            ) from error


def _find_begun(source: Backend, leaving: Entry, target: Backend, name: str, kind: str) -> Entry | None:
    """Return what an interrupted call of the same kind has left in the target; refuse what is not ours."""
    begun = leaving.building
    if begun is not None and begun.remote is None:
        raise StoreLocked(
            f"A rebuild of store {leaving.name!r} was interrupted. Finish it with rebuild(), or give it up with "
            "rollback()."
        )
    if begun is not None and begun.remote is not None:
        _check_recorded(leaving, begun.remote, target, name, kind)
    try:
        coming = target.find(name=name)
    except StoreNotFound:
        return None
    origin = coming.active.remote
    if origin is not None and coming.is_incoming and origin.uid == leaving.uid and origin.kind == kind:
        return coming
    check_here(coming)
    raise StoreExists(f"There is already a store {name!r} in the target. Give another name, or drop it first.")


def _check_recorded(leaving: Entry, recorded: Remote, target: Backend, name: str, kind: str) -> None:
    """Refuse another target than that of the interrupted call."""
    known = f"A {recorded.kind} of store {leaving.name!r} to store {recorded.name!r} in a Database on {recorded.place}"
    ways = "Finish that one first, or give it up with abort_move()."
    if recorded.kind != kind or recorded.name != name or recorded.place != target.capabilities.backend:
        raise InvalidArgument(f"{known} was interrupted. {ways}")
    try:
        target.find(uid=recorded.uid)
    except StoreNotFound:
        raise InvalidArgument(f"{known} was interrupted, and this is another Database. {ways}") from None


def _keep_if_wanted(
    source: Backend, leaving: Entry, target: Backend, coming: Entry, wanted: Generation
) -> Entry | None:
    """Return the entry of an interrupted copy that the same call made; drop any other, and what follows it."""
    origin, begun, filled = coming.active.remote, leaving.building, coming.building
    is_same = (
        filled is not None
        and (filled.schema.index, filled.schema.partitions) == (wanted.schema.index, wanted.schema.partitions)
        and not filled.schema.differences(wanted.schema)
        and (is_same_model(filled, wanted) and is_same_model(wanted, filled))
    )
    # Without notes, what changed in the meantime is not known; a read-only place never has any.
    is_noted = source.capabilities.read_only or (
        begun is not None and begun.remote is not None and origin is not None and begun.remote.move == origin.move
    )
    if is_same and is_noted:
        return coming
    target.drop(coming.uid)
    if begun is not None:
        source.drop(leaving.uid, begun.id)
    return None


def _begin(
    source: Backend, leaving: Entry, target: Backend, name: str, wanted: Generation, kind: Literal["move", "copy"]
) -> tuple[Entry, Entry]:
    """Make the copy, incoming and empty, and let the source note what changes from now on."""
    move = uuid.uuid4().hex
    origin = Remote(source.capabilities.backend, leaving.uid, leaving.name, move, kind)
    coming = target.create(name, replace(_make_line(leaving.active), remote=origin))
    coming = target.create(name, replace(wanted, id=uuid.uuid4().hex, standby=True))
    if not source.capabilities.read_only:
        there = Remote(target.capabilities.backend, coming.uid, name, move, kind)
        leaving = create_beside(source, leaving, replace(_make_line(wanted), standby=True, remote=there))
    return coming, leaving


def _make_line(described: Generation) -> Generation:
    """Return a new generation of that description, without records."""
    return Generation(uuid.uuid4().hex, described.schema, described.identity)
