"""`RedisBackend`: the contract in scripts and searches."""

# Longer than 300 lines because one class fulfils one contract.

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from vecstore.backend import (
    Backend,
    Capabilities,
    Change,
    Entry,
    Found,
    Generation,
    IndexState,
    Progress,
    Rows,
    Search,
    Selection,
    Stats,
    Superseded,
    Update,
    Verification,
)
from vecstore.errors import (
    InvalidUrl,
    PartialWrite,
    RecordExists,
    StorageFailed,
    StoreLocked,
    StoreNotFound,
    Unsupported,
    VecstoreError,
)
from vecstore.filters.nodes import Filter
from vecstore.index import Flat
from vecstore.rows import metadata

from ..shared.generation_json import generation_of
from ..shared.recheck import LOOKED_AT, replace_doubtful, split_queries, verify_index
from . import rows as row_forms
from . import scripts
from . import search as searches
from .catalogue import Catalogue
from .connections import LentConnections, OwnConnections
from .fields import tokens
from .filters import NOTHING, any_of, compiled, program
from .generation import GenerationCalls
from .index_definition import MAX_FIELDS, creation
from .keys import Keys
from .leases import Leases
from .link import Link
from .options import parse, server_url
from .scripts import Script
from .server import Server, facts
from .upkeep import Upkeep
from .verify import Inspection

_TOGETHER = 25
"""Queries in one round trip."""
_AT_ONCE = 1_000
"""Matches of a filter that are changed in one step; the server does nothing else meanwhile."""
_WALK = 1_000
_LONGEST_WALK = 5_000
"""Ids that one step of a walk looks at, first and at most."""
_ANSWERED = 3
"""Words of an answer before ids that were changed."""
_AGAIN = 100
"""How often an update begins anew because others changed the same records meanwhile."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Records that one step changes: by id, by a filter, or those of some ids that match it."""

    queries: Sequence[str] = ()
    program: Sequence[Any] = ()
    ids: Sequence[str] = ()

    def words(self, milliseconds: int) -> list[Any]:
        return [
            len(self.queries), *self.queries, len(self.program), *self.program, _AT_ONCE, milliseconds,
            len(self.ids), *self.ids,
        ]  # fmt: skip


class RedisBackend(Backend):
    """Stores in Redis, beside whatever else is there."""

    scheme = "redis"
    capabilities = Capabilities(backend="redis", max_dim=16_000, max_hnsw_dim=16_000, namespaces=True)

    def __init__(self, link: Link, server: Server) -> None:
        self._link = link
        self._keys = Keys(link.options.namespace)
        self._leases = Leases(link)
        self._catalogue = Catalogue(link, self._keys)
        self._calls = GenerationCalls(link, self._keys, self._leases)
        self._inspection = Inspection(link, self._keys, self._calls)
        self._upkeep = Upkeep(link, self._keys, self._leases, self._calls, server)
        self.capabilities = replace(type(self).capabilities, read_only=link.options.read_only or server.replica)

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str]) -> Self:
        """Open a database by what follows the scheme in a URL."""
        ours, theirs = parse(options, cls.scheme)
        url = server_url(cls.scheme, location, theirs)
        try:
            pool = redis.ConnectionPool.from_url(
                url,
                protocol=3,
                socket_timeout=ours.timeout,
                socket_connect_timeout=ours.timeout,
                retry=Retry(NoBackoff(), 0),
            )
        except (ValueError, TypeError, redis.RedisError):  # whose messages may quote the URL, a password among it
            raise InvalidUrl(f"A Redis URL looks like {cls.scheme}://user:password@host:6379/0.") from None
        return cls._opened(Link(OwnConnections(pool, ours.pool_size, ours.timeout), ours))

    @classmethod
    def adopt(cls, client: object, options: Mapping[str, str]) -> Self:
        """Open a database on the application's own client, which stays open at `close`."""
        if not isinstance(client, redis.Redis):
            kind = f"{type(client).__module__}.{type(client).__name__}"
            hint = "Give a redis.Redis, of a single server or of Sentinel's master_for(), or a URL."
            raise Unsupported(f"the client {kind}", "redis", hint)
        ours, theirs = parse(options)
        if theirs:
            raise InvalidUrl(f"{', '.join(theirs)} is for URLs: the client is connected already.")
        return cls._opened(Link(LentConnections(client), ours))

    @classmethod
    def _opened(cls, link: Link) -> Self:
        try:
            return cls(link, facts(link, Keys(link.options.namespace)))
        except BaseException:
            link.close()
            raise

    # -- catalogue

    def names(self) -> list[str]:
        return self._catalogue.names()

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        return self._catalogue.find(name=name, uid=uid)

    def create(self, name: str, generation: Generation) -> Entry:
        if len(generation.schema.fields) > MAX_FIELDS:
            raise Unsupported(f"more than {MAX_FIELDS:,} declared fields", "redis", "Declare what filters need.")
        self._catalogue.sweep()
        index = creation(
            self._keys.index(generation.id, 0), self._keys.records(generation.id), generation.schema, Flat()
        )
        return self._catalogue.create(uuid.uuid4().hex, name, generation, index)

    def rename(self, uid: str, name: str) -> None:
        self._catalogue.rename(uid, name)

    def drop(self, uid: str, generation: str | None = None) -> None:
        self._catalogue.drop(uid, generation)

    def amend(self, generation: Generation) -> None:
        self._catalogue.amend(generation)

    def builder(self, uid: str) -> AbstractContextManager[None]:
        return self._building(uid)

    @contextmanager
    def _building(self, uid: str) -> Iterator[None]:
        name = self.find(uid=uid).name
        with self._leases.held(self._keys.lock("build", uid), f"Another rebuild of {name!r} is running."):
            yield

    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        entry = self.find(uid=uid)
        if entry.standby is None or entry.standby.id != standby:
            raise StoreNotFound(entry.name)
        active, lock = entry.active, self._keys.lock("switch", entry.active.id)
        refusal = f"Another switch of {entry.name!r} is under way."
        with self._leases.held(lock, refusal, self._link.options.lock_timeout) as token:
            present = self.find(uid=uid)
            if present.active.id != active.id or present.standby is None or present.standby.id != standby:
                raise StoreNotFound(entry.name)
            drain(self._all_noted(active))
            return self._catalogue.switch(uid, standby, token, lock)

    def _all_noted(self, active: Generation) -> list[Change]:
        noted = self._link.tell("ZRANGE", self._keys.changes(active.id), 0, -1, "WITHSCORES")
        return [Change(int(seq), id_.decode()) for id_, seq in noted]

    # -- records

    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        mode = "insert" if insert else "upsert" if fence is None else "fence"
        words = row_forms.given(rows, generation.schema, mode, fence)
        index = self._calls.standing(generation).index
        counting = searches.counting(any_of(row_forms.ID, tokens(rows.ids)), index, self._calls.milliseconds)
        answer, [reply] = self._calls.run_before([counting], generation, scripts.WRITE, words)
        if answer[0] == b"taken":
            raise RecordExists([id_.decode() for id_ in answer[1:]])
        self._upkeep.grew(generation, int(answer[2]))
        if searches.counted(reply) != len(rows):
            self._check_indexed(generation, rows.ids)
        return int(answer[1])

    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        words = row_forms.laid(update, generation.schema)

        def more(part: _Part) -> list[Any]:
            return [*words, "extras", *self._extras(generation, part, update)] if update.extra else [*words, ""]

        return self._selecting(generation, selection, scripts.UPDATE, more)

    def _extras(self, generation: Generation, part: _Part, update: Update) -> list[Any]:
        """Return the ids of some records, their undeclared metadata, and what that becomes."""
        answer = self._run(generation, scripts.EXTRAS, part)
        if answer[0] == b"many":  # the update will say so too
            return [0]
        words: list[Any] = [(len(answer) - 1) // 2]
        for id_, extra in zip(answer[1::2], answer[2::2], strict=True):
            words += [id_, extra, metadata.merge(extra.decode(), update.extra, id_.decode())]
        return words

    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None = None) -> int:
        fences = [] if fence is None or isinstance(selection, Filter) else [*fence]
        return self._selecting(generation, selection, scripts.DELETE, lambda _: [len(fences), *fences])

    def _selecting(
        self, generation: Generation, selection: Selection, script: Script, more: Callable[[_Part], list[Any]]
    ) -> int:
        """Change selected records: in one step, or where a filter matches many, in steps of whole records."""
        if not isinstance(selection, Filter):
            return self._step(generation, _Part(ids=list(dict.fromkeys(selection))), script, more) or 0
        queries = compiled(selection, generation.schema.fields)
        if queries is not None:
            whole = self._step(generation, _Part(queries), script, more)
            if whole is not None:
                return whole
        changed, steps = 0, program(selection, generation.schema.fields)
        try:
            for ids in self._walk(generation, selection, None, _WALK, longest=_AT_ONCE):
                if ids:
                    changed += self._step(generation, _Part((), steps, ids), script, more) or 0
        except VecstoreError as error:
            if changed:
                raise PartialWrite(changed, error) from error
            raise
        return changed

    def _step(
        self, generation: Generation, part: _Part, script: Script, more: Callable[[_Part], list[Any]]
    ) -> int | None:
        """Change some records; None where more match than one step should change."""
        for _ in range(_AGAIN):
            answer = self._run(generation, script, part, *more(part))
            if answer[0] == b"many":
                return None
            if answer[0] == b"ok":
                self._upkeep.grew(generation, int(answer[2]))
                if len(answer) > _ANSWERED:
                    self._check_indexed(generation, [id_.decode() for id_ in answer[_ANSWERED:]])
                return int(answer[1])
        raise StoreLocked("Others kept changing the same records. Try again.")

    def _run(self, generation: Generation, script: Script, part: _Part, *more: Any) -> list[Any]:
        words = [*part.words(self._calls.milliseconds), *more]
        return self._calls.run(generation, script, words, indexed=bool(part.queries))

    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        words: list[Any] = [len(settled)]
        for each in settled:
            words += [each.seq, each.id]
        found = self._calls.run(generation, scripts.CHANGES, [*words, limit])[1:]
        return [Change(int(seq), id_.decode()) for id_, seq in zip(found[::2], found[1::2], strict=True)]

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        listed = list(dict.fromkeys(ids))
        return self._rows(generation, scripts.FETCH, [len(listed), *listed])

    def page(self, generation: Generation, where: Filter | None, after: str | None, limit: int) -> Rows:
        if where is None:
            return self._rows(generation, scripts.PAGE, [_beyond(after), limit])
        # Between finding ids and reading records others may change them: what matches no more is left out, and a page
        # is empty only where nothing is left.
        steps = program(where, generation.schema.fields)
        for ids in self._pages(generation, where, after, limit):
            part = _Part((), steps, ids)
            found = self._rows(generation, scripts.FETCH_MATCHING, part.words(self._calls.milliseconds))
            if len(found):
                return found
        return self.fetch(generation, ())

    def _pages(self, generation: Generation, where: Filter, after: str | None, limit: int) -> Iterator[list[str]]:
        """Give the ids of matches beyond one, ``limit`` of them at a time."""
        few = self._few(generation, where)
        parts: Iterable[list[str]] = self._walk(generation, where, after, limit)
        if few is not None:
            parts = [[id_ for id_ in few if after is None or id_ > after]]
        waiting: list[str] = []
        for part in parts:
            waiting += part
            while len(waiting) >= limit:
                yield waiting[:limit]
                waiting = waiting[limit:]
        if waiting:
            yield waiting

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        if where is None:
            return self._rows(generation, scripts.SAMPLE, [size])
        ids = self._all(generation, where)
        chosen = ids if len(ids) <= size else [ids[number * len(ids) // size] for number in range(size)]
        return self.fetch(generation, chosen)

    def count(self, generation: Generation, where: Filter | None) -> int:
        if where is None:
            return int(self._calls.run(generation, scripts.COUNT, ())[1])
        queries = compiled(where, generation.schema.fields)
        if queries is None or len(queries) > 1:
            return len(self._all(generation, where))
        [reply] = self._calls.search(
            generation, lambda standing: [searches.counting(queries[0], standing.index, self._calls.milliseconds)]
        )
        return int(reply[b"total_results"])

    def search(self, generation: Generation, search: Search) -> list[Found]:
        found: list[Found] = []
        for part in split_queries(search, _TOGETHER):
            found += replace_doubtful(self._searched(generation, part), part, partial(self._searched, generation))
        return found

    def _searched(self, generation: Generation, search: Search) -> list[Found]:
        schema, prefix = generation.schema, len(self._keys.records(generation.id))
        queries = [None] if search.where is None else self._queries(generation, search.where)
        k, milliseconds = max(search.k, LOOKED_AT), self._calls.milliseconds
        asked: list[searches.Wish] = []

        def commands(standing: searches.Standing) -> list[list[Any]]:
            asked[:] = [
                searches.wish(search, vector, where, standing, schema, k, milliseconds)
                for vector in search.queries
                for where in queries
            ]
            return [each.command for each in asked]

        replies = self._calls.search(generation, commands)
        return [
            searches.found(replies[number : number + len(queries)], asked[number], search, vector, schema, prefix)
            for number, vector in zip(range(0, len(replies), len(queries)), search.queries, strict=True)
        ]

    def _queries(self, generation: Generation, where: Filter) -> Sequence[str]:
        """Return the queries that a filter becomes, in the end those for the ids of all matches."""
        queries = compiled(where, generation.schema.fields)
        if queries is not None:
            return queries
        ids = self._all(generation, where)
        parts = [ids[start : start + _WALK] for start in range(0, len(ids), _WALK)]
        return [any_of(row_forms.ID, tokens(part)) for part in parts] or [NOTHING]

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        found = self._calls.run(generation, scripts.TOMBSTONES, [_beyond(after), limit])[1:]
        return {id_.decode(): int(version) for id_, version in zip(found[::2], found[1::2], strict=True)}

    # -- upkeep

    def build_index(self, generation: Generation, on_progress: Progress | None = None) -> None:
        self._upkeep.build(generation, on_progress)

    def tend(self, generation: Generation) -> bool:
        return self._upkeep.tend(generation, partial(self._present, generation))

    def compact(self, generation: Generation) -> bool:
        """Remove what dropped generations left: the engine gives back the room of single records by itself."""
        self.count(generation, None)
        self._catalogue.sweep()
        return False

    def index_state(self, generation: Generation) -> IndexState:
        return self._upkeep.state(generation)

    def stats(self, generation: Generation) -> Stats:
        return self._upkeep.stats(generation)

    def verify(self, generation: Generation) -> Verification:
        return verify_index(self, generation, self._inspection.verify(generation))

    def close(self) -> None:
        self._link.close()

    # -- parts

    def _rows(self, generation: Generation, script: Script, words: Sequence[Any]) -> Rows:
        names = row_forms.all_attributes(generation.schema)
        answer = self._calls.run(generation, script, [len(names), *names, *words])
        return row_forms.found(answer[1:], generation.schema)

    def _few(self, generation: Generation, where: Filter) -> list[str] | None:
        """Return the ids of all matches in their order, None where they are many."""
        queries = compiled(where, generation.schema.fields)
        if queries is None:
            return None
        answer = self._run(generation, scripts.SELECT, _Part(queries))
        return None if answer[0] == b"many" else sorted(id_.decode() for id_ in answer[1:])

    def _all(self, generation: Generation, where: Filter) -> list[str]:
        """Return the ids of all matches in their order."""
        few = self._few(generation, where)
        if few is not None:
            return few
        return [id_ for part in self._walk(generation, where, None, _LONGEST_WALK) for id_ in part]

    def _walk(
        self, generation: Generation, where: Filter, after: str | None, step: int, longest: int = _LONGEST_WALK
    ) -> Iterator[list[str]]:
        """Look at all records in the order of their ids; give the ids of those that match, some at a time."""
        steps, start = program(where, generation.schema.fields), _beyond(after)
        while True:
            step = min(step, longest)
            words = [start, step, len(steps), *steps]
            _, last, *found = self._calls.run(generation, scripts.SCAN, words)
            if not last:
                return
            yield [id_.decode() for id_ in found]
            start, step = _beyond(last.decode()), 2 * step

    def _present(self, generation: Generation) -> Generation:
        """Return a generation as the catalogue has it now."""
        hash_ = self._keys.generation(generation.id)
        schema, identity, ef = self._link.tell("HMGET", hash_, "schema", "identity", "ef")
        if schema is None:
            raise Superseded
        texts = (schema.decode(), None if identity is None else identity.decode())
        return generation_of(generation.id, *texts, int(ef) if ef else None, standby=generation.standby)

    def _check_indexed(self, generation: Generation, ids: Sequence[str]) -> None:
        """Make sure that the index took what was written: it says nothing of what it refuses.

        Raises
        ------
        StorageFailed
        """
        for problem in self._inspection.unfound(generation, ids):
            raise StorageFailed(f"The write is made, but {problem}.")


def _beyond(after: str | None) -> str:
    return "-" if after is None else f"({after}"


class TlsBackend(RedisBackend):
    """The same through TLS."""

    scheme = "rediss"


class UnixBackend(RedisBackend):
    """The same through a Unix socket."""

    scheme = "unix"
