"""Look up catalogue entries again, because other processes change them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from .backend import Backend, Entry, Generation, Superseded
from .errors import StoreLocked, StoreMoved, StoreNotFound, VecstoreError

if TYPE_CHECKING:
    from .route import Route

LOOK_SECONDS = 1.0
"""How often a client with a successor looks whether a store is about to move, until the successor is connected."""


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


def create_beside(backend: Backend, entry: Entry, standby: Generation) -> Entry:
    """Create a standby generation of a store that was looked up before; its caller is the store's builder.

    `Backend.create` knows stores by their names, and others may rename them at the same moment.

    Raises
    ------
    StoreExists, StoreNotFound
    """
    while True:
        name = find_again(backend, entry).name
        try:
            made = backend.create(name, standby)
        except StoreNotFound:
            if find_again(backend, entry).name == name:
                raise
            continue
        if made.uid == entry.uid:
            return made
        backend.drop(made.uid, standby.id)


def check_here(entry: Entry, advice: str = "") -> Entry:
    """Return the entry of a store whose records are in this Database.

    Raises
    ------
    StoreMoved
        With ``advice``, if there is better advice than to go there.
    StoreLocked
        A move, a copy or a load is still filling it.
    """
    if entry.active.remote is None:
        return entry
    if (moved := entry.successor) is not None:
        raise StoreMoved(entry.name, f"store {moved.name!r} in a Database on {moved.place}", moved.uid, advice)
    coming = entry.active.remote
    if coming.kind == "load":
        raise StoreLocked(
            f"Store {entry.name!r} is being filled by a load, and is there when everything is in it. If the load was "
            "killed, repeat it, or remove what it left with drop(…, moved=True) or `vecstore drop --moved`."
        )
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
    """A store's catalogue entry as it was last looked up, and the place where that was. Threads may share it.

    ``backend`` and ``entry`` are read without a lock, so while another thread follows a signpost they may be of two
    places for a moment. No other place has a generation of that id: the call is `Superseded`, and looks again.

    Attributes
    ----------
    backend : Backend
    entry : Entry
    route : Route
        Where else the store may be.
    """

    __slots__ = ("_found", "_look_at", "backend", "entry", "route")

    def __init__(self, backend: Backend, entry: Entry, route: Route) -> None:
        self.route = route
        self._look_at = 0.0
        self._set(backend, entry)

    def look_up(self) -> Entry:
        """Read the entry from the catalogue again, where the store is now.

        Raises
        ------
        StoreNotFound, StoreMoved
            This object keeps the entry that it had, so that it works again once the store has moved back.
        """
        backend, known = self._found
        entry = find_again(backend, known)
        if entry.active.remote is not None:
            backend, entry = self.route.follow(backend, entry)
        self.route.prepare(entry)
        self._set(backend, entry)
        return entry

    def read_active(self, generation: Generation) -> Generation:
        """Return the catalogue's present copy of an active generation.

        Raises
        ------
        StoreNotFound, Superseded
        """
        backend, known = self._found
        entry = find_again(backend, known)
        if entry.active.id != generation.id:
            raise Superseded
        self._set(backend, entry)
        return entry.active

    def notice(self) -> None:
        """Look now and then whether the store is about to move, so that its successor is connected before it has."""
        now = time.monotonic()
        if now < self._look_at or self.route.successor is None or self.route.successor.is_connected:
            return
        self._look_at = now + LOOK_SECONDS
        with suppress(VecstoreError):  # which the call itself meets, where it matters
            self.route.prepare(find_again(*self._found))

    def set_active(self, generation: Generation) -> None:
        """Take a copy of the active generation that the catalogue has by now."""
        backend, entry = self._found
        if entry.active.id == generation.id:
            self._set(backend, replace(entry, active=generation))

    def amend(self, generation: Generation) -> None:
        """Store the active generation's index options, identity and effort."""
        self.backend.amend(generation)
        self.set_active(generation)

    def _set(self, backend: Backend, entry: Entry) -> None:
        self._found = backend, entry
        self.backend, self.entry = backend, entry
