"""Exports: whole stores as Parquet, from each backend to each, and read by other libraries."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.places import make_place
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.places import redis_server as redis_server
from tests.exported import SEED
from tests.exported import db as db
from tests.exported import file as file
from tests.exported import store as store
from tests.places import MemoryPlace
from vecstore import HNSW, Database, F, InvalidArgument, InvalidMetadata, Record, Schema, VectorStore, fields
from vecstore.embedders import FunctionEmbedder
from vecstore.testing.backend_level import make_rows
from vecstore.testing.corpus import list_accepted
from vecstore.testing.digest_truth import EXAMPLES, NARROW, WIDE, draw_record, work_out
from vecstore.testing.place import Place

WAYS = [  # each ordered pair of backends
    ("memory", "file", "postgres", "redis", "memory"), ("memory", "redis", "postgres", "file", "memory"),
    ("memory", "postgres", "memory"), ("file", "redis", "file"),
]  # fmt: skip
Carry = Callable[[VectorStore, Database, Path], str]
IDENTITY = FunctionEmbedder(lambda texts: np.ones((len(texts), 3)), dim=3, name="mine").identity


def open_place(backend: str, request: pytest.FixtureRequest, directory: Path) -> Place:
    return MemoryPlace() if backend == "memory" else make_place(backend, request, directory)


def fill(place: Place, schema: Schema, seed: int) -> tuple[str, Mapping[str, int]]:
    """Make a store of random records with versions; return its digest, worked out, and the versions."""
    source, strings = random.Random(seed), list_accepted(0, 500)
    records = [draw_record(source, strings, number) for number in range(150)]
    versions = {record.id: source.choice([0, 0, 1, 2**53]) for record in records}
    with ExitStack() as stack:
        reach(place, stack).create("docs", schema, identity=IDENTITY)
        backend = place.backend()
        rows = make_rows(*records, schema=schema)
        backend.write(backend.find(name="docs").active, rows, insert=False, fence=list(versions.values()))
        if not isinstance(place, MemoryPlace):
            backend.close()
    return work_out(records, schema.dtype, versions), versions


def reach(place: Place, stack: ExitStack) -> Database:
    db = place.connect()
    return db if isinstance(place, MemoryPlace) else stack.enter_context(db)


def carry_file(store: VectorStore, target: Database, file: Path) -> str:
    told = store.export(file)
    assert told.records == 150
    assert target.create_from("docs", file).digest() == told.digest
    return told.digest


def carry_over(store: VectorStore, target: Database, file: Path) -> str:
    copied = store.copy_to(target)
    assert copied.records == 150
    return copied.digest


@pytest.mark.parametrize("carry", [carry_file, carry_over], ids=["export", "copy"])
@pytest.mark.parametrize("schema", [WIDE, replace(NARROW, index=HNSW(m=5), dynamic=True)], ids=["float32", "float16"])
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_odd_metadata_lead_back_to_the_same_digest(
    request: pytest.FixtureRequest, tmp_path: Path, way: tuple[str, ...], schema: Schema, carry: Carry
) -> None:
    with ExitStack() as stack:
        places = [
            stack.enter_context(closing(open_place(backend, request, tmp_path / f"{number}")))
            for number, backend in enumerate(way)
        ]
        expected, versions = fill(places[0], schema, SEED)
        for number, (old, new) in enumerate(pairwise(places)):
            target = reach(new, stack)
            told = carry(reach(old, stack).open("docs"), target, tmp_path / f"{number}.parquet")
            made = target.open("docs")
            assert told == made.digest() == expected, f"VECSTORE_SEED={SEED}"
            assert made.schema == schema
            assert made.embedder_identity is not None
            assert made.embedder_identity.to_json() == IDENTITY.to_json()
        stored = [raw.versions for raw in (places[-1].generations() or {}).values()]
        assert stored == [versions]


# -- one store


def test_the_file_says_what_it_is(store: VectorStore, file: Path) -> None:
    about = json.loads(parquet.read_metadata(file).metadata[b"vecstore"])
    assert about["schema"] == store.schema.to_dict()
    assert (about["format"], about["records"], about["digest"]) == (2, store.count(), store.digest())
    assert about["embedder"] is None


def check_rows(rows: Mapping[str, Mapping[str, Any]], store: VectorStore) -> None:
    """Compare what another library read with the store."""
    assert sorted(rows) == [record.id for record in store.scan()]
    for record in store.scan():
        row = rows[record.id]
        assert row["text"] == record.text
        assert (row["vector"] is None) == (record.vector is None)
        if record.vector is not None:
            assert np.array_equal(np.asarray(row["vector"], np.float32), np.asarray(record.vector, np.float32))
        undeclared = {key: value for key, value in record.metadata.items() if key not in store.schema.fields}
        assert json.loads(row["metadata"]) == undeclared
        for name in ("word", "whole", "real", "yes", "at", "told"):
            assert row[name] == record.metadata.get(name)
        words = row["words"]
        assert (None if words is None else list(words)) == record.metadata.get("words")
        assert row["_version"] == 0


def none_for_missing(value: Any) -> Any:
    return None if value is None or (np.isscalar(value) and pd.isna(value)) or value is pd.NaT else value


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_other_libraries_read_it(db: Database, store: VectorStore, tmp_path: Path, dtype: str) -> None:
    if dtype == "float16":
        copy = db.create("half", replace(WIDE, dtype="float16"))
        copy.upsert(store.scan(F.id != "odd"))
        store = copy
    file = tmp_path / "docs.parquet"
    store.export(file)
    frame = pd.read_parquet(file)
    rows = {key: {name: none_for_missing(each) for name, each in row.items()}
            for key, row in frame.set_index("id").to_dict("index").items()}  # fmt: skip
    check_rows(rows, store)
    check_rows({row["id"]: row for row in pl.read_parquet(file).to_dicts()}, store)
    relation = duckdb.read_parquet(str(file))
    check_rows({row[0]: dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()}, store)


def test_what_other_libraries_read_goes_into_a_store(db: Database, store: VectorStore, file: Path) -> None:
    for number, table in enumerate((pd.read_parquet(file), pl.read_parquet(file), duckdb.read_parquet(str(file)))):
        copy = db.create(f"copy{number}", WIDE)
        copy.upsert(table.drop(columns="_version") if isinstance(table, pd.DataFrame) else table)
        copy.update(where=vecstore.ALL, unset=["_version"])
        assert copy.digest() == store.digest()


def test_a_part_of_a_store(db: Database, store: VectorStore, tmp_path: Path) -> None:
    told = store.export(tmp_path / "x.parquet", F.yes == False)  # noqa: E712
    assert told.digest == store.digest(F.yes == False)  # noqa: E712
    assert told.records == 1
    assert db.create_from("part", tmp_path / "x.parquet").digest() == told.digest


def test_an_empty_store(db: Database, tmp_path: Path) -> None:
    told = db.create("empty", WIDE).export(tmp_path / "x.parquet")
    assert (told.records, told.digest) == (0, "0" * 64)
    assert db.create_from("copy", str(tmp_path / "x.parquet")).count() == 0


def test_fields_whose_names_are_those_of_columns(db: Database, tmp_path: Path) -> None:
    schema = Schema(2, fields={"metadata": fields.DateTime(), "score": fields.Int()})
    store = db.create("docs", schema)
    values = {"metadata": EXAMPLES["odd"][1].metadata["at"], "id": 1, "text": None, "_version": {"vecstore": 1}}
    store.insert([Record("a", [1, 2], None, values), Record("b", [1, 2], "", {"score": 1}), Record("c", [2, 1])])
    store.export(tmp_path / "x.parquet")
    assert db.create_from("copy", tmp_path / "x.parquet").digest() == store.digest()
    columns = db.create("columns", schema)
    columns.upsert(store.scan_arrow())
    assert columns.digest() == store.digest()
    wrong = '{"metadata": "no date"}'
    with pytest.raises(InvalidMetadata, match=r"Row 0, record 'a': metadata 'metadata' must be a datetime"):
        columns.upsert(pa.table({"id": ["a"], "vector": [[1.0, 2.0]], "metadata": pa.array([wrong], pa.json_())}))


def test_a_stream_that_cannot_seek(store: VectorStore, file: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.parts.append(bytes(data))
            return len(data)

    pipe = Pipe()
    assert store.export(pipe).digest == store.digest()  # type: ignore[arg-type]
    assert parquet.read_table(io.BytesIO(b"".join(pipe.parts))).num_rows == store.count()


def test_without_description_and_vectors(db: Database, store: VectorStore, tmp_path: Path) -> None:
    bare, blind = tmp_path / "bare.parquet", tmp_path / "blind.parquet"
    store.export(bare, describe=False)
    assert parquet.read_metadata(bare).metadata.keys() == {b"ARROW:schema"}
    assert "_version" not in parquet.read_schema(bare).names
    with pytest.raises(InvalidArgument, match="does not say which store"):
        db.create_from("copy", bare)
    assert store.export(blind, vectors=False).digest not in {store.digest(), "0" * 64}
    with pytest.raises(InvalidArgument, match="without vectors"):
        db.create_from("copy", blind)
    assert db.names() == ["docs"]
