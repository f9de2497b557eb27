"""Row security: a tenant's role sees, finds and writes its own records and no others, during a rebuild too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, text

from tests.batches import batch, schema, vector_of
from tests.secrets import PASSWORD, change_url, expect_error
from vecstore import (
    HNSW,
    Database,
    F,
    Record,
    StorageFailed,
    StoreCorrupt,
    Unsupported,
    VectorStore,
    fields,
)
from vecstore.rebuild import copy
from vecstore.testing.interruptions import Interruption
from vecstore.testing.threads import RepeatingThreads
from vecstore.testing.ways_back import break_off

from .catalogues import connect_engine, list_tables
from .stores import open_database, prepare_namespace
from .tenants import (
    COUNT,
    MINE,
    THEIRS,
    Observer,
    check_own,
    grant_catalogue,
    list_words,
    open_tenant,
    read_table,
    run,
)

SCHEMA = schema(HNSW(m=8))
WIDER = replace(SCHEMA, fields={**SCHEMA.fields, "more": fields.Int()})


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, lock_timeout=5) as database:
        yield database


@pytest.fixture
def store(database: Database, admin: psycopg.Connection, namespace: str, role: str) -> VectorStore:
    """A store with 40 records of the tenant among 400."""
    store = database.create("a", SCHEMA)
    store.upsert([record for number in range(10) for record in batch(number, COUNT)])
    table = read_table(admin, namespace, "a")
    run(admin, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table)
    run(admin, "CREATE POLICY tenants ON {} USING (f_word = current_setting('app.tenant', true))", table)
    run(admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}", table, role)
    grant_catalogue(admin, namespace, role, writes=True)
    return store


@pytest.fixture
def tenant_url(postgres_url: str, role: str) -> str:
    """The URL of the tenant's role, whose sessions are the tenant's."""
    return change_url(postgres_url, user=quote(role), password=PASSWORD)


def rebuild(database: Database, threads: RepeatingThreads) -> None:
    database.rebuild("a", schema=WIDER, on_progress=lambda phase, done, total: threads.wait_for(1))


def rebuild_and_fail(database: Database, threads: RepeatingThreads) -> None:
    with pytest.raises(Interruption):
        database.rebuild("a", schema=WIDER, on_progress=break_off)
    threads.wait_for(2)


def damage_the_copy(database: Database, threads: RepeatingThreads) -> None:
    def damage(phase: str, done: int, total: int | None) -> None:
        building = database._backend.find(name="a").building
        assert building is not None
        database._backend.delete(building, ["b00001-00"])

    with pytest.raises(StoreCorrupt):
        database.rebuild("a", schema=WIDER, on_progress=damage)


def rebuild_and_return(database: Database, threads: RepeatingThreads) -> None:
    rebuild(database, threads)
    for _ in range(3):
        database.rollback("a")
        threads.wait_for(1)


def rebuild_and_drop(database: Database, threads: RepeatingThreads) -> None:
    rebuild(database, threads)
    database.rebuild("a", schema=SCHEMA, keep_previous=False)


def reindex(database: Database, threads: RepeatingThreads) -> None:
    database.open("a").reindex()
    database.open("a").compact()


def widen_all_rights(database: Database, threads: RepeatingThreads) -> None:
    """Grant on all tables while one is built, as a script of an administrator does each night."""
    backend = database._backend

    def grant(phase: str, done: int, total: int | None) -> None:
        namespace = backend._client.options.namespace  # type: ignore[attr-defined]
        with backend._client.connection() as connection:  # type: ignore[attr-defined]
            run(connection, "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO PUBLIC", namespace)
        threads.wait_for(1)

    database.rebuild("a", schema=WIDER, on_progress=grant)


@pytest.mark.parametrize(
    "deed",
    [rebuild, rebuild_and_fail, damage_the_copy, rebuild_and_return, rebuild_and_drop, reindex, widen_all_rights],
)
def test_nobody_sees_more_than_before_at_any_moment(
    database: Database,
    store: VectorStore,
    tenant_url: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    deed: Callable[[Database, RepeatingThreads], None],
) -> None:
    monkeypatch.setattr(copy, "BATCH", 150)
    observer = Observer(tenant_url, namespace)
    with open_tenant(tenant_url, namespace) as mine:

        def read() -> None:
            assert mine.count() == COUNT
            hits = mine.search(vector_of(5), k=2 * COUNT, include=("metadata",))
            assert list_words(hits) == [MINE] * COUNT

        with RepeatingThreads(observer.look, read) as threads:
            threads.wait_for(1)
            deed(database, threads)
            threads.wait_for(1)
        assert observer.seen
        check_own(mine)
    observer.close()
    assert store.count() == 10 * COUNT


def test_a_policy_that_is_tightened_while_it_runs(
    database: Database, store: VectorStore, admin: psycopg.Connection, tenant_url: str, namespace: str
) -> None:
    table = read_table(admin, namespace, "a")

    def tighten(phase: str, done: int, total: int | None) -> None:
        run(
            admin,
            "ALTER POLICY tenants ON {} USING (f_word = current_setting('app.tenant', true) AND f_tag < 0)",
            table,
        )

    with open_tenant(tenant_url, namespace) as mine:
        database.rebuild("a", schema=WIDER, on_progress=tighten)
        assert mine.count() == len(list(mine.scan())) == len(mine.search(vector_of(1), k=5)) == 0
        database.rollback("a")
        assert mine.count() == 0


class TestTenants:
    """A role to which row security applies."""

    def test_it_reads_its_own_records(self, store: VectorStore, tenant_url: str, namespace: str) -> None:
        with open_tenant(tenant_url, namespace) as mine:
            check_own(mine)
            assert [each and each.id for each in mine.get(["b00001-00", "b00002-00"])] == ["b00001-00", None]
            assert mine.stats().records == COUNT
            assert (mine.verify().records, mine.verify().ok) == (COUNT, True)

    @pytest.mark.parametrize("size", [5, 300], ids=["few", "many"])
    def test_it_writes_its_own_records(self, store: VectorStore, tenant_url: str, namespace: str, size: int) -> None:
        new = [Record(f"new-{number}", vector_of(1), None, {"tag": 1, "word": MINE}) for number in range(size)]
        with open_tenant(tenant_url, namespace) as mine:
            for write in (mine.insert, mine.upsert):
                assert write(new) == size
                check_own(mine, count=COUNT + size)
                assert mine.update(ids=["new-0", "b00002-00"], metadata={"tag": 7}) == 1
                assert mine.delete(ids=[record.id for record in new] + ["b00002-00"]) == size
            assert mine.delete(where=F.tag == 2) == mine.update(where=F.tag == 2, metadata={"tag": 1}) == 0
        assert store.count() == 10 * COUNT

    @pytest.mark.parametrize("size", [1, 200], ids=["one", "many"])
    @pytest.mark.parametrize("id_, word", [("b00002-00", MINE), ("new", THEIRS)], ids=["their id", "their word"])
    def test_it_does_not_write_those_of_others(
        self, store: VectorStore, tenant_url: str, namespace: str, size: int, id_: str, word: str
    ) -> None:
        records = [Record(f"more-{number}", vector_of(1), None, {"word": MINE}) for number in range(size - 1)]
        with open_tenant(tenant_url, namespace) as mine:
            with expect_error(StorageFailed, "row security", "policies"):
                mine.upsert([*records, Record(id_, vector_of(1), None, {"word": word})])
            check_own(mine)
        assert store.count((F.id == "b00002-00") & (F.word == THEIRS)) == 1

    def test_one_engine_serves_them_all(
        self, store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str, role: str
    ) -> None:
        """Roles and settings that change from one transaction to the next, over the same caches."""

        def become(connection: Connection, tenant: str) -> None:
            connection.execute(text("SELECT set_config('role', :role, true)"), {"role": role})
            connection.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": tenant})

        where = F.tag >= 0
        with connect_engine(postgres_url) as connection:
            for _ in range(4):
                for tenant in (MINE, THEIRS, "nobody"):
                    with connection.begin():
                        become(connection, tenant)
                        here = store.using(connection)
                        if tenant == "nobody":
                            assert here.count() == len(here.search(vector_of(1), k=3, where=where)) == 0
                        else:
                            check_own(here, tenant)
                assert len(store.search(vector_of(1), k=150, where=where)) == 150
                assert store.count(where) == 10 * COUNT

    def test_a_rebuild_by_it_is_refused(
        self, store: VectorStore, tenant_url: str, namespace: str, admin: psycopg.Connection, role: str
    ) -> None:
        run(admin, "GRANT ALL ON SCHEMA {} TO {}", namespace, role)
        run(admin, "GRANT ALL ON ALL TABLES IN SCHEMA {} TO {}", namespace, role)
        with open_database(tenant_url, namespace, options=f"-c app.tenant={MINE}") as theirs:
            with pytest.raises(Unsupported, match="BYPASSRLS") as caught:
                theirs.rebuild("a", schema=WIDER)
            assert "for all of them" in str(caught.value)
        assert store.count() == 10 * COUNT


@pytest.fixture
def owner(admin: psycopg.Connection, store: VectorStore, namespace: str, role: str) -> str:
    """The role as the owner of everything, to which row security applies all the same."""
    for table in list_tables(admin, namespace):
        run(admin, "ALTER TABLE {} OWNER TO {}", sql.Identifier(namespace, table), role)
    run(admin, "ALTER SCHEMA {} OWNER TO {}", namespace, role)
    run(admin, "ALTER TABLE {} FORCE ROW LEVEL SECURITY", read_table(admin, namespace, "a"))
    return role


class TestForced:
    """FORCE ROW LEVEL SECURITY, which applies to the owner too."""

    def test_a_rebuild_is_refused_until_the_advice_is_taken(
        self, store: VectorStore, tenant_url: str, namespace: str, admin: psycopg.Connection, owner: str
    ) -> None:
        table = read_table(admin, namespace, "a")
        with open_database(tenant_url, namespace, options=f"-c app.tenant={MINE}") as theirs:
            with pytest.raises(Unsupported, match="NO FORCE ROW LEVEL SECURITY"):
                theirs.rebuild("a", schema=WIDER)
            run(admin, "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", table)
            assert theirs.rebuild("a", schema=WIDER).copied == 10 * COUNT
            run(admin, "ALTER TABLE {} FORCE ROW LEVEL SECURITY", read_table(admin, namespace, "a"))
            with pytest.raises(Unsupported, match="BYPASSRLS"):
                theirs.rollback("a")
            run(admin, "ALTER ROLE {} BYPASSRLS", owner)
            theirs.rollback("a")
        assert store.count() == 10 * COUNT

    def test_forced_while_it_runs_it_loses_nothing(
        self, store: VectorStore, tenant_url: str, namespace: str, admin: psycopg.Connection, owner: str
    ) -> None:
        table = read_table(admin, namespace, "a")
        run(admin, "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", table)

        def force(phase: str, done: int, total: int | None) -> None:
            run(admin, "ALTER TABLE {} FORCE ROW LEVEL SECURITY", table)

        with ExitStack() as stack:
            theirs = stack.enter_context(open_database(tenant_url, namespace, options=f"-c app.tenant={MINE}"))
            with pytest.raises((Unsupported, StoreCorrupt)):
                theirs.rebuild("a", schema=WIDER, on_progress=force)
            assert read_table(admin, namespace, "a") == table
            run(admin, "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", table)
            theirs.rebuild("a", schema=WIDER)
        assert store.count() == 10 * COUNT

    def test_the_upkeep_does_not_take_what_it_sees_for_everything(
        self, store: VectorStore, tenant_url: str, namespace: str, owner: str
    ) -> None:
        assert store.index_status().state == "ready"
        with open_tenant(tenant_url, namespace, "nobody") as mine, pytest.raises(Unsupported, match="row security"):
            mine.reindex()
        assert store.index_status().state == "ready"
