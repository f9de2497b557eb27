"""`RedisBackend`: stores in Redis, beside whatever else is in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from vecstore.backend import (
    EVERYTHING,
    Backend,
    Change,
    Entry,
    Found,
    Generation,
    Include,
    IndexState,
    Measure,
    Progress,
    Rows,
    Search,
    Selection,
    Stats,
    Update,
    Verification,
)
from vecstore.capabilities import Capabilities
from vecstore.errors import InvalidUrl, StoreNotFound, Unsupported
from vecstore.fields import Stored
from vecstore.filters.nodes import Filter
from vecstore.index_options import Flat

from ..shared.recheck import replace_doubtful, split_queries, verify_index
from .catalogue import Catalogue
from .client import Client
from .connections import ApplicationConnections, OwnConnections
from .durability import explain_volatility, wait_for_disk
from .generation_guard import GenerationGuard
from .indexes import MAX_FIELDS, make_index_command
from .keys import Keys
from .leases import Leases
from .options import make_server_url, parse_options
from .reads import Reads
from .selection import Matches
from .server_checks import Server, read_server
from .stats import collect_stats, read_index_state
from .tallies import Tallies
from .upkeep import Upkeep
from .verify import Verifier
from .writes import Writes

_PER_ROUND_TRIP = 25
"""Queries."""


class RedisBackend(Backend):
    """Stores in Redis through TCP."""

    scheme = "redis"
    capabilities = Capabilities(backend="redis", max_dim=16_000, max_hnsw_dim=16_000, namespaces=True)
    backup_hint = "Use Redis' own tools: BGSAVE, or redis-cli --rdb FILE (docs/redis.md)."

    def __init__(self, client: Client, server: Server) -> None:
        self._client = client
        self._keys = Keys(client.options.namespace)
        self._leases = Leases(client)
        self._catalogue = Catalogue(client, self._keys)
        guard = self._guard = GenerationGuard(client, self._keys, self._leases)
        matches = Matches(guard)
        self._verifier = Verifier(client, self._keys, guard)
        self._server = server
        self._upkeep = Upkeep(client, self._keys, self._leases, self._catalogue, guard)
        self._reads = Reads(guard, matches)
        self._tallies = Tallies(guard)
        self._writes = Writes(guard, matches, self._upkeep, self._verifier)
        self.capabilities = replace(type(self).capabilities, read_only=client.options.read_only or server.replica)

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str]) -> Self:
        """Open a database by the part of its URL that follows the scheme."""
        ours, drivers = parse_options(options, cls.scheme)
        url = make_server_url(cls.scheme, location, drivers)
        try:
            pool = redis.ConnectionPool.from_url(
                url,
                protocol=3,
                socket_timeout=ours.timeout,
                socket_connect_timeout=ours.timeout,
                retry=Retry(NoBackoff(), 0),
            )
        except (ValueError, TypeError, redis.RedisError):  # whose messages may quote the URL with its password
            raise InvalidUrl(f"A Redis URL looks like {cls.scheme}://user:password@host:6379/0.") from None
        return cls._open(Client(OwnConnections(pool, ours.pool_size, ours.timeout), ours))

    @classmethod
    def adopt(cls, client: object, options: Mapping[str, str]) -> Self:
        """Open a database on the application's own client, which `close` leaves open."""
        if not isinstance(client, redis.Redis):
            kind = f"{type(client).__module__}.{type(client).__name__}"
            hint = "Give a redis.Redis, of a single server or of Sentinel's master_for(), or a URL."
            raise Unsupported(f"the client {kind}", "redis", hint)
        ours, drivers = parse_options(options)
        if drivers:
            raise InvalidUrl(f"{', '.join(drivers)} can be set in URLs only; the client is connected already.")
        return cls._open(Client(ApplicationConnections(client), ours))

    @classmethod
    def _open(cls, client: Client) -> Self:
        try:
            return cls(client, read_server(client, Keys(client.options.namespace)))
        except BaseException:
            client.close()
            raise

    # -- catalogue

    def names(self) -> list[str]:
        return self._catalogue.names()

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        return self._catalogue.find(name=name, uid=uid)

    def create(self, name: str, generation: Generation) -> Entry:
        if len(generation.schema.fields) > MAX_FIELDS:
            raise Unsupported(
                f"more than {MAX_FIELDS:,} declared fields", "redis", "Declare the fields that filters use."
            )
        self._catalogue.sweep()
        index, records = self._keys.index(generation.id, 0), self._keys.records(generation.id)
        command = make_index_command(index, records, generation.schema, Flat())
        return self._catalogue.create(uuid.uuid4().hex, name, generation, command)

    def rename(self, uid: str, name: str) -> None:
        self._catalogue.rename(uid, name)

    def drop(self, uid: str, generation: str | None = None) -> None:
        self._catalogue.drop(uid, generation)

    def amend(self, generation: Generation) -> None:
        self._catalogue.amend(generation)

    def builder(self, uid: str) -> AbstractContextManager[None]:
        return self._hold_build(uid)

    @contextmanager
    def _hold_build(self, uid: str) -> Iterator[None]:
        name = self.find(uid=uid).name
        said = f"Another rebuild, copy or load of {name!r} is running. Try again when it has ended."
        with self._leases.hold(self._keys.lock("build", uid), said):
            yield

    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        entry = self.find(uid=uid)
        if entry.standby is None or entry.standby.id != standby:
            raise StoreNotFound(entry.name)
        active, lock = entry.active, self._keys.lock("switch", entry.active.id)
        refusal = f"Another switch of {entry.name!r} is running."
        with self._leases.hold(lock, refusal, self._client.options.lock_timeout) as token:
            present = self.find(uid=uid)
            if present.active.id != active.id or present.standby is None or present.standby.id != standby:
                raise StoreNotFound(entry.name)
            drain(self._catalogue.read_changes(active))
            return self._catalogue.switch(uid, standby, token, lock)

    def explain_volatility(self) -> str | None:
        return explain_volatility(self._client)

    def make_durable(self) -> None:
        wait_for_disk(self._client, self._keys.lock("durable", uuid.uuid4().hex))

    # -- records

    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        return self._writes.write(generation, rows, insert=insert, fence=fence)

    def write_groups(self, generation: Generation, rows: Rows, fences: Mapping[str, int]) -> int:
        return self._writes.write_groups(generation, rows, fences)

    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        return self._writes.update(generation, selection, update)

    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None = None) -> int:
        return self._writes.delete(generation, selection, fence)

    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        return self._writes.read_changes(generation, settled, limit)

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        return self._reads.fetch(generation, ids)

    def page(
        self, generation: Generation, where: Filter | None, after: str | None, limit: int, include: Include = EVERYTHING
    ) -> Rows:
        return self._reads.page(generation, where, after, limit, include)

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        return self._reads.sample(generation, where, size)

    def find_without_vector(self, generation: Generation, limit: int) -> list[str]:
        return self._reads.find_without_vector(generation, limit)

    def count(self, generation: Generation, where: Filter | None) -> int:
        return self._reads.count(generation, where)

    def values(
        self, generation: Generation, field: str, where: Filter | None, limit: int | None
    ) -> list[tuple[Stored, int]]:
        return self._tallies.count_values(generation, field, where, limit)

    def search(self, generation: Generation, search: Search) -> list[Found]:
        found: list[Found] = []
        for part in split_queries(search, _PER_ROUND_TRIP):
            answers = self._reads.search(generation, part)
            found += replace_doubtful(answers, part, partial(self._reads.search, generation))
        return found

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        return self._reads.tombstones(generation, after, limit)

    # -- upkeep

    def build_index(
        self,
        generation: Generation,
        on_progress: Progress | None = None,
        measure: Measure | None = None,
        ef_construction: int | None = None,
    ) -> None:
        self._upkeep.build(generation, on_progress, ef_construction)

    def tend(self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None) -> bool:
        return self._upkeep.tend(generation, on_progress)

    def compact(
        self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None
    ) -> bool:
        """Remove what dropped generations left; the engine frees the memory of single records by itself."""
        self.count(generation, None)  # refuses a generation that is gone
        self._catalogue.sweep()
        return False

    def index_state(self, generation: Generation) -> IndexState:
        return read_index_state(self._client, self._keys, self._guard, generation)

    def stats(self, generation: Generation) -> Stats:
        return collect_stats(self._client, self._keys, self._guard, self._server, generation)

    def verify(self, generation: Generation) -> Verification:
        return verify_index(self, generation, self._verifier.verify(generation))

    def close(self) -> None:
        self._client.close()


class TlsBackend(RedisBackend):
    """Stores in Redis through TLS."""

    scheme = "rediss"


class UnixBackend(RedisBackend):
    """Stores in Redis through a Unix socket."""

    scheme = "unix"
