"""Tables of the real libraries, written and read on any backend."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.random_tables import MAKERS, keep_typed
from tests.table_samples import (
    ARROW_SCHEMA,
    DIM,
    EXPECTED,
    METADATA_TYPES,
    NESTED,
    NOON,
    ONE_TWO,
    SCHEMA,
    TABLE,
    TABLES,
    VECTOR_TYPES,
    VECTORS,
    make_duckdb,
    make_table,
)
from tests.wrong_tables import WRONG
from vecstore import (
    Database,
    F,
    Flat,
    InvalidArgument,
    PartialWrite,
    Record,
    Schema,
    SchemaMismatch,
    UnknownField,
    VectorStore,
    fields,
)
from vecstore.testing import column_equivalence
from vecstore.testing.place import Places
from vecstore.testing.toy_embedder import ToyEmbedder

NAIVE = datetime(2024, 5, 1, 12)


class Tables(Places):
    """Tables of other libraries into a store of one backend."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store."""
        return db.create("docs", SCHEMA)

    @pytest.mark.parametrize("library", MAKERS)
    def test_random_tables_are_what_the_same_records_are(self, db: Database, library: str) -> None:
        draw = random.Random(f"the same tables of {library} for all backends")
        schema = column_equivalence.SCHEMA
        by_record, by_column = db.create("records", schema), db.create("columns", schema)
        for _ in range(6):
            made = keep_typed(column_equivalence.draw_table(draw))
            by_record.upsert(column_equivalence.make_records(*made))
            by_column.upsert(MAKERS[library](made, draw), batch_size=draw.choice([None, 13]))
            column_equivalence.check_same(by_record, by_column, made[3])

    @pytest.mark.parametrize("write", ["insert", "upsert"])
    @pytest.mark.parametrize("kind", TABLES)
    def test_a_table_of_each_library(self, store: VectorStore, kind: str, write: str) -> None:
        assert getattr(store, write)(TABLES[kind](), batch_size=2) == 3
        assert list(store.scan()) == EXPECTED
        assert [hit.id for hit in store.search(VECTORS[2], 1)] == ["c"]
        assert store.count({"year": {"$gte": 2020}}) == 2

    def test_vectors_of_all_types(self, store: VectorStore) -> None:
        for kind, column in VECTOR_TYPES.items():
            store.upsert(make_table(vector=column))
            assert [np.asarray(record.vector).tolist() for record in store.scan()] == ONE_TWO, kind
            store.delete(ids=["a", "b"])

    def test_metadata_of_all_types(self, store: VectorStore) -> None:
        for kind, (key, column, expected) in METADATA_TYPES.items():
            store.upsert(make_table(**{key: column}))
            found = [record.metadata for record in store.scan()]
            assert found == [{} if value is None else {key: value} for value in expected], kind
            store.delete(ids=["a", "b"])

    def test_a_column_of_several_keys(self, store: VectorStore) -> None:
        for kind, (column, expected) in NESTED.items():
            store.upsert(make_table(metadata=column, lang=["de", None]))
            found = [record.metadata for record in store.scan()]
            assert found == [{"lang": "de", **expected[0]}, expected[1]], kind

    @pytest.mark.parametrize("kind", WRONG)
    def test_what_is_wrong_is_named_and_nothing_is_written(self, store: VectorStore, kind: str) -> None:
        make, error, told = WRONG[kind]
        for write in (store.upsert, store.insert):
            with pytest.raises(error, match=told):
                write(make())
        assert store.count() == 0

    def test_no_rows(self, store: VectorStore) -> None:
        for kind, make in TABLES.items():
            if kind not in {"pyarrow batch", "pyarrow reader", "DuckDB"}:
                assert store.upsert(make()[:0]) == 0
        assert store.upsert(make_duckdb().limit(0)) == 0
        assert store.upsert(TABLE.schema.empty_table().to_reader()) == 0

    def test_the_last_of_twins_is_stored(self, store: VectorStore) -> None:
        twins = pa.concat_tables([TABLE, TABLE.set_column(2, "text", pa.array(["new", "newer", "newest"]))])
        for size in (None, 1, 4, 5):
            assert store.upsert(twins, batch_size=size) == 6
            assert [record.text for record in store.scan()] == ["new", "newer", "newest"]

    def test_small_batches_of_a_stream_become_large_commits(self, store: VectorStore) -> None:
        told: list[Any] = []
        ids = [f"{number:04}" for number in range(3_000)]
        table = pa.table({"id": ids, "vector": pa.FixedSizeListArray.from_arrays(np.ones(9_000), 3)})
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=7))
        store.upsert(reader, batch_size=1_000, on_progress=lambda *each: told.append(each))
        assert [each for each in told if each[0] == "writing"] == [("writing", n, None) for n in (1_000, 2_000, 3_000)]

    def test_a_bad_row_of_a_later_batch(self, store: VectorStore) -> None:
        ids = [f"{number:04}" for number in range(100)]
        vectors = np.ones((100, 3))
        vectors[77, 1] = np.nan
        table = pa.table({"id": ids, "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 3)})
        with pytest.raises(PartialWrite, match="Row 77, record '0077'") as caught:
            store.upsert(table, batch_size=10)
        assert caught.value.committed == store.count() == 70

    def test_what_a_stream_raises_passes(self, store: VectorStore) -> None:
        def read() -> Iterator[pa.RecordBatch]:
            yield TABLE.combine_chunks().to_batches()[0]
            raise RuntimeError("the source failed")

        reader = pa.RecordBatchReader.from_batches(TABLE.schema, read())
        with pytest.raises(pa.ArrowInvalid, match="the source failed") as caught:
            store.upsert(reader, batch_size=3)
        assert caught.value.__notes__ == ["vecstore: 3 records of this call are written."]
        assert store.count() == 3

    def test_texts_are_embedded_by_batches(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(index=Flat()), embedder=embedder)
        frame = pd.DataFrame({"id": ["a", "b", "c"], "text": ["red", "green", "blue"]})
        for given in (frame, pl.from_pandas(frame), pa.table(frame), duckdb.from_df(frame)):
            assert store.upsert(given, batch_size=2) == 3
            found = [np.asarray(record.vector).tolist() for record in store.scan()]
            assert found == embedder.embed_documents(["red", "green", "blue"]).tolist()
            store.delete(ids=["a", "b", "c"])


class TablesOut(Places):
    """Records and hits of one backend as tables."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store with three records."""
        store = db.create("docs", SCHEMA)
        store.upsert(TABLE)
        return store

    def test_a_scan_is_what_was_written(self, store: VectorStore) -> None:
        table = store.scan_arrow().read_all()
        assert table.schema == ARROW_SCHEMA
        for name in ("id", "vector", "text", "year", "tags", "price", "draft"):
            assert table[name].to_pylist() == TABLE[name].to_pylist(), name
        assert table["lang"].to_pylist() == ["de", None, "en"]
        assert table["at"].to_pylist() == [NOON, None, NOON]
        rest = [None if each is None else json.loads(each) for each in table["metadata"].to_pylist()]
        assert rest == [
            {"author": "Zoë", "shelf": {"row": 1, "side": None}},
            {"author": "%s", "pages": 7},
            {"pages": 2**62, "shelf": {"row": 2, "side": "left"}},
        ]

    def test_what_goes_out_goes_in_again(self, db: Database, store: VectorStore) -> None:
        copies: dict[str, Callable[[], Any]] = {
            "arrow": store.scan_arrow,
            "pandas": lambda: store.scan_arrow().read_pandas(),
            "polars": lambda: pl.from_arrow(store.scan_arrow().read_all()),
            "duckdb": lambda: duckdb.from_arrow(store.scan_arrow().read_all()),
        }
        for name, read in copies.items():
            copy = db.create(name, SCHEMA)
            assert copy.upsert(read()) == 3
            assert list(copy.scan()) == EXPECTED, name

    def test_parts_of_a_scan(self, store: VectorStore) -> None:
        batches = list(store.scan_arrow(F.year >= 2020, include=(), batch_size=1))
        assert [batch.to_pydict() for batch in batches] == [{"id": ["a"]}, {"id": ["c"]}]
        assert store.scan_arrow(include=["text"]).read_all().to_pydict() == {
            "id": ["a", "b", "c"], "text": ["north", None, "süd"],
        }  # fmt: skip
        assert [len(batch) for batch in store.scan_arrow(batch_size=2)] == [2, 1]
        assert store.scan_arrow({"year": 1}).read_all() == ARROW_SCHEMA.empty_table()
        with pytest.raises(InvalidArgument, match="include"):
            store.scan_arrow(include=["txt"])
        with pytest.raises(InvalidArgument, match="batch_size"):
            store.scan_arrow(batch_size=0)
        with pytest.raises(UnknownField, match="author"):
            store.scan_arrow(F.author == "x")

    def test_a_changed_schema_ends_the_stream(self, db: Database, store: VectorStore) -> None:
        reader = store.scan_arrow(batch_size=1)
        assert reader.read_next_batch()["id"].to_pylist() == ["a"]
        db.rebuild("docs", schema=Schema(dim=DIM, metric="l2", index=Flat()))
        with pytest.raises(SchemaMismatch, match="year"):
            reader.read_next_batch()

    def test_hits(self, store: VectorStore) -> None:
        hits = store.search(VECTORS[2], 2, include=["text", "metadata", "vector"])
        table = hits.to_arrow()
        assert table.schema.names == ["id", "score", "distance", *ARROW_SCHEMA.names[1:]]
        assert [table.schema.field(name) for name in ARROW_SCHEMA.names] == list(ARROW_SCHEMA)
        assert table["id"].to_pylist() == ["c", "b"]
        assert table["score"].to_pylist() == [hit.score for hit in hits]
        assert table["distance"].to_pylist() == [hit.distance for hit in hits]
        assert table["vector"].to_pylist() == [VECTORS[2].tolist(), VECTORS[1].tolist()]
        assert table["at"].to_pylist() == [NOON, None]
        assert json.loads(table["metadata"][1].as_py()) == {"author": "%s", "pages": 7}
        assert store.search(VECTORS[0], 2, where={"year": 1}, include=["text", "metadata", "vector"]).to_arrow() == (
            table.schema.empty_table()
        )
        assert store.search(VECTORS[0], 0, include=()).to_arrow().schema.names == ["id", "score", "distance"]
        assert store.search(VECTORS[0], 1).to_arrow().schema.names[:4] == ["id", "score", "distance", "text"]

    def test_fields_whose_names_are_taken(self, db: Database) -> None:
        schema = replace(SCHEMA, fields={"score": fields.Int(), "metadata": fields.Keyword(), "year": fields.Int()})
        records = [
            Record("a", VECTORS[0], None, {"score": 1, "metadata": "{", "year": 2, "x": [1]}),
            Record("b", VECTORS[1]),
        ]
        store, copy = db.create("taken", schema), db.create("copy", schema)
        store.upsert(records)
        assert store.scan_arrow().schema.names == ["id", "vector", "text", "score", "year", "metadata"]
        copy.upsert(store.scan_arrow())
        assert list(copy.scan()) == records
        table = store.search(VECTORS[0], 1).to_arrow()
        assert table.schema.names == ["id", "score", "distance", "text", "year", "metadata"]
        assert json.loads(table["metadata"][0].as_py()) == {"score": 1, "metadata": "{", "x": [1]}

    def test_float16_and_missing_vectors(self, db: Database) -> None:
        schema = replace(SCHEMA, dtype="float16", vectors="optional")
        store, copy = db.create("half", schema), db.create("copy", schema)
        store.upsert([Record("a", VECTORS[0]), Record("b", text="x")])
        assert store.scan_arrow().schema.field("vector").type == pa.list_(pa.float16(), DIM)
        copy.upsert(store.scan_arrow())
        assert list(copy.scan()) == list(store.scan())

    def test_dates_that_are_text_in_records(self, db: Database) -> None:
        store = db.create("dates", replace(SCHEMA, fields={"at": fields.DateTime(text=True, naive="utc")}))
        for column in (["2024-05-01T12:00:00", None], pa.array([NAIVE, None], pa.timestamp("ms"))):
            store.upsert(make_table(at=column))
            assert [record.metadata for record in store.scan()] == [{"at": "2024-05-01T12:00:00+00:00"}, {}]
        for table in (store.scan_arrow().read_all(), store.search(ONE_TWO[0], 2).to_arrow()):
            assert table["at"].type == pa.timestamp("us", "UTC")
            assert table["at"].to_pylist() == [NAIVE.replace(tzinfo=UTC), None]
