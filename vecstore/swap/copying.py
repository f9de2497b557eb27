"""Copy a store into another Database while it is read and written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from ..backend import Backend, Change, Entry, Generation
from ..digest import digest_generation
from ..errors import StoreChanged, StoreNotFound
from ..logs import log_duration
from ..lookup import check_here, find_again
from ..rebuild.pace import Pace
from ..store_embedder import StoreEmbedder
from .results import Copied
from .transfer import Transfer, open_transfer


class _Still(Exception):
    """Ends the exclusive side of the source without a switch."""


def copy_store(
    source: Backend,
    leaving: Entry,
    target: Backend,
    name: str,
    wanted: Generation,
    embedder: StoreEmbedder,
    pace: Pace,
) -> Copied:
    """Copy a store as it is at one moment; see `VectorStore.copy_to`."""
    began = time.monotonic()
    with log_duration("swap", "store %s copied into another Database", leaving.name):
        if (done := _finish_copied(source, leaving, target, name)) is not None:
            return replace(done, seconds=time.monotonic() - began)
        source.check_sees_all(leaving)
        with open_transfer(source, leaving, target, name, wanted, embedder, "copy") as transfer:
            before = None if transfer.is_followed else _digest_source(transfer)
            overlap = transfer.fill(pace)
            if before is None:
                _stand_still(transfer)
            else:
                _check_unchanged(transfer, before)
            found = Copied(
                transfer.proof.records, transfer.catch_up.caught_up, transfer.proof.digest, overlap,
                time.monotonic() - began,
            )  # fmt: skip
            _part(transfer)
            return found


def abort_transfer(source: Backend, leaving: Entry, target: Backend | None = None) -> bool:
    """Give an interrupted move or copy up before its switch; see `VectorStore.abort_move`.

    Returns
    -------
    bool
        Whether there was one.
    """
    with source.builder(leaving.uid):
        leaving = check_here(find_again(source, leaving))
        begun = leaving.building
        if target is not None:
            for entry in _find_incoming(leaving, target):
                with target.builder(entry.uid):
                    target.drop(entry.uid)
        if begun is None or begun.remote is None:
            return False
        source.drop(leaving.uid, begun.id)
        return True


def _find_incoming(leaving: Entry, target: Backend) -> Iterator[Entry]:
    """Yield the unfinished copy in the target, also where the source was not told of it yet."""
    begun = leaving.building
    with suppress(StoreNotFound):
        if begun is not None and begun.remote is not None:
            entry = target.find(uid=begun.remote.uid)
        else:
            entry = target.find(name=leaving.name)
        origin = entry.active.remote
        if entry.is_incoming and origin is not None and origin.uid == leaving.uid:
            yield entry


def _digest_source(transfer: Transfer) -> str:
    copy = transfer.copy
    return str(digest_generation(copy.backend, copy.source, target=copy.target.schema, vectors=not copy.embeds))


def _stand_still(transfer: Transfer) -> None:
    """Copy the last changes while nothing can change, without a switch."""
    if transfer.leaving.building is None:
        raise TypeError("a source that is followed has a remote generation")

    def drain(changes: Sequence[Change]) -> None:
        transfer.catch_up.drain(changes)
        transfer.proof.check()
        raise _Still

    with suppress(_Still):
        transfer.source.switch(transfer.leaving.uid, transfer.leaving.building.id, drain)


def _check_unchanged(transfer: Transfer, before: str) -> None:
    """Prove a copy whose source noted nothing.

    Raises
    ------
    StoreChanged
    """
    proof = transfer.proof
    if proof.source_digest != before:
        raise StoreChanged(
            f"Store {transfer.leaving.name!r} was written to while it was copied, and a read-only Database notes no "
            "changes. Stop the writers, or connect without mode=ro, and call again; what is copied stays."
        )
    transfer.catch_up.copy_again(proof.suspects)  # left by a call that broke off, before the store changed
    transfer.catch_up.drain(())
    proof.check()


def _part(transfer: Transfer) -> None:
    """Make the copy a store of its own, and end the notes of the source."""
    coming, leaving = transfer.coming, transfer.leaving
    if coming.building is None:
        raise TypeError("a copy is a building generation until now")
    there = transfer.target.switch(coming.uid, coming.building.id, _drain_nothing)
    # The source first: what the copy still remembers leads the same call here, if it has to be made again.
    if transfer.is_followed and leaving.building is not None:
        transfer.source.drop(leaving.uid, leaving.building.id)
    if there.previous is not None:
        transfer.target.drop(there.uid, there.previous.id)


def _finish_copied(source: Backend, leaving: Entry, target: Backend, name: str) -> Copied | None:
    """Do what is left of a copy that was interrupted after it became a store of its own."""
    try:
        entry = target.find(name=name)
    except StoreNotFound:
        return None
    origin = None if entry.previous is None else entry.previous.remote
    if entry.previous is None or origin is None or origin.kind != "copy" or origin.uid != leaving.uid:
        return None
    with target.builder(entry.uid):  # not while the call that made it is still at it
        begun = source.find(uid=leaving.uid).building
        if begun is not None and begun.remote is not None and begun.remote.move == origin.move:
            source.drop(leaving.uid, begun.id)
        target.drop(entry.uid, entry.previous.id)
    found = digest_generation(target, entry.active)
    return Copied(found.records, 0, str(found), 1.0, 0.0)


def _drain_nothing(changes: Sequence[Change]) -> None:
    """Accept that nothing was noted: nobody could write."""
