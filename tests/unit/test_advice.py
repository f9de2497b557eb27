"""Errors about objects of real libraries, and that the code which they advise works."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import vecstore
from vecstore import InvalidArgument, InvalidMetadata, InvalidVector, Record, Schema, VectorStore, fields

SCHEMA = Schema(dim=2, fields={"year": fields.Int(), "price": fields.Float(), "at": fields.DateTime()})
COLUMNS: dict[str, Any] = {"id": [1, 2], "vector": [[1.0, 0.0], [0.0, 1.0]], "text": ["a", "b"], "year": [2020, 2021]}
EXPECTED = [
    Record("1", np.array([1, 0], np.float32), "a", {"year": 2020}),
    Record("2", np.array([0, 1], np.float32), "b", {"year": 2021}),
]


@pytest.fixture
def store() -> VectorStore:
    return vecstore.connect("memory:").create("s", SCHEMA)


def read_error(store: VectorStore, records: Any) -> str:
    with pytest.raises(InvalidArgument) as caught:
        store.upsert(records)
    assert store.count() == 0
    return str(caught.value)


def test_a_pandas_frame_with_numbers_as_ids(store: VectorStore) -> None:
    frame = pd.DataFrame(COLUMNS)
    assert "frame['id'].astype(str)" in read_error(store, frame)
    store.upsert(frame.assign(id=frame["id"].astype(str)))
    assert list(store.scan()) == EXPECTED


def test_an_arrow_table_with_numbers_as_ids(store: VectorStore) -> None:
    table = pa.table(COLUMNS)
    assert "column.cast('string')" in read_error(store, table)
    store.upsert(table.set_column(0, "id", table.column("id").cast("string")))
    assert list(store.scan()) == EXPECTED


def test_a_matrix(store: VectorStore) -> None:
    for given, matrix in ((np.eye(2), np.eye(2)), (torch.eye(2), torch.eye(2))):
        message = read_error(store, given)
        code = message.partition("Write ")[2].removesuffix(".")
        made = eval(code, {"Columns": vecstore.Columns, "matrix": matrix})  # noqa: S307 - the advice itself
        assert store.upsert(made) == 2
        store.delete(ids=["0", "1"])


def test_a_list_of_frames(store: VectorStore) -> None:
    assert "pandas.concat(frames)" in read_error(store, [pd.DataFrame(COLUMNS)])
    assert "pyarrow.concat_tables(tables)" in read_error(store, [pa.table(COLUMNS)])
    assert "from_batches(schema, batches)" in read_error(store, pa.table(COLUMNS).to_batches())


@pytest.mark.parametrize("missing, name", [(pd.NaT, "NaT"), (pd.NA, "pandas.NA"), (float("nan"), "NaN")])
@pytest.mark.parametrize("key", [*SCHEMA.fields, "other"])
def test_missing_values_of_pandas(store: VectorStore, key: str, missing: Any, name: str) -> None:
    message = read_error(store, [Record("a", [1, 0], None, {key: missing})])
    assert re.search(f"Record 'a': metadata '{key}' is {name}, .*leave the key out or give None", message)
    store.upsert([Record("a", [1, 0], None, {key: None})])
    assert store.count() == 1


def test_dates_of_pandas(store: VectorStore) -> None:
    message = read_error(store, [Record("a", [1, 0], None, {"at": pd.Timestamp("2024-05-01")})])
    assert "value.replace(tzinfo=datetime.UTC)" in message
    message = read_error(store, [Record("a", [1, 0], None, {"other": pd.Timestamp("2024-05-01")})])
    assert "contains a Timestamp" in message
    assert "fields.DateTime(), or give value.isoformat()" in message
    moment = pd.Timestamp("2024-05-01", tz="UTC")
    store.upsert([Record("a", [1, 0], None, {"at": moment, "other": moment.isoformat()})])
    (record,) = store.scan()
    assert record.metadata["at"] == moment


@pytest.mark.parametrize(
    "vector, found, step, repaired",
    [
        (torch.ones(2, requires_grad=True), "is a Tensor", ".detach().cpu().float().numpy()", None),
        (torch.ones(2, dtype=torch.bfloat16), "is a Tensor", ".detach().cpu().float().numpy()", None),
        (torch.empty(2, device="meta"), "is a Tensor", ".detach().cpu().float().numpy()", [1, 1]),
        (np.ones(2, ml_dtypes.bfloat16), "bfloat16", "vector.astype(np.float32)", None),
        (np.ones(2, ml_dtypes.float8_e4m3fn), "float8_e4m3fn", "vector.astype(np.float32)", None),
        (pd.Series(["1", "1"]), "at position 0", "[float(number) for number in vector]", None),
        (pd.DataFrame([[1.0, 1.0]]), "shape (1, 2)", "vector[0]", [1, 1]),
    ],
)  # fmt: skip
def test_vectors_of_other_libraries(store: VectorStore, vector: Any, found: str, step: str, repaired: Any) -> None:
    with pytest.raises(InvalidVector, match=r"^Record 'a': the vector") as caught:
        store.upsert([Record("a", vector)])
    assert found in str(caught.value)
    assert step in str(caught.value)
    if repaired is None:
        repairs: dict[str, Any] = {"np": np, "vector": vector, "float": float}
        code = str(caught.value).partition("Give ")[2].removesuffix(".")
        repaired = eval(code, repairs)  # noqa: S307 - the advice itself
    store.upsert([Record("a", repaired)])
    assert store.count() == 1


def test_what_python_numbers_and_arrays_of_other_libraries_give(store: VectorStore) -> None:
    given = [torch.ones(2), torch.ones(2, dtype=torch.float16), pd.Series([1.0, 1.0]), pa.array([1.0, 1.0])]
    store.upsert(Record(f"{number}", vector) for number, vector in enumerate(given))
    assert [np.asarray(record.vector).tolist() for record in store.scan()] == [[1, 1]] * len(given)


def test_metadata_of_numpy(store: VectorStore) -> None:
    with pytest.raises(InvalidMetadata, match=r"contains a bfloat16, .* give float\(value\)"):
        store.upsert([Record("a", [1, 0], None, {"x": ml_dtypes.bfloat16(1)})])
