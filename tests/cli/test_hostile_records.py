"""Files of records from a hostile or a careless hand: an error in one line, within bounds, and never a guess."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import Run
from tests.cli.made_files import make_pdf
from vecstore.cli import unpacking
from vecstore.cli.unpacking import MAX_RATIO

RECORD = {"id": "a", "text": "Tea", "vector": [1.0, 0.5]}
LINE = json.dumps(RECORD).encode() + b"\n"
BOMBS = {
    "jsonl": b"\n",
    "csv": b"\n",
    "json": b" ",
    "ndjson": LINE,
}


def read_ids(url: str, name: str = "s") -> list[str]:
    with vecstore.connect(url) as database:
        return [record.id for record in database.open(name).scan()] if name in database.names() else []


@pytest.mark.parametrize("kind", BOMBS)
def test_a_compressed_file_is_unpacked_in_proportion_to_its_size(
    run: Run, url: str, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED_BYTES", 1 << 20)
    path, begin = tmp_path / f"bomb.{kind}.gz", {"csv": b"id,text\n", "json": b"["}.get(kind, b"")
    path.write_bytes(gzip.compress(begin + BOMBS[kind] * ((8 << 20) // len(BOMBS[kind]))))
    answer = run("add", url, "s", path, "--batch-size", "4000")
    assert answer.code == 2
    assert f"bomb.{kind}.gz: unpacks to more than 1 MiB and {MAX_RATIO} times its size" in answer.err


def test_a_small_file_may_unpack_to_anything_below_the_limit(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINE + b"\n" * (4 << 20)))
    assert run("add", url, "s", tmp_path / "a.jsonl.gz").code == 0
    assert read_ids(url) == ["a"]


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv"])
@pytest.mark.parametrize(
    "content, said",
    [
        (make_pdf(["Tea"]), "by its content a PDF: name it .pdf"),
        (gzip.compress(LINE), "by its content compressed with gzip: unpack it"),
        (b"PK\x03\x04" + bytes(60), "by its content a ZIP archive"),
        (b"PAR1" + bytes(60), "by its content Parquet: name it .parquet"),
    ],
    ids=["pdf", "gzip", "zip", "parquet"],
)
def test_another_format_is_called_by_its_name(
    run: Run, url: str, tmp_path: Path, ending: str, content: bytes, said: str
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    answer = run("add", url, "s", path)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert answer.err.startswith(f"vecstore: {path}: {said}")
    answer = run("add", url, "s", "-", stdin=content)
    assert answer.code == 2
    assert answer.err.startswith(f"vecstore: stdin: {said}")
    assert "Only JSON is read from stdin" in answer.err


def test_a_page_named_csv(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("<html><body><p>Tea</p></body></html>")
    assert "by its content HTML: name it .html" in run("add", url, "s", tmp_path / "a.csv").err


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_on_stdin_is_read(run: Run, url: str, indent: int | None) -> None:
    records = [RECORD, {**RECORD, "id": "b"}]
    assert run("add", url, "s", "-", stdin=json.dumps(records, indent=indent).encode()).code == 0
    assert read_ids(url) == ["a", "b"]


def test_a_number_of_thousands_of_digits(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"id,text,year\na,Tea,{'9' * 5000}\n")
    answer = run("add", url, "s", tmp_path / "a.csv", "--field", "year:int")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "line 2: metadata 'year' must be an int" in answer.err


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "md", "html"])
def test_an_encoding_that_fails_in_a_way_of_its_own(run: Run, url: str, tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a.{ending}").write_text("id,text\na,Tea\n")
    answer = run("add", url, "s", tmp_path / f"a.{ending}", "--encoding", "punycode")
    assert answer.code == 2
    assert "not PUNYCODE" in answer.err


@pytest.mark.parametrize(
    "column, said",
    [
        (pa.array([{"values": [0.5, 0.25]}]), "looks like a vector in a form that is not read"),
        (pa.array([[[0.5, 0.25]]]), "looks like a vector in a form that is not read"),
        (pa.array([[("k", 0.5)]], pa.map_(pa.string(), pa.float64())), ""),
        (pa.array([[Decimal("0.5"), Decimal("0.25")]], pa.list_(pa.decimal128(5, 2))), "the vectors are those in"),
    ],
)
@pytest.mark.parametrize("name", ["embedding", "vector"])
def test_vectors_of_parquet_in_other_types(
    run: Run, url: str, tmp_path: Path, name: str, column: Any, said: str
) -> None:
    parquet.write_table(pa.table({"id": ["a"], "text": ["Tea"], name: column}), tmp_path / "a.parquet")
    answer = run("add", url, "s", tmp_path / "a.parquet")
    assert "Traceback" not in answer.err
    if name == "embedding":
        assert said in answer.err


def test_a_date_that_python_does_not_have(run: Run, url: str, tmp_path: Path) -> None:
    column = pa.array([253_402_300_800 * 10**6], pa.timestamp("us"))
    parquet.write_table(pa.table({"id": ["a"], "text": ["Tea"], "at": column}), tmp_path / "a.parquet")
    answer = run("add", url, "s", tmp_path / "a.parquet")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "a.parquet: cannot be read as Parquet" in answer.err


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    "columns",
    [
        {"embedding": "array([0.5, 0.25])"},
        {"embedding": "tensor([0.5, 0.25], dtype=torch.float16)"},
        {"embedding": "np.array( [ -.5, 0.25])"},
        {"data": {"embedding": [0.5, 0.25]}},
        {f"x{number}": 0.5 for number in range(64)},
        {str(number): "0.5" for number in range(64)},
    ],
)
def test_vectors_in_a_form_that_is_not_read_stop_the_command(
    run: Run, url: str, tmp_path: Path, columns: dict[str, Any]
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "a", "text": "Tea", **columns}))
    answer = run("add", url, "s", tmp_path / "a.jsonl")
    assert answer.code == 2
    assert "--vector-column vector to embed the texts" in answer.err


def test_many_numbered_columns_of_other_values_are_metadata(run: Run, url: str, tmp_path: Path) -> None:
    row = {f"q{number}": number for number in range(64)}
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "a", "text": "Tea", "data": {"values": [1.5, 2.5]}, **row}))
    assert run("add", url, "s", tmp_path / "a.jsonl").code == 0


def test_a_named_file_that_is_refused_fails_the_command(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("Tea is served at four.")
    (tmp_path / "letter.doc").write_bytes(b"Tea")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 Tea")
    answer = run("add", url, "s", tmp_path / "good.md", tmp_path / "letter.doc", tmp_path / "broken.pdf")
    assert answer.code == 2
    last = answer.err.splitlines()[-1]
    assert last.startswith("vecstore: Not read, for the reason above: ")
    assert "letter.doc" in last
    assert "broken.pdf" in last
    assert "good.md" not in last
    assert read_ids(url) == [f"{tmp_path.name}/good.md#1"]
    assert run("add", url, "s", tmp_path).code == 0, "a directory may have other files"
