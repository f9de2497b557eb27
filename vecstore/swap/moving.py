"""Move a store into another Database, or back, while it is read and written.

The switch is one commit in the catalogue of the place that the store leaves. Before it the store is there, after it
the store is at its new place, whoever makes it active.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

from ..backend import Backend, Change, Entry, Generation, Remote
from ..calibration.calibrate import Calibration
from ..errors import InvalidArgument, StoreLocked, StoreNotFound, VecstoreError
from ..logs import log_duration
from ..lookup import check_here, create_beside, find_again
from ..rebuild.copy import Copy
from ..rebuild.overlap import measure_overlap
from ..rebuild.pace import Pace
from ..rebuild.target import check_vectors
from ..store_embedder import StoreEmbedder
from .arrival import arrive
from .proof import Proof, ProvenCatchUp
from .results import Moved
from .transfer import open_transfer


def move_store(
    source: Backend,
    leaving: Entry,
    target: Backend,
    name: str,
    wanted: Generation,
    embedder: StoreEmbedder,
    pace: Pace,
) -> Moved:
    """Move a store; see `VectorStore.move_to`."""
    began = time.monotonic()
    if _leads_here(target, name, leaving):
        return move_store_back(source, leaving, target, embedder, pace)
    with log_duration("swap", "store %s moved into another Database", leaving.name):
        source.check_rebuildable(leaving)
        with open_transfer(source, leaving, target, name, wanted, embedder, "move") as transfer:
            overlap = transfer.fill(pace)
            if transfer.leaving.building is None:
                raise TypeError("a store that is moved has a remote generation")
            _switch(transfer.leaving, transfer.leaving.building, transfer.catch_up, transfer.proof)
            _arrive(source, transfer.leaving.uid, target)
            proof = transfer.proof
            return Moved(proof.records, transfer.catch_up.caught_up, proof.digest, overlap, time.monotonic() - began)


def move_store_back(source: Backend, leaving: Entry, target: Backend, embedder: StoreEmbedder, pace: Pace) -> Moved:
    """Move a store to where it came from, and where its records are kept; see `VectorStore.move_back`."""
    began = time.monotonic()
    with log_duration("swap", "store %s moved back", leaving.name), ExitStack() as locks:
        locks.enter_context(source.builder(leaving.uid))
        leaving = check_here(find_again(source, leaving))
        home = _find_home(leaving, target)
        locks.enter_context(target.builder(home.uid))
        home = _find_home(leaving, target)
        if leaving.building is not None and not _is_way_to(leaving.building, home):
            raise StoreLocked(
                f"Store {leaving.name!r} is being rebuilt, moved or copied, or that was interrupted. Finish it first."
            )
        kept = home.previous
        if kept is None:
            raise InvalidArgument(f"The Database keeps no records of store {home.name!r} for a way back.")
        kept = _take_claim(leaving, target, home, kept)
        check_vectors(source, leaving, kept.schema)
        source.check_rebuildable(leaving)
        standby = _lead_back(source, leaving, target, home)
        copy = Copy(source, leaving.active, kept, embedder, leaving.name, target)
        proof = Proof(copy)
        catch_up = ProvenCatchUp(copy, proof)
        catch_up.run()
        proof.walk(partial(pace.report, "comparing"))
        proof.settle(catch_up)
        overlap = measure_overlap(copy)
        _tend(target, home, kept)
        proof.settle(catch_up)
        _switch(leaving, standby, catch_up, proof)
        _arrive(source, leaving.uid, target)
        return Moved(proof.records, catch_up.caught_up, proof.digest, overlap, time.monotonic() - began)


def finish(source: Backend, leaving: Entry, target: Backend) -> bool:
    """Make a store active in its new place if the call that moved it was interrupted after the switch.

    Returns
    -------
    bool
        Whether the store has moved to that Database.
    """
    if leaving.successor is None:
        return False
    try:
        has_arrived = arrive(target, leaving.successor, source).active.remote is None
    except StoreNotFound:
        return False
    with suppress(VecstoreError), source.builder(leaving.uid):  # whoever holds it notes it
        _note_arrival(source, leaving.uid, target)
    return has_arrived


def _switch(leaving: Entry, remote: Generation, catch_up: ProvenCatchUp, proof: Proof) -> None:
    """Point the source to the target: the one commit after which the store is there."""
    source, target = catch_up.places

    def drain(changes: Sequence[Change]) -> None:
        catch_up.drain(changes)
        proof.check()
        target.make_durable()

    source.switch(leaving.uid, remote.id, drain)
    source.make_durable()  # before anybody is sent there


def _leads_here(target: Backend, name: str, leaving: Entry) -> bool:
    """Say whether the target has the records of an earlier move back to here, which a way back brings up to date."""
    return bool(_list_leading(target, name, leaving))


def _arrive(source: Backend, uid: str, target: Backend) -> None:
    way = source.find(uid=uid).successor
    if way is not None:
        arrive(target, way, source)
        with suppress(VecstoreError):  # the move is done
            _note_arrival(source, uid, target)


def _note_arrival(source: Backend, uid: str, target: Backend) -> None:
    """Note on the signpost that nobody needs it to find the store, as its builder: a way back changes it too."""
    signpost = source.find(uid=uid).active
    way = signpost.remote
    if way is not None and not way.arrived and not target.find(uid=way.uid).may_be_awaited:
        source.amend(replace(signpost, remote=replace(way, arrived=True)))


def _tend(target: Backend, home: Entry, kept: Generation) -> None:
    """Bring the index of the kept records up to date."""
    with suppress(StoreLocked):  # another process does the upkeep
        calibration = Calibration(target, home)
        if target.tend(kept, measure=calibration.measure):
            calibration.finish(kept)


def _find_home(leaving: Entry, target: Backend) -> Entry:
    """Return the entry of the place that a store came from, which leads here.

    Raises
    ------
    InvalidArgument
    """
    origin = None if leaving.previous is None else leaving.previous.remote
    found = list[Entry]()
    with suppress(StoreNotFound):
        found += [] if origin is None else [target.find(uid=origin.uid)]
    for name in target.names():  # it has come from elsewhere since, or was rebuilt
        found += [] if found else _list_leading(target, name, leaving)
    home = next((each for each in found if _leads_to(each, leaving)), None)
    if home is None:
        raise InvalidArgument(
            f"No store in that Database has moved to store {leaving.name!r} here, so there is no way back. "
            "Use move_to()."
        )
    return home


def _list_leading(target: Backend, name: str, leaving: Entry) -> list[Entry]:
    with suppress(StoreNotFound):  # dropped meanwhile
        entry = target.find(name=name)
        return [entry] if _leads_to(entry, leaving) else []
    return []


def _leads_to(entry: Entry, leaving: Entry) -> bool:
    return entry.successor is not None and entry.successor.uid == leaving.uid


def _lead_back(source: Backend, leaving: Entry, target: Backend, home: Entry) -> Generation:
    """Let both places know of the way back, and return the standby that stands for the old place.

    Both places would name each other if the mover were killed between both switches. The kind says which of them is
    where the records are.
    """
    move, there = uuid.uuid4().hex, home.active
    if there.remote is None:
        raise TypeError("a store that has moved has a remote generation")
    target.amend(replace(there, remote=replace(there.remote, move=move, kind="back", arrived=False)))
    way = Remote(target.capabilities.backend, home.uid, home.name, move)
    for known in (leaving.building, leaving.previous):
        if known is not None and _is_way_to(known, home):
            source.amend(replace(known, remote=way))
            return replace(known, remote=way)
    # A rebuild ended the notes, so the way back is a whole comparison, with notes from here on.
    described = Generation(uuid.uuid4().hex, leaving.active.schema, leaving.active.identity, standby=True, remote=way)
    made = create_beside(source, leaving, described).building
    return described if made is None else made


def _is_way_to(generation: Generation, home: Entry) -> bool:
    return generation.remote is not None and generation.remote.uid == home.uid


def _take_claim(leaving: Entry, target: Backend, home: Entry, kept: Generation) -> Generation:
    """Take over that an embedder has claimed, since the move, the vectors that both places have."""
    here, identity = leaving.previous, leaving.active.identity
    is_same = here is not None and _is_way_to(here, home)  # and not rebuilt since
    # The way there has the identity that the move gave the copy: with one, the move embedded the texts anew.
    if not is_same or identity is None or kept.identity is not None or home.active.identity is not None:
        return kept
    target.amend(replace(kept, identity=identity))
    return replace(kept, identity=identity)
