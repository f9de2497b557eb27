"""Look up catalogue entries again, because other processes change them."""

from __future__ import annotations

from dataclasses import replace

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
        if entry.name in backend.names():
            raise StoreNotFound(entry.name, replaced=True) from error
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


class CurrentEntry:
    """A store's catalogue entry as it was last looked up. Threads may share it.

    Attributes
    ----------
    backend : Backend
    entry : Entry
    """

    __slots__ = ("backend", "entry")

    def __init__(self, backend: Backend, entry: Entry) -> None:
        self.backend = backend
        self.entry = entry

    def look_up(self) -> Entry:
        """Read the entry from the catalogue again.

        Raises
        ------
        StoreNotFound
        """
        self.entry = find_again(self.backend, self.entry)
        return self.entry

    def read_active(self, generation: Generation) -> Generation:
        """Return the catalogue's present copy of an active generation.

        Raises
        ------
        StoreNotFound, Superseded
        """
        entry = find_again(self.backend, self.entry)
        if entry.active.id != generation.id:
            raise Superseded
        self.entry = entry
        return entry.active

    def set_active(self, generation: Generation) -> None:
        """Take a copy of the active generation that the catalogue has by now."""
        self.entry = replace(self.entry, active=generation)

    def amend(self, generation: Generation) -> None:
        """Store the active generation's index options, identity and effort."""
        self.backend.amend(generation)
        self.set_active(generation)
