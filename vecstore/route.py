"""Where the stores of a Database may be: in its own place, or where a signpost in the catalogue says they have moved.

A move ends with one commit in the old place, which makes a remote generation the active one: the signpost. What is
found there decides where a store is; see `vecstore.swap`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from .backend import Backend, Entry, Remote
from .errors import InvalidArgument, StoreLocked, StoreNotFound, VecstoreError
from .lookup import check_here
from .successor import Successor

LOOKS = 8
"""How many entries one call looks at when signposts lead on."""
_CIRCLE = (
    "But signposts lead on from there and nowhere to the records, so a move was interrupted. Repeat the call of "
    "move_to() or move_back() that was not finished."
)


class Route:
    """The places where a Database looks for its stores: its own and that of its successor, which may have another.

    Threads may share it.

    Attributes
    ----------
    backend : Backend
        The Database's own place.
    successor : Successor or None
    """

    __slots__ = ("backend", "successor")

    def __init__(self, backend: Backend, successor: Successor | None = None) -> None:
        self.backend = backend
        self.successor = successor

    def find(self, name: str) -> tuple[Backend, Entry]:
        """Return where the store of a name is, and its entry there.

        Raises
        ------
        StoreNotFound, StoreMoved, StoreLocked
        """
        backend, entry = self.backend, self.backend.find(name=name)
        if entry.active.remote is not None:
            backend, entry = self.follow(backend, entry)
        self.prepare(entry)
        return backend, entry

    def prepare(self, entry: Entry) -> None:
        """Have the successor connected if the store is about to move, so that nobody waits for it after the switch."""
        if self.successor is not None and entry.standby is not None and entry.standby.remote is not None:
            self.successor.prepare()

    def follow(self, backend: Backend, entry: Entry) -> tuple[Backend, Entry]:
        """Return the place that has the store's records now, and the store's entry there.

        Raises
        ------
        StoreMoved
            No known place has the store that the signpost names, or signposts lead in a circle.
        StoreLocked
            The store is incoming, and nothing says that it has arrived.
        """
        from .swap.arrival import arrive

        name, seen = entry.name, {entry.uid}
        while (way := entry.active.remote) is not None:
            found = None if way.kind == "copy" else self._find(backend, way)
            if found is None:
                check_here(replace(entry, name=name), self._advise())
                raise TypeError("a store that has moved is not here")
            origin, (backend, entry) = backend, found
            if entry.active.remote is not None:
                entry = arrive(backend, way, origin)
            if entry.active.remote is not None and (entry.uid in seen or len(seen) == LOOKS):
                check_here(replace(entry, name=name), _CIRCLE)
            seen.add(entry.uid)
        return backend, entry

    def check_left(self, entry: Entry) -> None:
        """Refuse to remove the only records of a store: a switch elsewhere may have made them that.

        Raises
        ------
        StoreLocked, StoreMoved
        InvalidArgument
            The store has arrived.
        """
        way, is_awaited = entry.active.remote, False
        if self.successor is not None:
            # Whoever finds a store that has been switched lets it arrive, unless that place can only be read. Nobody
            # waits for one that is found nowhere.
            with suppress(StoreLocked):
                place, found = self.find(entry.name)
                is_awaited = place.find(uid=found.uid).may_be_awaited
        elif entry.may_be_awaited and way is not None:
            raise StoreLocked(
                f"What is here of store {entry.name!r} may be all there is: its move from a Database on {way.place} "
                "may have been switched. Repeat the move to finish it, or give it up there with abort_move(). Or "
                "connect with that Database as successor, so that it can be asked."
            )
        elif entry.successor is not None and not entry.successor.arrived and entry.successor.kind == "move":
            raise StoreLocked(
                f"Nothing here says that store {entry.name!r} has arrived in the Database on {entry.successor.place} "
                "to which it has moved: without this signpost it might be locked there for good. Repeat the move, "
                "which finishes it. Or connect with that Database as successor, so that it can be asked."
            )
        if is_awaited:
            raise StoreLocked(
                f"Store {entry.name!r} has moved, and cannot arrive where it has moved to, since the successor is "
                "read-only: without this signpost it might be locked there for good. Give a successor that may be "
                "written, or repeat the move, which finishes it."
            )
        if self.backend.find(uid=entry.uid).active.remote is None:
            raise InvalidArgument(f"Store {entry.name!r} has arrived here. To remove it, leave moved=True out.")

    def close(self) -> None:
        """Close the own place and the successor."""
        try:
            self.backend.close()
        finally:
            if self.successor is not None:
                self.successor.close()

    def _find(self, beside: Backend, way: Remote) -> tuple[Backend, Entry] | None:
        """Return the place other than ``beside`` that has the store with the uid; None if none of them has it."""
        failure: VecstoreError | None = None
        places = self._list_places()
        while True:
            try:
                backend = next(places)
                if backend is not beside:
                    return backend, backend.find(uid=way.uid)
            except StopIteration:
                break
            except StoreNotFound:
                continue
            except VecstoreError as error:  # of a place that may be no longer needed
                failure = failure or error
        if failure is not None:
            failure.add_note(f"vecstore: the store has moved to {way.place}, and the successor was asked for it.")
            raise failure
        return None

    def _advise(self) -> str:
        if self.successor is None:
            return ""
        return "The successor of this Database does not have it. Give the Database that has it as successor."

    def _list_places(self) -> Iterator[Backend]:
        route: Route | None = self
        while route is not None:
            yield route.backend
            route = None if route.successor is None else route.successor.connect()
