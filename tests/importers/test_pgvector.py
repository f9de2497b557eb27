"""An application's own table: any names, any types, and what is refused before a store is made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import sql

import vecstore
from tests.cli.conftest import Run
from tests.cli.places import place as place
from tests.cli.places import redis_server as redis_server
from vecstore import (
    Database,
    EmbedderMismatch,
    F,
    InvalidArgument,
    Metric,
    SchemaMismatch,
    fields,
)
from vecstore.importers import PgvectorTable, import_records
from vecstore.testing import Place
from vecstore.testing.toy_embedder import ToyEmbedder

from .answers import check_nearest, check_records, refusing
from .records import COUNT, DIM, IDS, NEAREST, QUERY_VECTORS, TEXTS, VECTORS, make_metadata, make_nested

HOSTILE = "select \"x\"; DROP TABLE docs; -- 'y' %s %(z)s {} ü"


@pytest.fixture
def docs(peer: psycopg.Connection, peer_url: str) -> str:
    """A table whose names would be harmful in a statement."""
    schema, table, key, vector, text = (f"{part} {HOSTILE}"[:60] for part in ("schema", "table", "key", "vec", "body"))
    names = [sql.Identifier(each) for each in (key, vector, text)]
    peer.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    peer.execute(
        sql.SQL(
            "CREATE TABLE {} ({} text PRIMARY KEY, {} vector(8), {} text, lang text, year int, price float8,"
            ' draft bool, "Page Number" bigint, metadata jsonb)'
        ).format(sql.Identifier(schema, table), *names)
    )
    with peer.cursor() as cursor:
        for number, id_ in enumerate(IDS):
            cursor.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)").format(quote(schema, table)),
                (
                    id_, str(VECTORS[number]), TEXTS[number], *make_metadata(number).values(),
                    psycopg.types.json.Jsonb(make_nested(number)),
                ),
            )  # fmt: skip
    return peer_url


def quote(*names: str) -> sql.SQL:
    """Quote a name for a statement with parameters, in which a percent sign stands twice."""
    return sql.SQL(sql.Identifier(*names).as_string().replace("%", "%%"))


def source(url: str) -> PgvectorTable:
    table = f"schema {HOSTILE}"[:60] + "." + f"table {HOSTILE}"[:60]
    return PgvectorTable(url, table, text=f"body {HOSTILE}"[:60])


def test_a_table_with_hostile_names(docs: str, peer: psycopg.Connection, place: Place) -> None:
    nearest = [
        [
            row[0]
            for row in peer.execute(
                sql.SQL("SELECT {} FROM {} ORDER BY {} <=> %s LIMIT %s").format(
                    quote(f"key {HOSTILE}"[:60]),
                    quote(f"schema {HOSTILE}"[:60], f"table {HOSTILE}"[:60]),
                    quote(f"vec {HOSTILE}"[:60]),
                ),
                (str(query), NEAREST),
            )
        ]
        for query in QUERY_VECTORS
    ]
    with place.connect() as database:
        done = import_records(database, "docs", source(docs), metric="cosine")
        assert (done.records, done.dim, done.metric, done.left_out, done.notes) == (COUNT, DIM, Metric.COSINE, (), ())
        store = database.open("docs")
        check_records(store, [{**make_metadata(number), **make_nested(number)} for number in range(COUNT)])
        check_nearest(store, nearest)
        assert store.count(F["Page Number"] < 10) == 10
        assert store.count(F.path("author", "name") == "Ada 7") == 1
        again = import_records(database, "docs", source(docs), metric="cosine")
        assert (again.records, again.created, store.count()) == (COUNT, False, COUNT)
        assert database.names() == ["docs"]


TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE docs (
    number bigint PRIMARY KEY, embedding halfvec(2), other vector(3), at timestamptz, local timestamp, day date,
    uid uuid, exact numeric, tags text[], counts int[], mood mood, span interval, raw bytea, words tsvector, one json
);
INSERT INTO docs VALUES (
    7, '[1,2]', '[1,2,3]', '2024-05-06T07:08:09.123456+02', '2024-05-06T07:08:09', '2024-05-06',
    '00000000-0000-0000-0000-00000000000a', 2.50, '{a,NULL,"b c"}', '{1,2}', 'happy', '1 day', '\\x00', 'a b',
    '[1,{"a":null}]'
), (
    8, '[2,1]', NULL, 'infinity', '0044-03-15 BC', '-infinity', NULL, 3, '{}', NULL, NULL, NULL, NULL, NULL, '"text"'
), (
    9, '[2,2]', NULL, NULL, NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, 'null'
);
CREATE INDEX ON docs USING hnsw (embedding halfvec_l2_ops);
"""


def test_types_of_columns(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(TYPES)
    done = import_records(db, "docs", PgvectorTable(peer_url, "docs", vector="embedding"))
    assert (done.metric, done.records, done.left_out) == (Metric.L2, 3, ())
    store = db.open("docs")
    assert store.schema.dtype == "float16"
    first, second, third = (record for record in store.get(["7", "8", "9"]) if record)
    assert first.metadata == {
        "at": "2024-05-06T05:08:09.123456+00:00", "local": "2024-05-06T07:08:09.000000", "day": "2024-05-06",
        "uid": "00000000-0000-0000-0000-00000000000a", "exact": 2.5, "tags": ["a", None, "b c"], "counts": [1, 2],
        "mood": "happy", "span": "1 day", "one": [1, {"a": None}],
    }  # fmt: skip
    assert second.metadata["at"] == "infinity"
    assert second.metadata["day"] == "-infinity"
    assert (second.metadata["exact"], second.metadata["tags"], second.metadata["one"]) == (3, [], "text")
    assert third.metadata == {}
    notes = "\n".join(done.notes)
    for expected in ("'number' is of type int8", "'raw' is left out", "'words' is left out", "'other' is left out"):
        assert expected in notes
    assert "'at' of dates is stored as ISO 8601 texts" in notes


def test_declared_fields(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(TYPES)
    declared = {"at": fields.DateTime(), "exact": fields.Float(), "mood": fields.Keyword()}
    table = PgvectorTable(peer_url, "docs", vector="embedding")
    done = import_records(db, "docs", table, fields=declared, dynamic=False)
    store = db.open("docs")
    assert (done.records, dict(store.schema.fields), store.schema.dynamic) == (3, declared, False)
    assert [record.id for record in store.scan(F.at > datetime(2024, 1, 1, tzinfo=UTC))] == ["7"]
    assert store.count(F.exact.between(2, 3)) == 2


def test_what_cannot_be_stored_is_left_out_and_counted(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute("CREATE TABLE docs (id text, embedding vector(2), size float8, metadata jsonb)")
    peer.execute("INSERT INTO docs SELECT 'good ' || n, '[1,2]', n, '{}' FROM generate_series(1, 40) n")
    peer.execute("INSERT INTO docs VALUES ('bare', NULL), ('zero', '[0,0]'), ('more', '[0,0]'), (NULL, '[1,1]')")
    peer.execute("INSERT INTO docs VALUES (repeat('x', 600), '[1,1]', 1), ('endless', '[1,1]', 'Infinity')")
    peer.execute("INSERT INTO docs VALUES ('large', '[1,1]', 1, jsonb_build_object('k', repeat('y', 1100000)))")
    done = import_records(db, "docs", PgvectorTable(peer_url, "docs"), metric="cosine")
    assert (done.records, db.open("docs").count()) == (40, 40)
    assert sum(each.count for each in done.left_out) == 7
    reasons = {each.ids[0][:7]: each.reason for each in done.left_out}
    assert next(iter(reasons)) == "zero"
    assert "the vector is zero" in reasons["zero"]
    assert "vectors='optional'" in reasons["bare"]
    assert "it has no id" in reasons["(no id)"]
    assert "600 bytes" in reasons["xxxxxxx"]
    assert "infinity" in reasons["endless"]
    assert "1,100,000 bytes" in reasons["large"]
    assert "The column 'id' is not unique" in done.notes[0]
    kept = import_records(db, "bare", PgvectorTable(peer_url, "docs"), metric="cosine", vectors="optional")
    assert (kept.records, db.open("bare").get(["bare"])[0].vector) == (41, None)  # type: ignore[union-attr]


def test_a_store_of_nothing_is_not_made(peer: psycopg.Connection, peer_url: str, tmp_path: Path, run: Run) -> None:
    peer.execute("CREATE TABLE docs (id text PRIMARY KEY, embedding vector(2))")
    peer.execute("INSERT INTO docs VALUES ('zero', '[0,0]')")
    command = ("import", f"file:{tmp_path}/kb", "docs", peer_url, "--from", "pgvector", "--table", "docs")
    done = run(*command, "--metric", "cosine")
    assert (done.code, done.out) == (2, "")
    assert "Left out 1: the vector is zero" in done.err
    assert "Nothing could be imported" in done.err
    peer.execute("DELETE FROM docs")
    assert "the source has no records" in run(*command, "--metric", "l2").err
    assert not (tmp_path / "kb").exists() or vecstore.connect(f"file:{tmp_path}/kb").names() == []


def test_one_of_several_lengths(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(
        "CREATE TABLE docs (id int PRIMARY KEY, c vector); INSERT INTO docs VALUES (1, '[1,2]'), (2, '[1,2,3]')"
    )
    done = import_records(db, "docs", PgvectorTable(peer_url, "docs"), metric="l2", dim=3)
    assert (done.records, done.dim) == (1, 3)
    assert done.left_out[0].ids == ("1",)
    assert "2 dimensions" in done.left_out[0].reason


def test_arrays_of_floats_are_vectors(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(
        "CREATE TABLE docs (id int PRIMARY KEY, v real[]); INSERT INTO docs VALUES (1, '{1,2}'), (2, '{1,NULL}')"
    )
    done = import_records(db, "docs", PgvectorTable(peer_url, "docs", vector="v"), metric="ip")
    assert (done.records, done.left_out[0].ids) == (1, ("2",))
    assert np.asarray(db.open("docs").get(["1"])[0].vector).tolist() == [1.0, 2.0]  # type: ignore[union-attr]


def test_an_existing_store_has_to_fit(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute(
        "CREATE TABLE docs (id int PRIMARY KEY, v vector(8)); INSERT INTO docs VALUES (1, '[1,2,3,4,5,6,7,8]')"
    )
    peer.execute("CREATE INDEX ON docs USING ivfflat (v vector_ip_ops) WITH (lists = 1)")
    table = PgvectorTable(peer_url, "docs")
    db.create("other", vecstore.Schema(dim=4, metric="ip"))
    with refusing(SchemaMismatch, "exists with dim 4, and for Table 'docs' it would be 8"):
        import_records(db, "other", table)
    db.create("l2", vecstore.Schema(dim=8, metric="l2"))
    with refusing(SchemaMismatch, "or give metric='l2'"):
        import_records(db, "l2", table)
    done = import_records(db, "l2", table, metric="l2")
    assert (done.records, done.notes[-1]) == (1, "Table 'docs' is searched by ip; the store compares by l2.")
    with refusing(SchemaMismatch, "its field lang is not declared, not keyword"):
        import_records(db, "l2", table, metric="l2", fields={"lang": fields.Keyword()})


def test_the_model_of_the_vectors(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    model = ToyEmbedder(dim=8)
    peer.execute("CREATE TABLE docs (id int PRIMARY KEY, v vector(8), text text)")
    for number, text in enumerate(["rice", "water"]):
        peer.execute(
            "INSERT INTO docs VALUES (%s, %s, %s)", (number, str(model.embed_documents([text])[0].tolist()), text)
        )
    peer.execute("INSERT INTO docs VALUES (3, NULL, 'bread'), (4, NULL, NULL)")
    table = PgvectorTable(peer_url, "docs")
    done = import_records(db, "docs", table, metric="cosine", embedder=model)
    assert (done.records, done.left_out[0].ids) == (3, ("4",))
    assert [hit.id for hit in db.open("docs", embedder=model).search("bread", k=1)] == ["3"]
    with refusing(EmbedderMismatch, "If it is the same, give it as embedder=…"):
        import_records(db, "docs", table, metric="cosine")
    with refusing(EmbedderMismatch, "makes other vectors of the first texts of Table 'docs'"):
        import_records(db, "new", table, metric="cosine", embedder=ToyEmbedder(dim=8, seed=1))
    with refusing(EmbedderMismatch, "8 dimensions, and the embedder makes 4"):
        import_records(db, "new", table, metric="cosine", embedder=ToyEmbedder(dim=4))


def test_an_interrupted_import_is_run_again(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute("CREATE TABLE docs (id int PRIMARY KEY, v vector(2))")
    peer.execute("INSERT INTO docs SELECT n, ARRAY[n, 1]::vector FROM generate_series(1, 12000) n")
    seen: list[tuple[str, int, int | None]] = []

    def stop(phase: str, done: int, total: int | None) -> None:
        seen.append((phase, done, total))
        if done > 5_000:
            raise KeyboardInterrupt

    table = PgvectorTable(peer_url, "docs")
    with pytest.raises(KeyboardInterrupt):
        import_records(db, "docs", table, metric="l2", on_progress=stop)
    assert seen[0] == ("copying", 5_000, 12_000)
    assert db.open("docs").count() == 10_000
    done = import_records(db, "docs", table, metric="l2")
    assert (done.records, done.created, db.open("docs").count()) == (12_000, False, 12_000)


def test_the_index_of_another_column_says_nothing(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute("CREATE TABLE two_vectors (id text PRIMARY KEY, a vector(3), b vector(3))")
    peer.execute("CREATE INDEX ON two_vectors USING hnsw ((b::halfvec(3)) halfvec_l2_ops)")
    peer.execute("INSERT INTO two_vectors VALUES ('x', '[1,2,3]', '[1,2,3]')")
    with refusing(InvalidArgument, "metric"):
        import_records(db, "docs", PgvectorTable(peer_url, "two_vectors", vector="a"))
    assert import_records(db, "docs", PgvectorTable(peer_url, "two_vectors", vector="b")).metric is Metric.L2


def test_dates_that_python_has_not_are_named(peer: psycopg.Connection, peer_url: str, db: Database) -> None:
    peer.execute("CREATE TABLE dated (id text PRIMARY KEY, v vector(3), until timestamptz, day date)")
    peer.execute("INSERT INTO dated VALUES ('x', '[1,2,3]', 'infinity', '0044-03-15 BC')")
    declared = {"until": fields.DateTime()}
    done = import_records(db, "docs", PgvectorTable(peer_url, "dated"), metric="l2", fields=declared)
    assert any("'until' has infinity" in note for note in done.notes)
    [record] = db.open("docs").scan()
    assert record.metadata == {"day": "0044-03-15 BC"}
