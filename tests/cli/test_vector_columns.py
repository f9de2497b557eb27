"""Vectors that stand beside texts under a usual name are used where they fit, or the command stops and says how."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import Run
from vecstore import Record, Schema, fields
from vecstore.cli.vector_columns import is_vector_name

pytestmark = pytest.mark.usefixtures("no_model")

NAMES = [
    "embedding", "embeddings", "vec", "values", "vector", "Embedding", "EMBEDDINGS", "Vec", "Values", "Vector",
    "text_embedding", "textEmbedding", "openai-embedding", "emb", "dense_vector",
]  # fmt: skip
VECTORS = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]
KINDS = ["jsonl", "json", "csv", "parquet", "jsonl.gz"]


def write_records(folder: Path, kind: str, columns: dict[str, list[Any]]) -> Path:
    path = folder / f"records.{kind}"
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if kind == "parquet":
        parquet.write_table(pa.table(columns), path)
    elif kind == "csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(
            [json.dumps(value) if isinstance(value, list) else value for value in row.values()] for row in rows
        )
        path.write_text(text.getvalue())
    elif kind == "json":
        path.write_text(json.dumps(rows))
    else:
        path.write_bytes(gzip.compress(lines.encode()) if kind.endswith("gz") else lines.encode())
    return path


def stored(url: str) -> list[Record]:
    with vecstore.connect(url) as database:
        return list(database.open("s").scan()) if "s" in database.names() else []


def columns(name: str, vectors: list[Any] = VECTORS) -> dict[str, list[Any]]:
    return {"id": ["1", "2"], "text": ["Tea.", "Rain."], name: vectors}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_vectors_under_a_usual_name_are_used(run: Run, url: str, tmp_path: Path, kind: str, name: str) -> None:
    path = write_records(tmp_path, kind, columns(name))
    answer = run("add", url, "s", path, "--json")
    assert answer.code == 0
    assert [np.asarray(record.vector).tolist() for record in stored(url)] == VECTORS
    assert [dict(record.metadata) for record in stored(url)] == [{}, {}]
    notes = [] if name.lower() == "vector" else [f"{path}: the vectors are those in '{name}'"]
    assert [note.partition(".  ")[0].partition(". To")[0] for note in answer.json["notes"]] == notes


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_used_without_a_text_too(run: Run, url: str, tmp_path: Path, kind: str) -> None:
    path = write_records(tmp_path, kind, {"id": [1, 2], "embedding": VECTORS, "year": [2020, 2021]})
    assert run("add", url, "s", path, "--field", "year:int").code == 0
    assert [dict(record.metadata) for record in stored(url)] == [{"year": 2020}, {"year": 2021}]


def test_they_are_found_within_metadata(run: Run, url: str) -> None:
    line = b'{"id": "1", "text": "Tea.", "metadata": {"embedding": [1, 0], "lang": "en"}}'
    assert run("add", url, "s", "-", stdin=line).code == 0
    assert [(np.asarray(record.vector).tolist(), record.metadata) for record in stored(url)] == [
        ([1, 0], {"lang": "en"})
    ]


def make_store(url: str, dim: int) -> None:
    with vecstore.connect(url) as database:
        database.create("s", Schema(dim=dim)).insert([Record("old", [1.0] * dim)])


@pytest.mark.parametrize("kind", KINDS)
def test_an_existing_store_of_that_dimension_takes_them(run: Run, url: str, tmp_path: Path, kind: str) -> None:
    make_store(url, 3)
    assert run("add", url, "s", write_records(tmp_path, kind, columns("embedding"))).code == 0
    assert len(stored(url)) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extra", [(), ("--skip-bad",)])
def test_another_dimension_stops(run: Run, url: str, tmp_path: Path, kind: str, extra: tuple[str, ...]) -> None:
    make_store(url, 2)
    answer = run("add", url, "s", write_records(tmp_path, kind, columns("embedding")), *extra)
    assert (answer.code, len(stored(url))) == (2, 1)
    assert "'embedding' looks like vectors, but they have 3 numbers, and the store has 2 dimensions" in answer.err
    assert "--vector-column" in answer.err


def test_a_named_embedder_contradicts(run: Run, url: str, tmp_path: Path) -> None:
    path = write_records(tmp_path, "jsonl", columns("embedding"))
    answer = run("add", url, "s", path, "--embedder", "wordllama")
    assert (answer.code, stored(url)) == (2, [])
    assert "--embedder says that texts are embedded" in answer.err
    assert "--vector-column embedding" in answer.err
    assert "--vector-column vector" in answer.err


def test_a_store_with_a_model_contradicts(run: Run, url: str, tmp_path: Path) -> None:
    embedder = vecstore.embedders.FunctionEmbedder(lambda texts: np.ones((len(texts), 3)), name="ones", dim=3)
    with vecstore.connect(url) as database:
        database.create("s", Schema(), embedder=embedder)
    answer = run("add", url, "s", write_records(tmp_path, "jsonl", columns("embedding")))
    assert (answer.code, stored(url)) == (2, [])
    assert "vectors of the model that embeds its texts" in answer.err


@pytest.mark.parametrize("kind", KINDS)
def test_the_option_names_one(run: Run, url: str, tmp_path: Path, kind: str) -> None:
    two = {**columns("title_vector"), "body_vector": [[1, 0], [0, 1]]}
    path = write_records(tmp_path, kind, two)
    answer = run("add", url, "s", path)
    assert (answer.code, stored(url)) == (2, [])
    assert "'title_vector' and 'body_vector' all look like vectors" in answer.err
    assert run("add", url, "s", path, "--vector-column", "Body_Vector").code == 0
    assert [np.asarray(record.vector).tolist() for record in stored(url)] == [[1, 0], [0, 1]]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_option_can_leave_them_as_metadata(run: Run, url: str, tmp_path: Path, kind: str) -> None:
    path = write_records(tmp_path, kind, columns("embedding"))
    answer = run("add", url, "s", path, "--vector-column", "vector")
    assert answer.code == 2
    assert "there-is-no-such-model" in answer.err  # it goes on to embed the texts


def test_a_second_column_is_kept_with_a_note(run: Run, url: str, tmp_path: Path) -> None:
    path = write_records(tmp_path, "jsonl", {**columns("vector"), "embedding": VECTORS})
    notes = run("add", url, "s", path, "--json").json["notes"]
    assert notes == [f"{path}: 'embedding' looks like vectors too and is kept as metadata."]
    assert stored(url)[0].metadata == {"embedding": VECTORS[0]}


@pytest.mark.parametrize(
    "value",
    [
        "[0.1 0.2 0.3]", "{0.1,0.2,0.3}", "(0.1, 0.2)", base64.b64encode(np.ones(64, np.float32).tobytes()).decode(),
        "[0,1 0,2", "0.1 0.2 0.3", "0.1, 0.2, -3e-2",
    ],
)  # fmt: skip
def test_a_form_that_is_not_read_stops(run: Run, url: str, tmp_path: Path, value: str) -> None:
    for kind in ("jsonl", "csv"):
        answer = run("add", url, "s", write_records(tmp_path, kind, columns("embedding", [value, value])))
        assert (answer.code, stored(url)) == (2, [])
        assert "'embedding' looks like a vector in a form that is not read" in answer.err
        assert value not in answer.err


@pytest.mark.parametrize("value", [[[0.1, 0.2]], {"values": [0.1, 0.2]}, ["0.1", "0.2"], ["0,1", "0,2"]])
def test_a_vector_inside_another_value_stops(run: Run, url: str, tmp_path: Path, value: Any) -> None:
    answer = run("add", url, "s", write_records(tmp_path, "jsonl", columns("embedding", [value, value])))
    assert (answer.code, "form that is not read" in answer.err, stored(url)) == (2, True, [])


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_a_long_list_of_numbers_is_a_vector_under_any_name(run: Run, url: str, tmp_path: Path, kind: str) -> None:
    path = write_records(tmp_path, kind, columns("ada", np.random.default_rng(1).normal(size=(2, 64)).tolist()))
    answer = run("add", url, "s", path, "--json")
    assert answer.json["notes"][0].startswith(f"{path}: the vectors are those in 'ada'.")
    assert [len(np.asarray(record.vector)) for record in stored(url)] == [64, 64]


def test_bytes_in_parquet_stop(run: Run, url: str, tmp_path: Path) -> None:
    packed = [np.ones(3, np.float32).tobytes()] * 2
    parquet.write_table(pa.table(columns("embedding", packed)), tmp_path / "x.parquet")
    answer = run("add", url, "s", tmp_path / "x.parquet")
    assert (answer.code, "form that is not read" in answer.err) == (2, True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_for_each_number_stops(run: Run, url: str, tmp_path: Path, kind: str) -> None:
    table: dict[str, list[Any]] = {"id": ["1"], "text": ["Tea."], **{f"emb_{number}": [0.5] for number in range(8)}}
    answer = run("add", url, "s", write_records(tmp_path, kind, table))
    assert (answer.code, stored(url)) == (2, [])
    assert "8 columns 'emb_0' to 'emb_7' look like the numbers of one vector" in answer.err


def test_records_with_and_without_stop(run: Run, url: str) -> None:
    bare, full = b'{"id": "1", "text": "Tea."}\n', b'{"id": "2", "text": "Rain.", "embedding": [1, 0]}\n'
    answer = run("add", url, "s", "-", stdin=bare + full)
    assert (answer.code, "records before it have only a text" in answer.err) == (2, True)
    answer = run("add", url, "s", "-", stdin=full + bare)
    assert (answer.code, "no vector in 'embedding', where the records before have one" in answer.err) == (2, True)
    assert stored(url) == []


def test_what_is_no_vector_stays_metadata(run: Run, url: str) -> None:
    line = b'{"id": "1", "vector": [1, 0], "embedding": "text-embedding-3-small", "values": ["a", "b"], "vec": [1]}'
    answer = run("add", url, "s", "-", "--json", stdin=line)
    assert answer.json["notes"] == []
    assert stored(url)[0].metadata == {"embedding": "text-embedding-3-small", "values": ["a", "b"], "vec": [1]}


def test_a_declared_field_is_metadata(run: Run, url: str) -> None:
    line = b'{"id": "1", "vector": [1, 0], "values": ["a"]}'
    assert run("add", url, "s", "-", "--field", "values:keywords", stdin=line).code == 0
    with vecstore.connect(url) as database:
        assert database.open("s").schema.fields == {"values": fields.Keywords()}


def test_words_that_are_no_names_of_vectors() -> None:
    assert [
        name for name in ("veclabel", "invectors", "evaluation", "valueset", "member", "idea") if is_vector_name(name)
    ] == []
