"""Look up catalogue entries again, because other processes change them."""

from __future__ import annotations

from dataclasses import replace

from .backend import Backend, Entry, Generation, Superseded
from .errors import StoreLocked, StoreMoved, StoreNotFound


def find_again(backend: Backend, entry: Entry) -> Entry:
    """Return the current entry of a store that was looked up before.

    Raises
    ------
    StoreNotFound
        It was dropped. A new store of the same name is a different one.
    """
    try:
        return backend.find(uid=entry.uid)
    except StoreNotFound as error:
        if entry.name in backend.names():
            raise StoreNotFound(entry.name, replaced=True) from error
        raise StoreNotFound(entry.name) from error


def check_here(entry: Entry) -> Entry:
    """Return the entry of a store whose records are in this Database.

    Raises
    ------
    StoreMoved
    StoreLocked
        A move or a copy is still filling it.
    """
    if entry.active.remote is None:
        return entry
    if (moved := entry.successor) is not None:
        raise StoreMoved(entry.name, f"store {moved.name!r} in a Database on {moved.place}", moved.uid)
    coming = entry.active.remote
    raise StoreLocked(
        f"Store {entry.name!r} is the unfinished target of a {coming.kind} of store {coming.name!r} from a Database on "
        f"{coming.place}. Repeat the same call there to finish it, or give the {coming.kind} up."
    )


def check_settled(entry: Entry) -> None:
    """Refuse to replace a generation of a store that an interrupted move or copy to another Database still follows.

    Raises
    ------
    StoreLocked
    """
    if entry.building is not None and (target := entry.building.remote) is not None:
        raise StoreLocked(
            f"A {target.kind} of store {entry.name!r} to store {target.name!r} in a Database on {target.place} was "
            f"interrupted. Repeat the same call to finish it, or give it up with abort_move()."
        )


def find_here(backend: Backend, name: str) -> Entry:
    """Return the entry of a store by its name.

    Raises
    ------
    StoreNotFound, StoreMoved, StoreLocked
    """
    return check_here(backend.find(name=name))


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
        StoreNotFound, StoreMoved
            This object keeps the entry that it had, so that it works again once the store has moved back.
        """
        self.entry = check_here(find_again(self.backend, self.entry))
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
