"""The names of keys and indexes in Redis.

Every name begins with the namespace and a colon. Every prefix ends with a colon, which namespaces and ids of
generations never contain, so no prefix matches the keys of another.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_LAYOUT, NEWEST_LAYOUT = 1, 2
"""The layouts of keys. A namespace has the second from its first store on whose records may lack a vector."""
PREFIX_PARTS = 3
"""Parts of the key of a record before the record's id, which may contain colons itself."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Names in one namespace."""

    namespace: str

    @property
    def format(self) -> str:
        """String: the version of the layout, set when a store is created that needs it; it never falls."""
        return f"{self.namespace}:format"

    @property
    def names(self) -> str:
        """Hash: a store's name -> its uid."""
        return f"{self.namespace}:names"

    @property
    def removed(self) -> str:
        """Set: dropped generations whose records are still to be removed."""
        return f"{self.namespace}:doomed"

    @property
    def store_prefix(self) -> str:
        """Prefix of the hash of a store; its uid follows."""
        return f"{self.namespace}:store:"

    @property
    def generation_prefix(self) -> str:
        """Prefix of the hash of a generation; its id follows."""
        return f"{self.namespace}:gen:"

    def store(self, uid: str) -> str:
        """Hash: name, active, standby, role, parked and incoming of a store."""
        return f"{self.store_prefix}{uid}"

    def generation(self, id_: str) -> str:
        """Hash: the description and the state of a generation."""
        return f"{self.generation_prefix}{id_}"

    def records(self, id_: str) -> str:
        """Prefix of the hash of a record; the record's id follows."""
        return f"{self.namespace}:rec:{id_}:"

    def ids(self, id_: str) -> str:
        """Sorted set: the ids of a generation's records, in order."""
        return f"{self.namespace}:ids:{id_}"

    def tombstones(self, id_: str) -> str:
        """Sorted set: the ids of tombstones, in order."""
        return f"{self.namespace}:tombs:{id_}"

    def versions(self, id_: str) -> str:
        """Hash: the version of each tombstone."""
        return f"{self.namespace}:versions:{id_}"

    def changes(self, id_: str) -> str:
        """Sorted set: the change list, ids by their sequence numbers."""
        return f"{self.namespace}:changes:{id_}"

    def index(self, id_: str, number: int) -> str:
        """Return the name of a generation's index; each build makes a new one."""
        return f"{self.namespace}:index:{id_}:{number}"

    def lock(self, what: str, id_: str) -> str:
        """Return the name of a lease, a string that contains the token of its holder."""
        return f"{self.namespace}:lock:{what}:{id_}"
