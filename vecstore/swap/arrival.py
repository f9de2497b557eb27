"""The last step of a move: the store becomes active at its new place, by the mover or by whoever finds the way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ..backend import Backend, Change, Entry, Remote
from ..errors import StoreLocked, StoreNotFound


def arrive(backend: Backend, way: Remote, origin: Backend) -> Entry:
    """Return the entry of the store to which another one has moved, and make it active if the mover has not done so.

    Parameters
    ----------
    backend : Backend
        The Database to which the way leads.
    way : Remote
        That of the active generation of the store that has moved: `Entry.successor`.
    origin : Backend
        The Database that has this signpost.

    Returns
    -------
    Entry
        Its ``active.remote`` is None, unless the store has moved on since, or back: then it is the next way. In a
        read-only Database the active generation may be one that the catalogue still has as the standby.

    Raises
    ------
    StoreNotFound
        The store is not in this Database.
    """
    entry = backend.find(uid=way.uid)
    coming, standby = entry.active.remote, entry.standby
    if coming is None or coming.move != way.move or not (entry.is_incoming or coming.kind == "back"):
        return entry
    if standby is None or standby.remote is not None or way.kind == "copy":
        return entry
    if backend.capabilities.read_only:
        return replace(entry, active=standby)  # complete, and in this role until somebody else writes the switch
    if not origin.capabilities.read_only:
        origin.make_durable()  # the signpost, before anybody writes where it leads
    with suppress(StoreNotFound, StoreLocked):  # another process is doing the same
        backend.switch(entry.uid, standby.id, _drain_nothing)
    return backend.find(uid=way.uid)


def _drain_nothing(changes: Sequence[Change]) -> None:
    """Accept that nothing was noted: nobody could write."""
