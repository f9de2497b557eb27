"""`vecstore add` with files of records: JSON lines, CSV and Parquet; bad records name their file and line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import ARTICLES, FIELDS, Run, write_lines
from vecstore import Record

pytestmark = pytest.mark.usefixtures("no_model")

BAD_LINES = {
    b"{": "the line is not JSON (",
    b"[1]": "not a JSON object",
    b'{"id": "x", "vector": [NaN, 0, 0]}': "not JSON (NaN is not a JSON number; write null for a missing value)",
    b'{"vector": [1, 0, 0]}': "no 'id' among 'vector'; name the column that holds ids with --id-column",
    b'{"id": "x"}': "neither 'text' nor 'vector' has a value among 'id'; name the columns with --text-column",
    b'{"id": ["x"], "vector": [1, 0, 0]}': "'id' is not text",
    b'{"id": true, "vector": [1, 0, 0]}': "'id' is not text",
    b'{"id": "x", "vector": [1, "2", 0]}': "'vector' is not a list of numbers",
    b'{"id": "x", "vector": "abc"}': "vector is not JSON (Expecting value at column 1)",
    b'\xff{"id": "x"}': "not UTF-8",
    b'{"id": "x", "vector": [1, 0]}': "the vector has 2 dimensions, but the store has 3",
    b'{"id": "", "vector": [1, 0, 0]}': "The id is empty",
    b'{"id": "x\\u0000", "vector": [1, 0, 0]}': "contains a NUL character",
    b'{"id": "x\\ud800", "vector": [1, 0, 0]}': "lone surrogate",
    b'{"id": "x", "vector": [0, 0, 0]}': "zero",
    b'{"id": "x", "vector": [1e999, 0, 0]}': "Record 'x'",
    b'{"id": "x", "vector": [1' + b"0" * 400 + b", 0, 0]}": "Record 'x'",
    b'{"id": "x", "vector": 3}': "Record 'x'",
    b'{"id": "x", "vector": {"a": 1}}': "Record 'x'",
    b'{"id": "x", "text": 3, "vector": [1, 0, 0]}': "the text must be a str, not int",
    b'{"id": "x", "vector": [1, 0, 0], "year": "2020"}': "metadata 'year' must be an int, not str",
    b'{"id": "x", "vector": [1, 0, 0], "at": "soon"}': "metadata 'at'",
    b'{"id": "x", "vector": [1, 0, 0], "year": 1, "metadata": {"year": 2}}': "'year' is given twice",
    b'{"id": "x", "vector": [1, 0, 0], "year": 1, "year": 2}': "the line is not JSON (the key 'year' is given twice)",
    b"[" * 100_000: "not a JSON object but an array",
    b'{"id": "x", "deep": ' + b"[" * 100_000: "the line is nested too deeply",
    b'{"id": "x", "text": "Tea", "deep": ' + b"[" * 900 + b"]" * 900 + b"}": "nested",
    b'{"id": "x", "vector": [1, 0, 0], "long": ' + b"1" * 5_000 + b"}": "not JSON (a number has thousands of digits",
}


def stored(url: str, name: str = "articles") -> dict[str, Record]:
    with vecstore.connect(url) as database:
        return {record.id: record for record in database.open(name).scan()}


def test_every_column_beside_id_text_and_vector_is_metadata(articles: str) -> None:
    records = stored(articles)
    assert dict(records["a"].metadata) == {"lang": "en", "year": 2020, "extra": {"deep": [1, None]}}
    assert dict(records["b"].metadata) == {"lang": "en", "year": 2021, "tags": ["x", "y"]}
    assert records["c"].metadata["at"] == datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert np.asarray(records["c"].vector).tolist() == np.array([0.9, 0.1, 0], np.float32).tolist()


def test_stdin_is_json_lines(run: Run, url: str) -> None:
    lines = b'{"id": 1, "vector": [1, 0]}\r\n\n{"id": "2", "vector": [0, 1]}'
    assert run("add", url, "s", "-", "--json", stdin=lines).json["written"] == 2
    assert list(stored(url, "s")) == ["1", "2"]


def test_a_byte_order_mark_is_no_part_of_the_data(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"id": "1", "vector": [1, 0]}')
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfid,vector\n2,[1.5 ,2]\n".replace(b"[1.5 ,2]", b'"[1.5, 2]"'))
    assert run("add", url, "s", tmp_path / "x.jsonl", tmp_path / "x.csv").code == 0
    assert list(stored(url, "s")) == ["1", "2"]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:40].decode(errors="replace"))
def test_a_bad_record_stops_with_its_file_and_line(run: Run, articles: str, tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"id": "good", "vector": [0, 0, 1]}\n\n' + line + b"\n")
    answer = run("add", articles, "articles", path)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith(f"vecstore: {path}, line 3: ")
    assert BAD_LINES[line] in answer.err
    assert "--skip-bad" in answer.err
    assert "Traceback" not in answer.err


def test_bad_records_can_be_skipped_and_are_listed(run: Run, articles: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"\n".join([*BAD_LINES, b'{"id": "good", "vector": [0, 0, 1]}']))
    report = run("add", articles, "articles", path, "--skip-bad", "--json").json
    assert (report["written"], report["skipped"]) == (1, len(BAD_LINES))
    places = {f"{path}, line {number + 1}": reason for number, reason in enumerate(BAD_LINES.values())}
    for entry in report["first_skipped"]:
        assert places[entry["place"]] in entry["reason"]
        assert entry["bad"]


def test_what_was_written_before_a_bad_record_is_said(run: Run, url: str, tmp_path: Path) -> None:
    lines = [{"id": str(number), "vector": [1, number]} for number in range(1, 6)]
    path = write_lines(tmp_path / "x.jsonl", lines)
    path.write_text(path.read_text() + "oops\n")
    answer = run("add", url, "s", path, "--batch-size", "2")
    assert f"{path}, line 6: " in answer.err
    assert "4 records before it were written." in answer.err
    assert len(stored(url, "s")) == 4


def test_an_id_that_comes_again_replaces_the_record(run: Run, url: str) -> None:
    lines = b"".join(b'{"id": "1", "vector": [1, %d]}\n' % number for number in range(5))
    for size in ("2", "100"):
        assert run("add", url, "s", "-", "--batch-size", size, stdin=lines).code == 0
        assert np.asarray(stored(url, "s")["1"].vector).tolist() == [1, 4]


def test_adding_records_again_writes_only_what_changed(run: Run, articles: str, tmp_path: Path) -> None:
    changed = [{**ARTICLES[0], "year": 2022}, {**ARTICLES[1], "vector": [0, 1, 1]}, ARTICLES[2]]
    report = run("add", articles, "articles", write_lines(tmp_path / "n.jsonl", changed), "--json").json
    assert (report["written"], report["unchanged"]) == (2, 1)
    assert stored(articles)["a"].metadata["year"] == 2022


@pytest.mark.parametrize("old, new", [(1, True), (1, 1.0), ([1], [1.0]), ("1", 1)])
def test_values_that_python_calls_equal_are_changes(run: Run, url: str, old: Any, new: Any) -> None:
    for value in (old, new):
        line = json.dumps({"id": "1", "vector": [1, 0], "x": value}).encode()
        assert (
            run(
                "add",
                url,
                "s",
                "-",
                stdin=line,
            ).code
            == 0
        )
    found = stored(url, "s")["1"].metadata["x"]
    assert repr(found) == repr(new)


def test_other_spellings_of_a_stored_value_are_no_change(run: Run, url: str) -> None:
    declared = ("--field", "x:float", "--field", "at:datetime")
    line = b'{"id": "1", "vector": [1, 0], "x": 3, "at": "2024-01-01T01:00:00+01:00"}'
    assert run("add", url, "s", "-", *declared, stdin=line).code == 0
    assert run("add", url, "s", "-", "--json", stdin=line).json["unchanged"] == 1
    other = b'{"id": "1", "vector": [1, 0], "x": 3.0, "at": "2024-01-01T00:00:00Z"}'
    assert run("add", url, "s", "-", "--json", stdin=other).json["unchanged"] == 1


def test_csv_text_becomes_what_fields_declare(run: Run, url: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "slug,body,vector,year,price,ok,tags,more,at,note\n"
        'a,"two\nlines, quoted","[1, 0]",2020,1.5,yes,x|y,"[""p"", ""q|r""]",2024-01-02T03:04:05Z,07\n'
        'b,,"[0, 1]",,,false,,,,\n'
    )
    declared = [
        f"--field={name}:{kind}"
        for name, kind in {
            "year": "int", "price": "float", "ok": "bool", "tags": "keywords", "more": "keywords", "at": "datetime",
        }.items()
    ]  # fmt: skip
    assert run("add", url, "s", path, *declared, "--id-column", "slug", "--text-column", "body").code == 0
    records = stored(url, "s")
    assert records["a"].text == "two\nlines, quoted"
    assert dict(records["a"].metadata) == {
        "year": 2020, "price": 1.5, "ok": True, "tags": ["x", "y"], "more": ["p", "q|r"],
        "at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "note": "07",
    }  # fmt: skip
    assert dict(records["b"].metadata) == {"ok": False}


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("id,vector\n1,[1\n", "line 2: vector is not JSON"),
        ("id,vector\n1,[1],3\n", "line 2: the row does not have the 2 columns of the header"),
        ("id,vector\n1\n", "line 2: the row does not have the 2 columns of the header"),
        ("id,id\n1,2\n", "line 1: a column name is given twice"),
        ('id,vector\n1,"[1\n', "line 2: unexpected end of data"),
        ("vector\n[1]\n", "line 2: no 'id'"),
        ("id,vector,year\n1,[1],abc\n", "line 2: metadata 'year' must be an int such as 2024"),
    ],
)
def test_bad_csv_names_the_line(run: Run, url: str, tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    answer = run("add", url, "s", path, "--field", "year:int")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert f"{path}, {complaint}" in answer.err


def test_tab_separated(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("id\tvector\tnote\n1\t[1, 2]\ta,b\n")
    assert run("add", url, "s", tmp_path / "x.tsv").code == 0
    assert stored(url, "s")["1"].metadata == {"note": "a,b"}


def test_parquet_of_another_program(run: Run, url: str, tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([7, 8]),
            "embedding": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64())),
            "at": pa.array([datetime(2024, 1, 1, tzinfo=UTC), None], pa.timestamp("ms", tz="UTC")),
            "seen": pa.array([datetime(2024, 1, 1), None], pa.timestamp("us")),
            "tags": pa.array([["a"], []]),
            "nested": pa.array([{"x": 1}, None]),
        }
    )
    parquet.write_table(table, tmp_path / "x.parquet")
    fields = ("--field", "at:datetime", "--field", "tags:keywords")
    assert run("add", url, "s", tmp_path / "x.parquet", "--vector-column", "embedding", *fields).code == 0
    records = stored(url, "s")
    assert np.asarray(records["8"].vector).tolist() == [3, 4]
    assert dict(records["7"].metadata) == {
        "at": datetime(2024, 1, 1, tzinfo=UTC), "seen": "2024-01-01T00:00:00", "tags": ["a"], "nested": {"x": 1},
    }  # fmt: skip


def test_bad_parquet(run: Run, url: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 not at all PAR1")
    answer = run("add", url, "s", path)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert f"{path}: cannot be read as Parquet: " in answer.err
    parquet.write_table(pa.table({"id": ["1", "2"], "vector": [[1.0, 0.0], None]}), path)
    answer = run("add", url, "s", path)
    assert f"{path}, row 2: neither 'text' nor 'vector'" in answer.err


def test_a_file_of_many_records_is_read_in_constant_memory(run: Run, url: str, tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        for number in range(6_000):
            file.write(f'{{"id": "{number}", "vector": [1, {number}]}}\n')
    assert run("add", url, "s", path, "--json").json["written"] == 6_000


def test_a_line_without_end_is_refused(run: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.cli.text_lines.MAX_LINE_BYTES", 100)
    assert "stdin, line 1: longer than" in run("add", url, "s", "-", stdin=b" " * 200).err


def test_wishes_that_an_existing_store_does_not_fulfil(run: Run, articles: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", ARTICLES)
    for option, fact in (
        (("--metric", "l2"), "its metric is cosine, not l2"),
        (("--dtype", "float16"), "its dtype is float32, not float16"),
        (("--dim", "4"), "its dim is 3, not 4"), (("--field", "year:float"), "its field year is int, not float"),
        (("--field", "new:int"), "its field new is not declared, not int"),
    ):  # fmt: skip
        answer = run("add", articles, "articles", path, *option)
        assert (answer.code, fact in answer.err) == (2, True), answer.err
    assert run("add", articles, "articles", path, *FIELDS, "--metric", "cosine", "--dim", "3").code == 0


def test_options_of_a_new_store(run: Run, url: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", ARTICLES)
    options = ("--metric", "l2", "--dtype", "float16", "--index", "flat", "--dim", "3")
    assert run("add", url, "s", path, *options).code == 0
    schema = run("info", url, "s", "--json").json["schema"]
    assert schema == {"dim": 3, "metric": "l2", "dtype": "float16", "index": {"kind": "flat"}, "fields": {}}


def test_a_text_without_a_model_for_given_vectors(run: Run, articles: str) -> None:
    answer = run("add", articles, "articles", "-", "--embedder", "wordllama", stdin=b'{"id": "t", "text": "hello"}')
    assert (answer.code, "256" in answer.err) == (2, True)


def test_no_model_is_guessed_for_a_store_of_given_vectors(
    run: Run, articles: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VECSTORE_EMBEDDER")
    for arguments in (("add", articles, "articles", "-"), ("search", articles, "articles", "hello")):
        answer = run(*arguments, stdin=b'{"id": "t", "text": "hello"}')
        assert (answer.code, "--embedder" in answer.err) == (2, True)
