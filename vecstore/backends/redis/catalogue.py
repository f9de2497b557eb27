"""Names, generations and roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vecstore.backend import Entry, Generation, Superseded
from vecstore.errors import StoreCorrupt, StoreExists, StoreLocked, StoreNotFound, Unsupported
from vecstore.schema import check_name

from ..shared.generation_json import generation_of, identity_text, schema_text
from .keys import Keys
from .link import Link
from .scripts import AMEND, CREATE, DROP, FIND, RENAME, SWEEP, SWITCH, Script

_LOST = "The switch took so long that its lock ran out; nothing was switched. Try again."


class Catalogue:
    """Reads and writes the catalogue of one namespace."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def names(self) -> list[str]:
        """Return the names of all stores, sorted."""
        found = self._link.tell("HKEYS", self._keys.names)
        return sorted(check_name(name.decode(), "Store") for name in found)

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        """Return the entry of a store.

        Raises
        ------
        StoreNotFound
        """
        answer = self._run(FIND, uid or "", name or "")
        if answer[0] == b"absent":
            raise StoreNotFound(name or "that was dropped", self.names())
        return _entry(answer)

    def create(self, uid: str, name: str, generation: Generation, index: Sequence[str]) -> Entry:
        """Describe a generation and make its index.

        Raises
        ------
        StoreExists, StoreNotFound, Unsupported
        """
        ef = "" if generation.ef is None else generation.ef
        described = (generation.id, schema_text(generation), identity_text(generation) or "", ef)
        words = (uid, name, *described, int(generation.standby), *index)
        answer = self._run(CREATE, *words, further=(self._keys.format,))
        if answer[0] == b"exists":
            beside = f"Store {name!r} has a generation beside the active one already."
            raise StoreExists(beside if generation.standby else f"There is a store {name!r} already.")
        if answer[0] == b"absent":
            raise StoreNotFound(name, self.names())
        if answer[0] == b"refused":
            said = answer[1].decode(errors="replace")
            raise Unsupported("such an index", "redis", f"The server's query engine refused it: {said[:200]}.")
        return _entry(answer)

    def rename(self, uid: str, name: str) -> None:
        """Give a store another name.

        Raises
        ------
        StoreExists, StoreNotFound
        """
        answer = self._run(RENAME, uid, name)
        if answer[0] == b"exists":
            raise StoreExists(f"There is a store {name!r} already.")
        if answer[0] == b"absent":
            raise StoreNotFound("that was dropped", self.names())

    def amend(self, generation: Generation) -> None:
        """Describe a generation anew.

        Raises
        ------
        Superseded
        """
        ef = "" if generation.ef is None else generation.ef
        described = (schema_text(generation), identity_text(generation) or "", ef)
        if self._run(AMEND, generation.id, *described)[0] == b"absent":
            raise Superseded

    def drop(self, uid: str, generation: str | None) -> None:
        """Forget a store, or a standby generation; then remove the records.

        Raises
        ------
        StoreNotFound
        """
        answer = self._run(DROP, uid, generation or "", self._keys.changes(""))
        if answer[0] == b"absent":
            raise StoreNotFound(answer[1].decode() if len(answer) > 1 else "that was dropped")
        self.sweep()

    def switch(self, uid: str, standby: str, token: str, lock: str) -> Entry:
        """Let a store point at its standby, while a lease is held.

        Raises
        ------
        StoreLocked, StoreNotFound
        """
        answer = self._run(SWITCH, uid, standby, self._keys.changes(""), token, further=(lock,))
        if answer[0] == b"lost":
            raise StoreLocked(_LOST)
        if answer[0] == b"absent":
            raise StoreNotFound(answer[1].decode() or "that was dropped")
        return _entry(answer)

    def sweep(self) -> None:
        """Remove the records of generations that were dropped, also by a process that was killed meanwhile."""
        keys = self._keys
        for doomed in self._link.tell("SMEMBERS", keys.doomed):
            id_ = doomed.decode()
            while self._link.tell("EVAL", SWEEP.text, 1, keys.ids(id_), keys.records(id_)):
                pass
            rest = (keys.ids(id_), keys.tombstones(id_), keys.versions(id_), keys.changes(id_))
            self._link.tell("UNLINK", *rest)
            self._link.tell("SREM", keys.doomed, id_)

    def _run(self, script: Script, *arguments: Any, further: tuple[str, ...] = ()) -> list[Any]:
        keys = (self._keys.names, self._keys.doomed, *further)
        prefixes = (self._keys.store_prefix, self._keys.generation_prefix)
        command = ("EVAL", script.text, len(keys), *keys, *prefixes, *arguments)
        found: list[Any] = self._link.tell(*command, changes=script.writes)
        return found


def _entry(answer: Sequence[Any]) -> Entry:
    _, uid, name, role, *described = answer
    found = [_generation(part, standby=bool(number)) for number, part in enumerate(described) if part[1] is not None]
    store = check_name(name.decode(), "Store")
    if len(found) != len(described) or len(found) != 1 + bool(role):
        raise StoreCorrupt(f"The catalogue names a generation of store {store!r} that it does not describe.")
    roles = {role.decode(): found[1]} if role else {}
    return Entry(uid.decode(), store, found[0], **roles)


def _generation(part: Sequence[bytes | None], *, standby: bool) -> Generation:
    id_, schema, identity, ef = (None if each is None else each.decode() for each in part)
    return generation_of(id_ or "", schema or "", identity, int(ef) if ef else None, standby=standby)
