"""What an import of a table refuses, and that it only reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import vecstore
from tests.cli.conftest import Run
from vecstore import BackendUnavailable, Database, InvalidArgument, InvalidUrl, StorageFailed
from vecstore.importers import PgvectorTable, import_records

from .answers import refusing

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"vector": "a", "id": "title", "skip": ("titel",)}, "no column 'titel' for leaving out. Did you mean 'title'?"),
    ({"name": "doc"}, "no table 'doc'. Did you mean 'docs'?"),
    ({"name": "docs; DROP TABLE docs"}, "no table 'docs; DROP TABLE docs'"),
    ({"vector": "vec"}, "no column 'vec' for vectors"),
    ({"vector": "title"}, "'title' of table 'docs' is of type text"),
    ({}, "several columns of vectors: a, b, c. Name the one to take: vector='…' (--vector-column)"),
    ({"vector": "a"}, "no primary key of one column. Name the column of the ids: id='…' (--id-column)"),
    ({"vector": "a", "id": "ID"}, "no column 'ID' for ids"),
    ({"vector": "a", "id": "title", "text": "body"}, "no column 'body' for texts"),
    ({"vector": "a", "id": "title", "metadata": "title"}, "holds no JSON objects"),
    ({"vector": "c", "id": "title"}, "vectors of several lengths: 2 (2 rows), 3 (1 rows). Say which"),
    ({"vector": "a", "id": "title"}, "does not say by which metric it is searched, for it has no index"),
]


def test_refusals_come_before_a_store(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute("CREATE TABLE docs (title text, a vector(2), b vector(2), c vector)")
    peer.execute("INSERT INTO docs VALUES ('x', '[1,2]', '[1,2]', '[1,2]'), ('y', '[1,2]', '[1,2]', '[1,2,3]')")
    peer.execute("INSERT INTO docs VALUES ('z', '[1,2]', '[1,2]', '[1,2]')")
    for parts, message in REFUSALS:
        with refusing(InvalidArgument, message):
            import_records(db, "docs", PgvectorTable(peer_url, **{"name": "docs", **parts}))
        assert db.names() == []
    with refusing(InvalidArgument, "has vectors of 2 dimensions, not 3"):
        import_records(db, "docs", PgvectorTable(peer_url, "docs", "title", "a"), metric="l2", dim=3)


@pytest.fixture
def reader(peer: psycopg.Connection, peer_url: str) -> Iterator[str]:
    name = f"reader_{peer.info.dbname}"
    peer.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'hush-hush'").format(sql.Identifier(name)))
    yield peer_url.replace("://" + peer_url.split("://")[1].split("@")[0], f"://{name}:hush-hush")
    peer.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    peer.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_right_to_read_is_enough(peer: psycopg.Connection, reader: str, db: Database) -> None:
    peer.execute("CREATE TABLE docs (id int PRIMARY KEY, v vector(2)); INSERT INTO docs VALUES (1, '[1,2]')")
    with refusing(StorageFailed, "GRANT SELECT"):
        import_records(db, "docs", PgvectorTable(reader, "docs"), metric="l2")
    peer.execute(sql.SQL("GRANT SELECT ON docs TO {}").format(sql.Identifier(f"reader_{peer.info.dbname}")))
    assert import_records(db, "docs", PgvectorTable(reader, "docs"), metric="l2").records == 1


def test_the_source_cannot_be_written(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute("CREATE TABLE noted (n int); CREATE TABLE docs (id int PRIMARY KEY, v vector(2))")
    peer.execute(
        "CREATE FUNCTION note(int) RETURNS int LANGUAGE sql AS 'INSERT INTO noted VALUES ($1) RETURNING n';"
        "INSERT INTO docs VALUES (1, '[1,2]'); CREATE VIEW tricky AS SELECT id, v, note(id) FROM docs"
    )
    with pytest.raises(vecstore.VecstoreError):
        import_records(db, "docs", PgvectorTable(peer_url, "tricky"), metric="l2")
    assert peer.execute("SELECT count(*) FROM noted").fetchone() == (0,)
    assert db.names() == []


@pytest.mark.parametrize(
    "url, error",
    [
        ("postgresql://somebody:hush-hush@127.0.0.1:1/app", BackendUnavailable),
        ("postgresql+embedded:./not-there", InvalidArgument),
        ("redis://:hush-hush@127.0.0.1/0", InvalidUrl),
        ("postgresql://u:hush-hush@host/app?tiemout=3", InvalidUrl),
        ("hush-hush", InvalidUrl),
    ],
)
def test_places_that_are_none(
    url: str, error: type[Exception], db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = PgvectorTable(url, "docs")
    with pytest.raises(error) as caught:
        import_records(db, "docs", table)
    assert "hush" not in f"{caught.value}{table!r}"
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments(db: Database, run: Run, url: str) -> None:
    with refusing(InvalidUrl, "not PosixPath"):
        import_records(db, "docs", PgvectorTable(Path("app"), "docs"))  # type: ignore[arg-type]
    with refusing(InvalidArgument, "source must be one of vecstore.importers, not str"):
        import_records(db, "docs", "postgresql://localhost/app")  # type: ignore[arg-type]
    for options, message in (
        (("--from", "pgvectors"), "There is no kind of source 'pgvectors'. Did you mean 'pgvector'"),
        (("--from", "pgvector"), "A source of kind pgvector needs a name (--table): the table, the collection or"),
        (
            ("--from", "vecs", "--table", "a", "--id-column", "b"),
            "kind vecs has no id (--id-column). It takes name (--table), text (--text-column).",
        ),
        (("--from", "vecs", "--table", "a", "--metric", "manhattan"), "Unknown metric 'manhattan'"),
    ):
        refused = run("import", url, "docs", "postgresql://127.0.0.1:1/app", *options)
        assert (refused.code, message in refused.err) == (2, True), refused.err
