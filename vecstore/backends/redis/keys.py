"""The names under which things lie in Redis.

Every name begins with the namespace and a colon. A prefix ends in a colon, which no namespace and no generation's id
holds, so that no prefix is the beginning of another's keys.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Names in one namespace."""

    namespace: str

    @property
    def format(self) -> str:
        """String: the number of this layout, once there is a store."""
        return f"{self.namespace}:format"

    @property
    def names(self) -> str:
        """Hash: a store's name -> its uid."""
        return f"{self.namespace}:names"

    @property
    def doomed(self) -> str:
        """Set: generations that are dropped and whose records are still to be removed."""
        return f"{self.namespace}:doomed"

    @property
    def store_prefix(self) -> str:
        """Beginning of the hash of a store, which its uid ends."""
        return f"{self.namespace}:store:"

    @property
    def generation_prefix(self) -> str:
        """Beginning of the hash of a generation, which its id ends."""
        return f"{self.namespace}:gen:"

    def store(self, uid: str) -> str:
        """Hash: name, active, standby and role of a store."""
        return f"{self.store_prefix}{uid}"

    def generation(self, id_: str) -> str:
        """Hash: all that is known of a generation beside its records."""
        return f"{self.generation_prefix}{id_}"

    def records(self, id_: str) -> str:
        """Beginning of the hash of a record, which the record's id ends."""
        return f"{self.namespace}:rec:{id_}:"

    def ids(self, id_: str) -> str:
        """Sorted set: the ids of a generation's records, in their order."""
        return f"{self.namespace}:ids:{id_}"

    def tombstones(self, id_: str) -> str:
        """Sorted set: the ids of tombstones, in their order."""
        return f"{self.namespace}:tombs:{id_}"

    def versions(self, id_: str) -> str:
        """Hash: the version of each tombstone."""
        return f"{self.namespace}:versions:{id_}"

    def changes(self, id_: str) -> str:
        """Sorted set: the change list, ids by their sequence numbers."""
        return f"{self.namespace}:changes:{id_}"

    def index(self, id_: str, number: int) -> str:
        """Name of a generation's index; each is a new one."""
        return f"{self.namespace}:index:{id_}:{number}"

    def lock(self, what: str, id_: str) -> str:
        """Return the name of a lease, which holds the token of whoever has it."""
        return f"{self.namespace}:lock:{what}:{id_}"
