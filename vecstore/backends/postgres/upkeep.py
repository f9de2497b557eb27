"""When an index is built or removed, what state it is in, and the checks of `verify`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, Select, Text, cast, func, literal_column, select

from vecstore.backend import Generation, IndexState, Progress, Stats, Verification
from vecstore.errors import StoreCorrupt, StoreLocked
from vecstore.index import HNSW

from .column_types import of_extension, quoted
from .generation_guard import lock_key
from .generation_table import Layout
from .indexes import Builder, fits, listed, qualified
from .pool import Pool
from .reads import live
from .server import Server
from .statements import Statement, compiled, parameter

_TRY_LOCK = Statement("SELECT pg_try_advisory_xact_lock(%(lock)s)", MappingProxyType({}))
_SIZES = Statement(
    "SELECT pg_total_relation_size(to_regclass(%(table)s)), pg_indexes_size(to_regclass(%(table)s)), "
    "n_dead_tup FROM pg_stat_all_tables WHERE relid = to_regclass(%(table)s)",
    MappingProxyType({}),
)
_BUILDING = Statement(
    "SELECT 1 FROM pg_stat_progress_create_index WHERE relid = to_regclass(%(table)s)", MappingProxyType({})
)
_SETTLING = 1
"""Added to a generation's lock for its builder's, so that a build does not meet a write's gate."""


class Upkeep:
    """The index of one generation after another, on connections of a pool."""

    def __init__(self, pool: Pool, server: Server) -> None:
        self._pool = pool
        self._server = server
        self._ready: set[str] = set()
        self._room: dict[str, int] = {}

    def grew(self, generation: Generation, rows: int) -> None:
        """Take note of rows that were written."""
        if generation.id in self._room:
            self._room[generation.id] -= rows

    def tend(self, generation: Generation, layout: Layout) -> bool:
        """Build the index that a bulk load has made worth while; return whether it was built."""
        if not isinstance(generation.schema.index, HNSW) or generation.id in self._ready:
            return False
        if self._room.get(generation.id, 0) > 0:
            return False
        if any(each.valid for each in listed(self._pool, layout)):
            self._ready.add(generation.id)
            return False
        least, count = self._pool.options.index_min_rows, self._counted(layout)
        if count < least:
            # Other processes write too: look again long before this one alone can have filled the store.
            self._room[generation.id] = (least - count) // 4
            return False
        self.build(generation, layout, None)
        return True

    def build(self, generation: Generation, layout: Layout, on_progress: Progress | None) -> None:
        """Build the index that the schema asks for, or remove what it does not ask for."""
        with self.locked(lock_key(generation.id) ^ _SETTLING, "Somebody else builds the index of this store."):
            builder, options = Builder(self._pool, self._server, layout), generation.schema.index
            self._ready.discard(generation.id)
            if not isinstance(options, HNSW) or self._counted(layout) < self._pool.options.index_min_rows:
                builder.remove(listed(self._pool, layout))
                return
            builder.build(options, self.count(layout), on_progress)
            self._ready.add(generation.id)

    def compact(self, generation: Generation, layout: Layout) -> bool:
        """Give back the room of removed rows; return whether there is a graph that has changed by it."""
        with self.locked(lock_key(generation.id) ^ _SETTLING, "Somebody else builds the index of this store."):
            Builder(self._pool, self._server, layout).vacuum()
        return any(each.valid for each in listed(self._pool, layout))

    def state(self, generation: Generation, layout: Layout, count: int) -> IndexState:
        """Say how far the index of so many records is."""
        options = generation.schema.index
        found = listed(self._pool, layout) if isinstance(options, HNSW) else []
        if any(each.valid for each in found):
            return IndexState("ready", count, count)
        if not found:
            return IndexState("none", count, 0)
        building = self._pool.run(_BUILDING, {"table": qualified(layout)})
        return IndexState("building" if building else "invalid", count, 0)

    def fits(self, layout: Layout, options: HNSW) -> bool:
        """Say whether there is an index with these options."""
        return any(fits(each, layout, options) for each in listed(self._pool, layout))

    def count(self, layout: Layout) -> int:
        """Count the records of a table, whatever its role."""
        [(count,)] = self._pool.run(_counting(layout), {})
        return int(count)

    def stats(self, layout: Layout, count: int) -> Stats:
        """Return figures about so many records."""
        rows = self._pool.run(_SIZES, {"table": qualified(layout)})
        total, indexes, dead = rows[0] if rows else (0, 0, 0)
        details = {
            "table": qualified(layout),
            "index bytes": indexes,
            "dead rows": dead,
            "pgvector": ".".join(map(str, self._server.pgvector)),
            "PostgreSQL": f"{self._server.version // 10_000}.{self._server.version % 10_000}",
        }
        return Stats(count, total, details)

    def verify(self, layout: Layout) -> Verification:
        """Read every value of every record, so that the server's page checksums are checked."""
        problems = [
            f"index {each.name} is not valid: reindex()" for each in listed(self._pool, layout) if not each.valid
        ]
        try:
            [(count, sound)] = self._pool.run(_reading(layout), {})
        except StoreCorrupt as error:
            return Verification(0, (*problems, str(error)))
        if sound != count:
            problems.append(f"{count - sound} records have a vector of another dimension")
        return Verification(count, tuple(problems))

    @contextmanager
    def locked(self, lock: int, refusal: str) -> Iterator[None]:
        """Hold an advisory lock in an open transaction: it goes with the connection, however that ends."""
        with self._pool.transaction() as transaction:
            [(held,)] = transaction.run(_TRY_LOCK, {"lock": lock})
            if not held:
                raise StoreLocked(refusal)
            transaction.rest()
            yield

    def _counted(self, layout: Layout) -> int:
        """Count records, no further than an index needs."""
        [(count,)] = self._pool.run(_counting_up_to(layout), {"least": self._pool.options.index_min_rows})
        return int(count)


def _counting(layout: Layout) -> Statement:
    return compiled(select(func.count()).select_from(layout.table).where(live(layout, None)))


def _counting_up_to(layout: Layout) -> Statement:
    some: Select[Any] = (
        select(literal_column("1").label("one")).where(live(layout, None)).limit(parameter("least", BigInteger()))
    )
    return compiled(select(func.count()).select_from(some.subquery("some")))


def _reading(layout: Layout) -> Statement:
    """Spell out every record, which reads each of its values from wherever it lies."""
    table = layout.table
    spelled = func.hashtextextended(cast(literal_column(quoted(table.name)), Text()), literal_column("0"))
    dims = of_extension(layout.extension)("vector_dims", table.c.embedding)
    sound = func.count().filter(dims == literal_column(str(layout.schema.width)), spelled.is_not(None))
    return compiled(select(func.count(), sound).where(live(layout, None)))
