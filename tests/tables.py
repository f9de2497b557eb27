"""Tables of the real libraries, written and read on any backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.table_samples import (
    EXPECTED,
    METADATA_TYPES,
    NESTED,
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
from vecstore import Database, Flat, PartialWrite, Schema, VectorStore
from vecstore.testing.place import Places
from vecstore.testing.toy_embedder import ToyEmbedder


class Tables(Places):
    """Tables of other libraries into a store of one backend."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store."""
        return db.create("docs", SCHEMA)

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
