"""When a graph is built or removed, and what state it is in."""

from __future__ import annotations

from collections.abc import Callable

from vecstore.backend import Generation, IndexState, Progress, Stats
from vecstore.errors import IndexNotReady, StoreCorrupt
from vecstore.index import HNSW, Flat, IndexOptions

from .generation import GenerationCalls
from .index_definition import creation
from .keys import Keys
from .leases import Leases
from .link import Link
from .scripts import COUNT, REPLACE_INDEX
from .search import Standing
from .server import Server, durability

_BUILDING = "Somebody else builds the index of this store."
_PAUSE = 0.02


class Upkeep:
    """The index of one generation after another."""

    def __init__(self, link: Link, keys: Keys, leases: Leases, calls: GenerationCalls, server: Server) -> None:
        self._link = link
        self._keys = keys
        self._leases = leases
        self._calls = calls
        self._server = server
        self._counts: dict[str, int] = {}

    def grew(self, generation: Generation, count: int) -> None:
        """Take note of how many records there are after a write."""
        self._counts[generation.id] = count

    def tend(self, generation: Generation, present: Callable[[], Generation]) -> bool:
        """Build the graph that a bulk load has made worth while; return whether it was built.

        ``present`` looks the generation up again, because the index options of a caller may be old.
        """
        if not isinstance(generation.schema.index, HNSW):
            return False
        if self._counts.get(generation.id, 0) < self._link.options.index_min_rows:
            return False
        if self._calls.standing(generation).kind == "hnsw" or self._calls.look(generation).kind == "hnsw":
            return False
        current = present()
        if not isinstance(current.schema.index, HNSW):
            return False
        self.build(current, None)
        return True

    def build(self, generation: Generation, on_progress: Progress | None) -> None:
        """Build the index that the schema asks for beside the present one, and let it take its place."""
        with self._leases.held(self._keys.lock("index", generation.id), _BUILDING):
            standing = self._calls.look(generation)
            count = int(self._calls.run(generation, COUNT, ())[1])
            wanted: IndexOptions = generation.schema.index
            if isinstance(wanted, HNSW) and count < self._link.options.index_min_rows:
                wanted = Flat()
            kind = "hnsw" if isinstance(wanted, HNSW) else "flat"
            facts, count = self._calls.index_facts(generation, standing.index)
            if kind == standing.kind == "flat" and facts is not None and facts.records == count:
                return
            self._replace(generation, standing, wanted, kind, count, on_progress)

    def _replace(
        self,
        generation: Generation,
        standing: Standing,
        wanted: IndexOptions,
        kind: str,
        count: int,
        on_progress: Progress | None,
    ) -> None:
        hash_ = self._keys.generation(generation.id)
        left = self._link.tell("HGET", hash_, "next")
        if left is not None:  # of a build that was killed
            self._link.ask([("FT.DROPINDEX", left)], changes=True)
        name = self._keys.index(generation.id, int(self._link.tell("HINCRBY", hash_, "indexes", 1, changes=True)))
        self._link.tell("HSET", hash_, "next", name, changes=True)
        records = self._keys.records(generation.id)
        self._link.tell(*creation(name, records, generation.schema, wanted), changes=True)
        done = 0
        while True:
            facts, count = self._calls.index_facts(generation, name)
            if facts is None:
                raise IndexNotReady("The index that was being built is gone from the server. Call reindex() again.")
            if facts.complete:
                break
            if on_progress and facts.records > done:
                done = facts.records
                on_progress(min(done, count), count)
            self._link.pause(_PAUSE)
        if facts.records != count:
            raise StoreCorrupt(
                f"The new index holds {facts.records:,} of {count:,} records; the old one stays. verify() names those."
            )
        self._link.tell("EVAL", REPLACE_INDEX.text, 1, hash_, name, kind, changes=True)
        self._calls.look(generation)
        if on_progress and kind == "hnsw":
            on_progress(count, count)

    def state(self, generation: Generation) -> IndexState:
        """Say how far the index is."""
        standing = self._calls.look(generation)
        count = int(self._calls.run(generation, COUNT, ())[1])
        facts, _ = self._calls.index_facts(generation, standing.index)
        if facts is None:
            return IndexState("invalid", count, 0)
        if standing.kind == "hnsw":
            return IndexState("ready" if facts.complete else "building", count, facts.records)
        busy = self._link.tell("EXISTS", self._keys.lock("index", generation.id))
        wanted = isinstance(generation.schema.index, HNSW)
        return IndexState("building" if busy and wanted else "none", count, 0)

    def stats(self, generation: Generation) -> Stats:
        """Return figures."""
        standing = self._calls.look(generation)
        count = int(self._calls.run(generation, COUNT, ())[1])
        facts, _ = self._calls.index_facts(generation, standing.index)
        indexed = facts.bytes if facts else 0
        details: dict[str, str | int | float] = {
            "server": self._server.version,
            "index": standing.index,
            "index bytes": indexed,
            "refused by the index": facts.failures if facts else 0,
            **durability(self._link),
        }
        return Stats(count, indexed + self._estimated(generation, count), details)

    def _estimated(self, generation: Generation, count: int) -> int:
        """Estimate the memory of so many records from a few of them."""
        some = self._link.tell("ZRANGE", self._keys.ids(generation.id), 0, 19)
        if not some:
            return 0
        prefix = self._keys.records(generation.id)
        sizes = self._link.ask([("MEMORY", "USAGE", prefix + id_.decode()) for id_ in some])
        known = [size for size in sizes if isinstance(size, int)]
        return sum(known) * count // max(1, len(known))
