"""`PostgresBackend`: the contract as SQL statements, each compiled once for a table and a filter's shape."""

# Longer than 300 lines because one class implements the whole contract.

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import DropTable

from vecstore.backend import (
    EVERYTHING,
    Backend,
    Change,
    Entry,
    Followed,
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
    Superseded,
    Update,
    Verification,
)
from vecstore.capabilities import Capabilities
from vecstore.errors import (
    InvalidMetadata,
    RecordExists,
    StorageFailed,
    StoreExists,
    StoreNotFound,
    Unsupported,
    VecstoreError,
)
from vecstore.fields import Stored
from vecstore.filters.nodes import Filter
from vecstore.index_options import HNSW, Flat, MilvusIndex
from vecstore.metric import Metric
from vecstore.rows import metadata
from vecstore.schema import MAX_PARTITIONS

from ..shared.recheck import LOOKED_AT, replace_doubtful, split_queries, verify_index
from . import (
    bulk_copy,
    change_list,
    filters,
    group_writes,
    reads,
    rows,
    statement_cache,
    writes,
)
from . import (
    search as searches,
)
from .advisory_locks import hold_lock, make_lock_key
from .caller_transaction import CallerTransaction
from .catalogue import Catalogue
from .catalogue_tables import make_catalogue_tables
from .citus import check_undivided
from .client import Client
from .column_types import PACKED, PackedQuery, quote_table
from .copy_or_insert import CopyOrInsert
from .durability import explain_volatility, wait_for_disk
from .engine import check_driver, get_driver, make_engine
from .failures import DENIED, GONE, INTERNAL, REFUSED, make_missing_table, read_state, translating
from .few_matches_cache import FewMatches, hash_search
from .followed.answer import compile_answer, compile_matching
from .followed.follower import FollowerTable
from .followed.following import Following, check_installed
from .followed.triggers import drop_triggers
from .generation_guard import compile_exclusion, compile_role_check
from .generation_table import MAX_HALFVEC_INDEX, MAX_VECTOR_INDEX, Layout, Layouts, write_creation
from .inherited_connections import check_pool
from .metrics import METRICS
from .migrations import migrate
from .options import Options, make_server_url, parse_options
from .replica import Replica, make_connector
from .replicas import Replicas
from .rights import Denied, make_denial
from .row_security import check_sees_all
from .server_checks import Server, read_server, warn_of_faults
from .session_settings import LOCK_TIMEOUT, format_lock_timeout
from .statements import Answer, Statement, compile_statement
from .stats import collect_stats, read_index_state
from .table_dependents import check_dependents
from .table_properties import TableProperties, leave_to_owner, share_numbers
from .transaction import Runner, Transaction
from .upkeep import Upkeep
from .verify import verify_table

_MAX_GRAPH_HITS = 500
"""Beyond this many hits a graph search would need more candidates than pgvector allows."""
_PER_STATEMENT = 25
"""Queries in one statement; many exact ones in a single statement might exceed the server's timeout."""


class PostgresBackend(Backend):
    """Stores in a database of PostgreSQL, beside the application's own tables."""

    backup_hint = "Use PostgreSQL's own tool: pg_dump --schema=NAMESPACE (docs/postgres.md)."
    capabilities = Capabilities(
        backend="postgres", max_dim=16_000, max_hnsw_dim=MAX_HALFVEC_INDEX, transactions=True, namespaces=True,
        migrations=True, max_partitions=MAX_PARTITIONS,
    )  # fmt: skip

    def __init__(self, client: Client, server: Server) -> None:
        self._client = client
        self._server = server
        self._runner: Runner = client
        self._has_caller_transaction = False
        self._replicas: Replicas | None = None
        self._tables = make_catalogue_tables(client.options.namespace)
        self._catalogue = Catalogue(self._tables)
        self._layouts = Layouts(client.options.namespace, server.extension, has_citus=server.has_citus)
        self._upkeep = Upkeep(client, server, self._layouts, self._catalogue)
        self._following: Following | None = None
        self._followers = FollowerTable(client.options.namespace)
        self._statements: dict[Hashable, Statement] = {}
        self._few_matches, self._copy_or_insert = FewMatches(), CopyOrInsert()
        capabilities = type(self).capabilities
        if client.options.read_only:
            capabilities = replace(capabilities, read_only=True)
        elif server.read_only_reason:
            capabilities = replace(capabilities, read_only=True, read_only_reason=server.read_only_reason)
        if client.options.vectors is not None:
            capabilities = replace(
                capabilities, max_hnsw_dim=capabilities.max_dim, indexes=(*capabilities.indexes, MilvusIndex.kind)
            )
            self._following = Following(client.options.vectors, client, server, self._layouts, self._catalogue)
            self._upkeep = self._following.upkeep
        self.capabilities = capabilities

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str], *, migrating: bool = False) -> Self:
        """Open a database by what follows ``postgresql:`` in a URL."""
        ours, libpq = parse_options(options)
        check_installed(ours.vectors)
        return cls._open_url(make_server_url(location, libpq), ours, migrating=migrating)

    @classmethod
    def _open_url(cls, url: URL, ours: Options, *, migrating: bool) -> Self:
        if migrating:
            plain = create_engine(url, poolclass=NullPool, hide_parameters=True)
            with translating(), plain.connect() as connection:
                migrate.upgrade(connection, namespace=ours.namespace)
        return cls._open(make_engine(url, ours), ours, owned=True)

    @classmethod
    def adopt(cls, engine: Engine, options: Mapping[str, str], *, migrating: bool = False) -> Self:
        """Open a database on the application's own engine, which stays open at `close`."""
        ours, _ = parse_options(options)
        check_installed(ours.vectors)
        check_driver(engine)
        check_pool(engine.pool)
        if migrating:
            with translating(), engine.connect() as connection:
                migrate.upgrade(connection, namespace=ours.namespace)
        return cls._open(engine, ours, owned=False)

    @classmethod
    def _open(cls, engine: Engine, options: Options, *, owned: bool) -> Self:
        client = Client(engine, options, owned=owned)
        try:
            with client.examine() as connection:
                migrate.check(connection, namespace=options.namespace)
                server = read_server(get_driver(connection.connection))
        except BaseException:
            client.close()
            raise
        warn_of_faults(server)
        client.use_types(server.oids)
        return cls(client, server)

    def using(self, connection: object) -> Self:
        """Return a backend whose statements join the caller's transaction."""
        self._client.check_usable()
        # The copy shares the compiled statements.
        other = copy(self)
        other._runner = CallerTransaction(connection, self._server.oids, self._client.watch)
        other._has_caller_transaction = True
        other._replicas = None
        return other

    @classmethod
    def check_replicas(cls, replicas: Sequence[object]) -> None:
        for each in replicas:
            make_connector(each)

    def use_replicas(self, replicas: Sequence[object], lag: float) -> None:
        if self._following is not None:
            raise Unsupported("read replicas beside vectors=", "postgres", "Leave one of them out.")
        # They have the types of the primary, whose files they copy, and need no catalogue of today.
        made = [Replica(partial(make_connector(each), self._server.oids)) for each in replicas]
        self._replicas = Replicas(self._client, made, lag)

    # -- catalogue

    def names(self) -> list[str]:
        with self._explaining("find"):
            return self._catalogue.names(self._runner)

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        with self._explaining("find"):
            return self._catalogue.find(self._runner, name=name, uid=uid)

    def create(self, name: str, generation: Generation) -> Entry:
        if self._following is not None:
            self._following.check_index(generation.schema)
        active = self.find(name=name).active if generation.standby else None
        call = "create standby" if active else "create"
        with self._hold_transaction(call, "creating a store", active) as transaction:
            entry = self._add_entry(transaction, name, generation)
            if generation.remote is None:
                self._create_table(transaction, self._layouts.get(generation))
            if generation.standby:
                share_numbers(transaction, self._client.options.namespace)
                if _are_both_here(entry.active, generation):
                    self._get_properties(transaction, entry.active, generation).copy_to_standby()
        return entry

    def _create_table(self, transaction: Transaction, layout: Layout) -> None:
        for text in write_creation(layout):
            transaction.run(Statement(text, MappingProxyType({}), writes=True), {})
        if layout.partitions > 1:
            leave_to_owner(transaction, [quote_table(each.table) for each in layout.list_parts()])

    def _add_entry(self, transaction: Transaction, name: str, generation: Generation) -> Entry:
        if not generation.standby:
            try:
                self._catalogue.add_store(transaction, uuid.uuid4().hex, name, generation)
            except psycopg.errors.UniqueViolation as error:
                raise StoreExists(f"Store {name!r} exists already.") from error
            return self._catalogue.find(transaction, name=name)
        entry = self._lock_out_writers(transaction, self._catalogue.find(transaction, name=name).uid)
        if entry.building:
            raise StoreExists(f"Store {name!r} has a generation under construction already.")
        transaction.run(change_list.compile_forgetting(self._tables), {"generation": entry.active.id})
        self._catalogue.add_generation(transaction, entry.uid, generation)
        self._catalogue.point(transaction, entry.uid, entry.active.id, generation.id, "building")
        return self._catalogue.find(transaction, uid=entry.uid)

    def rename(self, uid: str, name: str) -> None:
        with self._hold_transaction("rename", "renaming a store") as transaction:
            entry = self._catalogue.find(transaction, uid=uid)
            if entry.name == name:
                raise StoreExists(f"Store {name!r} exists already.")
            try:
                if not self._catalogue.rename(transaction, uid, name):
                    raise StoreNotFound(entry.name)
            except psycopg.errors.UniqueViolation as error:
                raise StoreExists(f"Store {name!r} exists already.") from error

    def drop(self, uid: str, generation: str | None = None) -> None:
        self._drop(uid, generation)
        if self._following is not None:
            self._following.drop_left()

    def _drop(self, uid: str, generation: str | None) -> None:
        of = self.find(uid=uid)
        dropped = [each for each in of.generations if generation in {None, each.id}]
        with self._hold_transaction("drop", "dropping a store", *dropped) as transaction:
            entry = self._catalogue.find(transaction, uid=uid)
            # Tables before the store's row, in the order in which a write locks them.
            for each in (each for each in entry.generations if generation in {None, each.id}):
                self._drop_table(transaction, each)
            entry = self._lock_out_writers(transaction, uid)
            if generation is None:
                transaction.run(change_list.compile_forgetting(self._tables), {"generation": entry.active.id})
                self._catalogue.remove_store(transaction, uid)
                return
            left = entry.drop_beside(generation)
            if left is None:
                raise StoreNotFound(entry.name)
            if left.standby != entry.standby:
                transaction.run(change_list.compile_forgetting(self._tables), {"generation": entry.active.id})
                standby = left.standby.id if left.standby else None
                self._catalogue.point(transaction, uid, left.active.id, standby, "previous" if standby else None)
            self._catalogue.remove_generation(transaction, generation)

    def _drop_table(self, transaction: Transaction, generation: Generation) -> None:
        if generation.remote is not None:
            return
        transaction.run(
            compile_statement(DropTable(self._layouts.get(generation).table, if_exists=True), writes=True), {}
        )
        if self._followers.is_followed(transaction, generation.id):
            self._followers.end(transaction, generation.id)

    def amend(self, generation: Generation) -> None:
        if self._following is not None:
            self._following.check_index(generation.schema)
        with self._explaining("amend"), self._noting():
            if not self._catalogue.amend(self._runner, generation):
                raise Superseded
        if self._following is not None:
            self._following.route.forget(generation.id)

    def builder(self, uid: str) -> AbstractContextManager[None]:
        return self._hold_builder(uid)

    @contextmanager
    def _hold_builder(self, uid: str) -> Iterator[None]:
        name, lock = self.find(uid=uid).name, make_lock_key(uid)
        with ExitStack() as stack:
            with self._explaining("rebuild"):
                said = f"Another rebuild, copy or load of {name!r} is running. Try again when it has ended."
                stack.enter_context(hold_lock(self._client, lock, said))
            yield

    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        entry = self._switch(uid, standby, drain)
        if self._following is not None:
            self._following.drop_left()
        return entry

    def _switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        of = self.find(uid=uid)
        with self._hold_transaction("switch", "switching a store", *of.generations) as transaction:
            entry = self._lock_out_writers(transaction, uid)
            if entry.standby is None or entry.standby.id != standby:
                raise StoreNotFound(entry.name)
            # A separate statement, whose snapshot is newer than the lock and so includes every earlier write.
            noted = transaction.run(change_list.compile_all_changes(self._tables), {"generation": entry.active.id})
            drain([Change(seq, id_) for seq, id_ in noted])
            for each in (entry.active.id, standby):
                transaction.run(change_list.compile_forgetting(self._tables), {"generation": each})
            if entry.active.remote is None:
                self._check_replaceable(transaction, entry.active)
            if _are_both_here(entry.active, entry.standby):
                self._get_properties(transaction, entry.active, entry.standby).hand_over()
            for parked in (each for each in entry.generations if each not in (entry.active, entry.standby)):
                self._drop_table(transaction, parked)
                self._catalogue.remove_generation(transaction, parked.id)
            self._catalogue.point(transaction, uid, standby, entry.active.id, "previous")
            return self._catalogue.find(transaction, uid=uid)

    def explain_volatility(self) -> str | None:
        return explain_volatility(self._client)

    def make_durable(self) -> None:
        wait_for_disk(self._client)

    def check_rebuildable(self, entry: Entry) -> None:
        with self._explaining("read", entry.active):
            self._check_replaceable(self._client, entry.active)

    def check_sees_all(self, entry: Entry) -> None:
        with self._explaining("read", entry.active):
            check_sees_all(self._client, self._layouts.get(entry.active), "a copy")

    def _check_replaceable(self, runner: Runner, active: Generation) -> None:
        layout = self._layouts.get(active)
        check_sees_all(runner, layout)
        check_dependents(runner, layout)

    def _get_properties(self, transaction: Transaction, source: Generation, target: Generation) -> TableProperties:
        return TableProperties(transaction, self._server.version, self._layouts.get(source), self._layouts.get(target))

    # -- records

    def write(self, generation: Generation, batch: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        table, standby = self._find_table(generation), generation.standby
        present = batch.vectors if batch.vectors is None or batch.present is None else batch.vectors[batch.present]
        self._check_rounding(generation, table, present)
        if self._copy_in(generation, table, batch, fence, insert=insert):
            self._upkeep.note_written(generation, len(batch))
            return len(batch)
        fenced = fence is not None
        statement = self._get_statement(
            ("write", insert, fenced, standby),
            table,
            lambda form, _: writes.compile_write(self._tables, form, insert=insert, fenced=fenced, standby=standby),
        )
        values = rows.encode_write(batch, table, fence)
        while True:
            try:
                written = self._run_write("write", generation, statement, values)
                self._upkeep.note_written(generation, written)
                return written
            except StorageFailed as error:
                if not insert or read_state(error.__cause__ or error) != REFUSED:
                    raise
                taken = self._run("read", generation, self._get_stored_statement(table), {"ids": values["given_id"]})
                if taken:
                    raise RecordExists([id_ for (id_,) in taken]) from error

    def write_groups(self, generation: Generation, batch: Rows, fences: Mapping[str, int]) -> int:
        table, standby = self._find_table(generation), generation.standby
        present = batch.vectors if batch.vectors is None or batch.present is None else batch.vectors[batch.present]
        self._check_rounding(generation, table, present)
        always = {"generation": generation.id, **self._make_guard_values(generation)}

        def work(runner: Runner) -> int:
            def run(step: str, values: Mapping[str, Any]) -> Answer:
                compile_step = group_writes.STATEMENTS[step]
                statement = self._get_statement(
                    (step, standby), table, lambda form, _: compile_step(self._tables, form, standby=standby)
                )
                return runner.run(statement, {**always, **values})

            return group_writes.write_groups(run, table, batch, fences)

        with self._explaining("write", generation), self._noting():
            runner = self._runner if isinstance(self._runner, CallerTransaction) else self._client
            written = runner.repeat(work)
        self._upkeep.note_written(generation, written)
        return written

    def _copy_in(
        self, generation: Generation, table: Layout, batch: Rows, fence: Sequence[int] | None, *, insert: bool
    ) -> bool:
        """Copy many new records in; do nothing if an id is stored, changes are noted, or row security applies.

        With Citus also if the server names no reason: the INSERT that comes next will, if it fails too.
        """
        if self._has_caller_transaction or len(batch) < bulk_copy.FEWEST:
            return False
        if not insert and not self._copy_or_insert.may_copy(generation.id):
            return False
        values = {"generation": generation.id, **self._make_guard_values(generation)}
        guard = bulk_copy.compile_opening(self._tables, standby=generation.standby)
        parts = partial(bulk_copy.pack_rows, batch, table, fence)
        with self._explaining("write", generation), self._noting():
            try:
                answer = self._client.copy(guard, values, bulk_copy.make_target(table), parts)
            except VecstoreError as error:
                if not self._server.has_citus or read_state(error.__cause__ or error) != INTERNAL:
                    raise
                answer = None
        if answer is None:
            self._copy_or_insert.remember_stored(generation.id)
            return False
        if not answer:
            raise Superseded
        return answer == [(False,)]

    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        table, standby = self._find_table(generation), generation.standby
        self._check_rounding(generation, table, None if update.vector is None else update.vector[None])
        values = rows.encode_update(update, table)
        assigned = frozenset(name.removeprefix("set_") for name in values if name.startswith("set_"))
        where, selection_values = _split_selection(selection, table)
        merges_extra = bool(update.extra)
        statement = self._get_statement(
            ("update", standby, assigned, merges_extra),
            table,
            lambda form, later: writes.compile_update(
                self._tables,
                form,
                _make_selection_condition(later, form),
                assigned,
                merges_extra=merges_extra,
                standby=standby,
            ),
            where,
        )
        try:
            return self._run_write("update", generation, statement, {**values, **selection_values})
        except StorageFailed as error:
            if read_state(error.__cause__ or error) != REFUSED:
                raise
            grown = self._runner.run(
                writes.compile_outgrown(table, _make_selection_condition(where, table)), {**values, **selection_values}
            )
            owner = f"Record {grown[0][0]!a}" if grown else "A record"
            raise InvalidMetadata(
                f"{owner}: metadata would take more than {metadata.MAX_BYTES:,} bytes as JSON."
            ) from error

    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None = None) -> int:
        table, standby = self._find_table(generation), generation.standby
        if fence is not None and not isinstance(selection, Filter):
            statement = self._get_statement(
                ("delete fenced", standby),
                table,
                lambda form, _: writes.compile_fenced_delete(self._tables, form, standby=standby),
            )
            fences = {"given_id": list(selection), "given_version": list(fence)}
            return self._run_write("delete", generation, statement, fences)
        where, values = _split_selection(selection, table)
        statement = self._get_statement(
            ("delete", standby),
            table,
            lambda form, later: writes.compile_delete(
                self._tables, form, _make_selection_condition(later, form), standby=standby
            ),
            where,
        )
        return self._run_write("delete", generation, statement, values)

    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        self._layouts.get(generation)  # a remote one has no table
        values = {"settled_seq": [each.seq for each in settled], "settled_id": [each.id for each in settled]}
        statement = change_list.compile_settling(self._tables, standby=generation.standby)
        found = self._read_pointed(generation, statement, {**values, "limit": limit}, "follow")
        return [Change(seq, id_) for seq, id_ in found]

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        table, standby = self._find_table(generation), generation.standby
        statement = self._get_statement(
            ("fetch", standby), table, lambda form, _: reads.compile_fetch(self._tables, form, standby=standby)
        )
        return rows.decode_rows(
            self._read_pointed(generation, statement, {"ids": list(ids)}), table, EVERYTHING, versions=True
        )

    def page(
        self, generation: Generation, where: Filter | None, after: str | None, limit: int, include: Include = EVERYTHING
    ) -> Rows:
        table, standby = self._find_table(generation), generation.standby
        statement = self._get_statement(
            ("page", standby, after is None, include),
            table,
            lambda form, later: reads.compile_page(
                self._tables, form, _make_condition(later, form), include, after=after is not None, standby=standby
            ),
            where,
        )
        values = {"limit": limit, "after": after, **_list_values(where, table)}
        return rows.decode_rows(self._read_pointed(generation, statement, values), table, include, versions=True)

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        table, standby = self._find_table(generation), generation.standby
        statement = self._get_statement(
            ("sample", standby),
            table,
            lambda form, later: reads.compile_sample(self._tables, form, _make_condition(later, form), standby=standby),
            where,
        )
        answer = self._read_pointed(generation, statement, {"size": size, **_list_values(where, table)})
        return rows.decode_rows(answer, table, EVERYTHING, versions=True)

    def find_without_vector(self, generation: Generation, limit: int) -> list[str]:
        table, standby = self._find_table(generation), generation.standby
        if not table.schema.has_optional_vectors:
            return []
        statement = self._get_statement(
            ("bare ids", standby), table, lambda form, _: reads.compile_bare_ids(self._tables, form, standby=standby)
        )
        return [id_ for (id_,) in self._read_pointed(generation, statement, {"limit": limit})]

    def count(self, generation: Generation, where: Filter | None) -> int:
        table, standby = self._find_table(generation), generation.standby
        statement = self._get_statement(
            ("count", standby),
            table,
            lambda form, later: reads.compile_count(self._tables, form, _make_condition(later, form), standby=standby),
            where,
        )
        answer = self._run("read", generation, statement, _list_values(where, table))
        if not answer:
            raise Superseded
        return int(answer[0][0])

    def values(
        self, generation: Generation, field: str, where: Filter | None, limit: int | None
    ) -> list[tuple[Stored, int]]:
        table, standby, limited = self._find_table(generation), generation.standby, limit is not None
        statement = self._get_statement(
            ("values", standby, field, limited),
            table,
            lambda form, later: reads.compile_values(
                self._tables, form, _make_condition(later, form), field, limited=limited, standby=standby
            ),
            where,
        )
        answer = self._read_pointed(generation, statement, {"limit": limit, **_list_values(where, table)})
        return [(value, int(number)) for value, number in answer]

    def search(self, generation: Generation, search: Search) -> list[Found]:
        found: list[Found] = []
        if self._following is not None:
            self._client.check_usable()
        for part in split_queries(search, _PER_STATEMENT):
            found += replace_doubtful(self._answer(generation, part), part, partial(self._answer, generation))
        return found

    def _answer(self, generation: Generation, search: Search) -> list[Found]:
        table, queries = self._find_table(generation), search.queries
        if self._following is not None and not search.exact:
            found = self._ask_follower(self._following, generation, table, search)
            if found is not None:
                return found
        exact = search.exact or search.k > _MAX_GRAPH_HITS or not _is_comparable(queries, table)
        build: searches.Build = searches.compile_exact_search if exact else searches.compile_search
        if exact or len(queries) > 1:
            answer = self._ask(generation, table, search, build)
            return _decode_answers(answer, table, search, len(queries))
        if search.where is None:
            return [_decode_answer(self._ask(generation, table, search, build), table, search)]
        number = hash_search(generation.id, generation.ef, search.ef is None, search.where)
        is_few = self._few_matches.are_few(number)
        answer = self._ask(generation, table, search, searches.compile_exact_search if is_few else build)
        if not is_few:
            self._few_matches.remember(number, are_few=answer[0][1])
        return [_decode_answer(answer, table, search)]

    def _ask_follower(
        self, following: Following, generation: Generation, table: Layout, search: Search
    ) -> list[Found] | None:
        """Return the answers by way of the engine that follows; None where PostgreSQL has to compare all matches."""
        search = replace(search, k=max(search.k, LOOKED_AT))
        single, standby, where = len(search.queries) == 1, generation.standby, search.where

        def run(build: searches.Build, key: Hashable, values: Mapping[str, Any]) -> Answer:
            statement = self._get_statement(
                (build, key),
                table,
                lambda form, later: build(
                    self._tables, searches.SearchStatement(form, later, search.include, search.k, single, standby)
                ),
                where,
            )
            return self._run("search", generation, statement, {**_list_values(where, table), **values})

        def finish(values: Mapping[str, Any]) -> Answer:
            queries = PackedQuery(search.queries) if single else PACKED["vector"](search.queries)
            given = {"query" if single else "queries": queries, "joined": self._has_caller_transaction}
            answer = run(compile_answer, (single, search.k, search.include, standby), {**given, **values})
            if not answer:
                raise Superseded
            return answer

        def match() -> Answer:
            return run(compile_matching, (search.k, standby), {})

        try:
            answer = following.answer(self._runner, generation, search, match, finish)
        except VecstoreError:
            with self._explaining("search", generation):
                raise
        return None if answer is None else _decode_answers(answer, table, search, len(search.queries))

    def _ask(self, generation: Generation, table: Layout, search: Search, build: searches.Build) -> Answer:
        queries = search.queries
        single, k, where = len(queries) == 1, max(search.k, LOOKED_AT), search.where
        standby, include = generation.standby, search.include
        statement = self._get_statement(
            (build, standby, single, k, include),
            table,
            lambda form, later: build(self._tables, searches.SearchStatement(form, later, include, k, single, standby)),
            where,
        )
        values = {"generation": generation.id, "ef": search.ef, **_list_values(where, table)}
        if single:
            values["query"] = PackedQuery(queries)
        else:
            values["queries"] = PACKED["vector"](queries)
        # A table that is being filled belongs to a rebuild, which has to see all that was written to it.
        may_lag = not (standby or search.fresh)
        answer = self._replicas.run(statement, values) if self._replicas is not None and may_lag else None
        if answer:
            return answer
        try:
            answer = self._runner.run(statement, values)
        except VecstoreError:
            with self._explaining("search", generation):
                raise
        if not answer:
            raise Superseded
        return answer

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        table, standby = self._find_table(generation), generation.standby
        statement = self._get_statement(
            ("tombstones", standby, after is None),
            table,
            lambda form, _: reads.compile_tombstone_page(self._tables, form, after=after is not None, standby=standby),
        )
        return dict(self._read_pointed(generation, statement, {"limit": limit, "after": after}))

    # -- upkeep

    def build_index(
        self,
        generation: Generation,
        on_progress: Progress | None = None,
        measure: Measure | None = None,
        ef_construction: int | None = None,
    ) -> None:
        self._check_own_transaction("building an index")
        with self._hold_role(generation, "build"), self._noting():
            check_sees_all(self._client, self._layouts.get(generation), "an index build")
            if self._following is None:
                self._leave_follower(generation)
            self._upkeep.build(generation, on_progress, ef_construction)

    def _leave_follower(self, generation: Generation) -> None:
        """Follow a generation no more, from a Database without ``vectors=``, where the index is to be `Flat`.

        Raises
        ------
        Unsupported
        """
        if not self._followers.is_followed(self._client, generation.id):
            return
        follower = self._followers.read(self._client, generation.id)
        wanted = self._catalogue.read_generation(self._client, generation).schema.index
        if follower is not None and not isinstance(wanted, Flat):
            raise Unsupported(
                f"building the index of a store that {follower.place} follows",
                "postgres",
                "Connect with ?vectors= of it. reindex(Flat()) ends that it is followed.",
            )
        with self._client.transaction() as transaction:
            transaction.run(LOCK_TIMEOUT, {"lock_timeout": format_lock_timeout(self._client.options)})
            drop_triggers(transaction, self._layouts.get(generation))
            self._followers.end(transaction, generation.id)

    def tend(self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None) -> bool:
        if self._has_caller_transaction:
            return False
        with self._explaining("build", generation), self._noting():
            return self._upkeep.tend(generation, on_progress)

    def compact(
        self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None
    ) -> bool:
        self._check_own_transaction("compacting")
        with self._hold_role(generation, "compact") as count, self._noting():
            self._make_denied("compact", generation).check(self._client)
            return self._upkeep.compact(generation, count, on_progress)

    def index_state(self, generation: Generation) -> IndexState:
        layout, bare = self._layouts.get(generation), 0
        with self._hold_role(generation) as count:
            if layout.schema.has_optional_vectors:
                counting = self._get_statement("bare", layout, lambda form, _: reads.compile_bare_count(form))
                [(bare,)] = self._client.run(counting, {})
            bare = min(int(bare), count)  # a write may have come between both counts
            if self._following is not None:
                state = self._following.describe(generation, count, bare)
                return state or read_index_state(self._client, layout, count, bare)
            state = read_index_state(self._client, layout, count, bare)
            if state.state != "ready" and self._followers.is_followed(self._client, generation.id):
                return replace(state, reason=self._followers.explain(self._client, generation.id))
            return state

    def follow(self, generation: Generation, on_progress: Progress | None = None) -> Followed:
        self._check_own_transaction("following")
        if self._following is None:
            return super().follow(generation)
        with self._explaining("build", generation):
            if not self._has_role(generation):
                raise Superseded
            return self._following.upkeep.follow(generation, on_progress)

    def list_efforts(self, generation: Generation, k: int) -> Sequence[int] | None:
        return None if self._following is None else self._following.list_efforts(generation, k)

    def stats(self, generation: Generation) -> Stats:
        with self._hold_role(generation) as count:
            found = collect_stats(self._client, self._server, self._layouts.get(generation), count)
            followed = self._followers.describe(self._client, generation.id)
        replicas = {} if self._replicas is None else {"replicas": self._replicas.describe()}
        return replace(found, details={**found.details, **followed, **replicas})

    def verify(self, generation: Generation) -> Verification:
        with self._hold_role(generation, "verify"):
            found = verify_table(self._client, self._layouts.get(generation))
            if self._following is not None:
                found = self._following.verify(generation, found)
        return verify_index(self, generation, found)

    def close(self) -> None:
        if not self._has_caller_transaction:
            if self._following is not None:
                self._following.close()
            self._client.close()
            if self._replicas is not None:
                self._replicas.close()

    # -- parts

    def _find_table(self, generation: Generation) -> Layout:
        """Return the layout of a generation's table, which has to be in one place."""
        layout = self._layouts.get(generation)
        if self._server.has_citus:
            check_undivided(self._runner, layout)
        return layout

    def _get_statement(
        self, key: Hashable, table: Layout, make: statement_cache.Make, where: Filter | None = None
    ) -> Statement:
        """Return a statement for a table. The key holds everything else that it depends on, except the filter."""
        whole = (key, table.id, None if where is None else filters.describe_shape(where))
        found = self._statements.get(whole)
        if found is None:
            found = statement_cache.get_or_make(
                self._statements, whole, lambda: statement_cache.place_statement(key, table, where, make)
            )
        return found

    def _get_stored_statement(self, table: Layout) -> Statement:
        return self._get_statement("stored", table, lambda form, _: writes.compile_stored_ids(form))

    @contextmanager
    def _hold_role(self, generation: Generation, call: str = "read") -> Iterator[int]:
        """Check that a generation has its role, and give its number of records."""
        count = self.count(generation, None)
        with self._explaining(call, generation):
            yield count

    @contextmanager
    def _explaining(
        self, call: str, generation: Generation | None = None, *, about: Sequence[Generation | None] = ()
    ) -> Iterator[None]:
        """Say which rights a call lacks; raise `Superseded` where it failed because its generation lost its role.

        The table of such a generation may be gone, and nobody but its owner has a right to it. A call that looks up
        roles by itself only names generations, by ``about``.
        """
        try:
            yield
        except VecstoreError as error:
            state = read_state(error.__cause__ or error)
            if generation is not None and state in {GONE, DENIED} and not self._has_role(generation):
                raise Superseded from error
            if generation is not None and state == GONE:
                raise make_missing_table(quote_table(self._layouts.get(generation).table)) from error
            if state != DENIED:
                raise
            found = self._make_denied(call, generation, *about).explain(self._runner)
            raise error if found is None and isinstance(error, Unsupported) else found or make_denial() from error

    def _make_denied(self, call: str, *generations: Generation | None) -> Denied:
        known = [self._layouts.get(each) for each in generations if each is not None and each.remote is None]
        tables = tuple(str(each.table.name) for each in known)
        parts = tuple(str(part.table.name) for each in known if each.partitions > 1 for part in each.list_parts())
        followed = self._following is not None or any(map(self._is_followed, known))
        return Denied(call, self._client.options.namespace, self._server.extension, tables, parts, followed)

    def _is_followed(self, layout: Layout) -> bool:
        """Say whether another engine follows a generation, as far as this connection may read the catalogue."""
        try:
            return self._followers.is_followed(self._runner, layout.id)
        except VecstoreError:
            return False

    def _has_role(self, generation: Generation) -> bool:
        """Say whether a generation has its role, as far as this connection may read the catalogue."""
        try:
            return bool(
                self._runner.run(
                    compile_role_check(self._tables), {"generation": generation.id, "standby": generation.standby}
                )
            )
        except VecstoreError:
            return True

    def _run(self, call: str, generation: Generation, statement: Statement, values: Mapping[str, Any]) -> Answer:
        try:
            return self._runner.run(statement, {"generation": generation.id, **values})
        except VecstoreError:
            with self._explaining(call, generation):
                raise

    def _read_pointed(
        self, generation: Generation, statement: Statement, values: Mapping[str, Any], call: str = "read"
    ) -> Answer:
        answer = self._run(call, generation, statement, values)
        if not answer:
            raise Superseded
        return [row for row in answer if row[0] is not None]

    def _run_write(self, call: str, generation: Generation, statement: Statement, values: Mapping[str, Any]) -> int:
        with self._noting():
            answer = self._run(call, generation, statement, {**self._make_guard_values(generation), **values})
        [(opened, count)] = answer
        if not opened:
            raise Superseded
        return int(count)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Let later searches wait for what is written inside the context, whatever becomes of it."""
        try:
            yield
        finally:
            if self._replicas is not None:
                self._replicas.note_written()

    def _make_guard_values(self, generation: Generation) -> dict[str, Any]:
        return {"lock": make_lock_key(generation.id), "lock_timeout": format_lock_timeout(self._client.options)}

    @contextmanager
    def _hold_transaction(self, call: str, what: str, *about: Generation | None) -> Iterator[Transaction]:
        """Hold a transaction that changes the catalogue."""
        self._check_own_transaction(what)
        with self._explaining(call, about=about), self._noting(), self._client.transaction() as transaction:
            transaction.run(LOCK_TIMEOUT, {"lock_timeout": format_lock_timeout(self._client.options)})
            yield transaction

    def _lock_out_writers(self, transaction: Transaction, uid: str) -> Entry:
        """Keep every writer out of a store's active generation and return its entry."""
        active = self._catalogue.find(transaction, uid=uid).active
        self._exclude_writers(transaction, active)
        entry = self._catalogue.lock(transaction, uid)
        if entry.active.id != active.id:
            self._exclude_writers(transaction, entry.active)
        return entry

    def _exclude_writers(self, transaction: Transaction, active: Generation) -> None:
        values = {"generation": active.id, **self._make_guard_values(active)}
        transaction.run(compile_exclusion(self._tables), values)

    def _check_own_transaction(self, what: str) -> None:
        if self._has_caller_transaction:
            raise Unsupported(f"{what} inside a transaction", "postgres", "Use the store itself, not using().")

    def _check_rounding(self, generation: Generation, table: Layout, vectors: NDArray[Any] | None) -> None:
        """Refuse vectors that a graph over rounded ones would lose."""
        if vectors is None or table.indexed_as == table.vector_type:
            return
        if isinstance(generation.schema.index, HNSW) and not _is_comparable(vectors, table):
            hint = f"Beyond {MAX_VECTOR_INDEX:,} dimensions the index holds float16. Use Flat(), or scale the vectors."
            raise Unsupported("a vector that float16 cannot hold, in an HNSW index", "postgres", hint)


def _are_both_here(one: Generation, other: Generation) -> bool:
    """Say whether two generations have tables, so that one can take over what belongs to the other."""
    return one.remote is None and other.remote is None


def _is_comparable(vectors: NDArray[Any], table: Layout) -> bool:
    """Say whether vectors can be rounded to what the graph compares."""
    if table.indexed_as == "vector":
        return True
    with np.errstate(over="ignore"):
        half = vectors.astype(np.float16)
    if not np.isfinite(half).all():
        return False
    return table.schema.metric is not Metric.COSINE or bool(half.any(axis=1).all())


def _split_selection(selection: Selection, table: Layout) -> tuple[Filter | None, Mapping[str, Any]]:
    """Return the filter that selects, or None for ids, and its values."""
    if isinstance(selection, Filter):
        return selection, filters.list_values(selection, table)
    return None, {"ids": list(selection)}


def _make_selection_condition(where: Filter | None, table: Layout) -> filters.Condition:
    return table.columns.id == writes.match_any("ids") if where is None else filters.make_condition(where, table)


def _make_condition(where: Filter | None, table: Layout) -> filters.Condition | None:
    return None if where is None else filters.make_condition(where, table)


def _list_values(where: Filter | None, table: Layout) -> dict[str, Any]:
    return {} if where is None else filters.list_values(where, table)


def _decode_answers(answer: Answer, table: Layout, search: Search, queries: int) -> list[Found]:
    """Return one answer for each query, whose number is the first value of each row."""
    parts: list[list[tuple[Any, ...]]] = [[] for _ in range(queries)]
    for row in answer:
        parts[row[0] - 1].append(row)
    return [_decode_answer(part, table, search) for part in parts]


def _decode_answer(answer: Answer, table: Layout, search: Search) -> Found:
    """Return one answer from rows of its number, the kind of answer, and a record or nulls."""
    _, kinds, ids, distances, *wide = zip(*answer, strict=True)
    if ids[0] is None:
        ids, distances, wide = (), (), [() for _ in wide]
    scores = METRICS[table.schema.metric].score(np.array(distances, np.float64))
    return Found(rows.decode_columns([ids, *wide], table, search.include), scores, exact=kinds[0])
