"""Names, generations and roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vecstore.backend import Change, Entry, Generation, Superseded
from vecstore.errors import StoreCorrupt, StoreExists, StoreLocked, StoreNotFound, Unsupported
from vecstore.names import check_name

from ..shared.generation_json import dump_identity, dump_schema, load_generation
from .client import Client
from .keys import FIRST_LAYOUT, NEWEST_LAYOUT, Keys
from .scripts import AMEND, CREATE, DROP, FIND, NAMES, RENAME, SWEEP, SWITCH, Script

_LOST = "The switch took longer than its lock lasts; nothing was switched. Try again."


class Catalogue:
    """Reads and changes the catalogue of one namespace."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def names(self) -> list[str]:
        """Return the names of all stores, sorted, without those that are still incoming."""
        _, *found = self._run(NAMES)
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
        return _decode_entry(answer)

    def read_generation(self, generation: Generation) -> Generation:
        """Return a generation as it is described now.

        Raises
        ------
        Superseded
        """
        hash_ = self._keys.generation(generation.id)
        schema, identity, ef = self._client.execute("HMGET", hash_, "schema", "identity", "ef")
        if schema is None:
            raise Superseded
        texts = (schema.decode(), None if identity is None else identity.decode())
        return load_generation(
            generation.id, *texts, int(ef) if ef else None, standby=generation.standby, backend="redis"
        )

    def create(self, uid: str, name: str, generation: Generation, index: Sequence[str]) -> Entry:
        """Describe a generation and make its index; a remote one has none.

        Raises
        ------
        StoreExists, StoreNotFound, Unsupported
        """
        ef = "" if generation.ef is None else generation.ef
        described = (generation.id, dump_schema(generation), dump_identity(generation) or "", ef)
        layout = NEWEST_LAYOUT if generation.schema.has_optional_vectors else FIRST_LAYOUT
        is_remote = generation.remote is not None
        options = (int(generation.standby), self._keys.changes(""), layout, int(is_remote))
        words = (uid, name, *described, *options, *(() if is_remote else index))
        answer = self._run(CREATE, *words, further=(self._keys.format,))
        if answer[0] == b"exists":
            beside = f"Store {name!r} has a generation under construction already."
            raise StoreExists(beside if generation.standby else f"There is a store {name!r} already.")
        if answer[0] == b"absent":
            raise StoreNotFound(name, self.names())
        if answer[0] == b"refused":
            said = answer[1].decode(errors="replace")
            raise Unsupported("such an index", "redis", f"The server's query engine refused it: {said[:200]}.")
        return _decode_entry(answer)

    def rename(self, uid: str, name: str) -> None:
        """Rename a store.

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
        """Replace the description of a generation, but not an identity that it has.

        Raises
        ------
        Superseded
        """
        ef = "" if generation.ef is None else generation.ef
        described = (dump_schema(generation), dump_identity(generation) or "", ef)
        if self._run(AMEND, generation.id, *described)[0] == b"absent":
            raise Superseded

    def drop(self, uid: str, generation: str | None) -> None:
        """Drop a store or its standby generation, then remove the records.

        Raises
        ------
        StoreNotFound
        """
        answer = self._run(DROP, uid, generation or "", self._keys.changes(""))
        if answer[0] == b"absent":
            raise StoreNotFound(answer[1].decode() if len(answer) > 1 else "that was dropped")
        self.sweep()

    def switch(self, uid: str, standby: str, token: str, lock: str) -> Entry:
        """Make the standby the active generation, while the caller holds the lease of the switch.

        Raises
        ------
        StoreLocked, StoreNotFound
        """
        answer = self._run(SWITCH, uid, standby, self._keys.changes(""), token, further=(lock,))
        if answer[0] == b"lost":
            raise StoreLocked(_LOST)
        if answer[0] == b"absent":
            raise StoreNotFound(answer[1].decode() or "that was dropped")
        self.sweep()
        return _decode_entry(answer)

    def read_changes(self, generation: Generation) -> list[Change]:
        """Return the whole change list of a generation."""
        found = self._client.execute("ZRANGE", self._keys.changes(generation.id), 0, -1, "WITHSCORES")
        return [Change(int(seq), id_.decode()) for id_, seq in found]

    def sweep(self) -> None:
        """Remove the records of dropped generations, including those that a killed process left."""
        keys = self._keys
        for member in self._client.execute("SMEMBERS", keys.removed):
            id_ = member.decode()
            while self._client.execute("EVAL", SWEEP.text, 1, keys.ids(id_), keys.records(id_)):
                pass
            rest = (keys.ids(id_), keys.tombstones(id_), keys.versions(id_), keys.changes(id_))
            self._client.execute("UNLINK", *rest)
            self._client.execute("SREM", keys.removed, id_)

    def _run(self, script: Script, *arguments: Any, further: tuple[str, ...] = ()) -> list[Any]:
        keys = (self._keys.names, self._keys.removed, *further)
        prefixes = (self._keys.store_prefix, self._keys.generation_prefix)
        command = ("EVAL", script.text, len(keys), *keys, *prefixes, *arguments)
        found: list[Any] = self._client.execute(*command, writes=script.writes)
        return found


def _decode_entry(answer: Sequence[Any]) -> Entry:
    _, uid, name, role, *described = answer
    found = [
        _decode_generation(part, standby=bool(number)) for number, part in enumerate(described) if part[1] is not None
    ]
    store = check_name(name.decode(), "Store")
    if len(found) != len(described) or len(found) < 1 + bool(role):
        raise StoreCorrupt(f"The catalogue names a generation of store {store!r} but does not describe it.")
    roles = {role.decode(): found[1]} if role else {}
    if len(found) > 2:
        roles["previous"] = found[2]
    return Entry(uid.decode(), store, found[0], **roles)


def _decode_generation(part: Sequence[bytes | None], *, standby: bool) -> Generation:
    id_, schema, identity, ef = (None if each is None else each.decode() for each in part)
    return load_generation(id_ or "", schema or "", identity, int(ef) if ef else None, standby=standby, backend="redis")
