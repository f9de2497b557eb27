"""Look up catalogue entries again, because other processes change them."""

from __future__ import annotations

from .backend import Backend, Entry, Generation, Superseded
from .errors import StoreMoved, StoreNotFound


def find_again(backend: Backend, entry: Entry) -> Entry:
    """Return the current entry of a store that was looked up before.

    Raises
    ------
    StoreNotFound
        It was dropped. A new store of the same name is a different one.
    """
    try:
        return backend.find(uid=entry.uid)
    except StoreMoved:
        raise
    except StoreNotFound as error:
        raise StoreNotFound(entry.name) from error


def find_generation(backend: Backend, entry: Entry, generation: Generation) -> Generation:
    """Return the catalogue's current copy of a generation.

    Raises
    ------
    StoreNotFound
    Superseded
        It is gone or has another role.
    """
    present = find_again(backend, entry)
    found = present.standby if generation.standby else present.active
    if found is None or found.id != generation.id:
        raise Superseded
    return found
