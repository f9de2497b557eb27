"""Entries of the catalogue looked up again, because other processes change them."""

from __future__ import annotations

from .backend import Backend, Entry, Generation, Superseded
from .errors import StoreMoved, StoreNotFound


def find_again(backend: Backend, entry: Entry) -> Entry:
    """Return the present entry of a store that was looked up before.

    Raises
    ------
    StoreNotFound
        It was dropped; a store of the same name would be another one.
    """
    try:
        return backend.find(uid=entry.uid)
    except StoreMoved:
        raise
    except StoreNotFound as error:
        raise StoreNotFound(entry.name) from error


def find_generation(backend: Backend, entry: Entry, generation: Generation) -> Generation:
    """Return a generation as the catalogue has it now.

    Raises
    ------
    StoreNotFound
    Superseded
        It is gone, or has another role.
    """
    present = find_again(backend, entry)
    found = present.standby if generation.standby else present.active
    if found is None or found.id != generation.id:
        raise Superseded
    return found
