"""Files of records as spreadsheets and data frames write them: dialects, encodings, names of columns, gaps."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import Run
from vecstore import Record

pytestmark = pytest.mark.usefixtures("no_model")

FIELDS = ("--field=year:int", "--field=price:float", "--field=at:datetime", "--field=ok:bool", "--field=lang:keyword")
ROWS = 'id;vector;name\n1;"[1, 0]";"Müller; Söhne"\n2;"[0, 1]";"two\nlines"\n'


def stored(url: str) -> dict[str, Record]:
    with vecstore.connect(url) as database:
        return {record.id: record for record in database.open("s").scan()} if "s" in database.names() else {}


def add(run: Run, url: str, path: Path, content: str | bytes, *options: str) -> Any:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return run("add", url, "s", path, *options)


@pytest.mark.parametrize("ending", ["csv", "tsv", "CSV"])
@pytest.mark.parametrize(
    "separator, word", [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
def test_separators(run: Run, url: str, tmp_path: Path, ending: str, separator: str, word: str) -> None:
    rows = ROWS.replace(";", separator).replace(f"Müller{separator}", "Müller;")
    answer = add(run, url, tmp_path / f"x.{ending}", rows.replace("Müller;", f"Müller{separator}"), "--json")
    assert answer.code == 0
    assert [record.metadata["name"] for record in stored(url).values()] == [f"Müller{separator} Söhne", "two\nlines"]
    usual = "\t" if ending == "tsv" else ","
    assert answer.json["notes"] == (
        [] if separator == usual else [f"{tmp_path}/x.{ending}: the columns are separated by {word}."]
    )


@pytest.mark.parametrize("header", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n"])
def test_the_separator_line_of_excel(run: Run, url: str, tmp_path: Path, header: str) -> None:
    assert add(run, url, tmp_path / "x.csv", header + ROWS).code == 0
    assert stored(url)["1"].metadata == {"name": "Müller; Söhne"}


def test_a_comma_in_a_name_of_a_semicolon_file(run: Run, url: str, tmp_path: Path) -> None:
    content = 'id;vector;"a, b";"c, d"\n1;"[1, 0]";x;y\n'
    assert add(run, url, tmp_path / "x.csv", content).code == 0
    assert stored(url)["1"].metadata == {"a, b": "x", "c, d": "y"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "json"])
def test_encodings_with_a_mark(run: Run, url: str, tmp_path: Path, kind: str, encoding: str) -> None:
    text = ROWS if kind.startswith("csv") else '{"id": "1", "vector": [1, 0],\t"name": "Müller; Söhne"}\n'
    content = (f"[{text}]" if kind == "json" else text).encode(encoding)
    answer = add(run, url, tmp_path / f"x.{kind}", gzip.compress(content) if kind.endswith("gz") else content)
    assert answer.code == 0, answer.err
    assert stored(url)["1"].metadata == {"name": "Müller; Söhne"}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json"])
@pytest.mark.parametrize("encoding, text", [
    ("cp1252", "Müller €"), ("latin-1", "Müller"), ("shift_jis", "お茶"), ("utf-16-le", "Müller"), ("cp1251", "чай"),
])  # fmt: skip
def test_encodings_that_the_option_names(
    run: Run, url: str, tmp_path: Path, kind: str, encoding: str, text: str
) -> None:
    row = json.dumps({"id": "1", "vector": [1, 0], "name": text}, ensure_ascii=False)
    rows = {"jsonl": row, "json": f"[{row}]"}.get(kind, f'id;vector;name\n1;"[1, 0]";{text}\n')
    path = tmp_path / f"x.{kind}"
    answer = add(run, url, path, rows.encode(encoding))
    assert (answer.code, answer.out, stored(url)) == (2, "", {})
    assert "not UTF-8" in answer.err
    assert "--encoding" in answer.err
    assert ("--encoding utf-16-le" in answer.err) == (encoding == "utf-16-le")
    assert run("add", url, "s", path, "--encoding", encoding).code == 0
    assert stored(url)["1"].metadata == {"name": text}


def test_an_encoding_that_does_not_fit(run: Run, url: str, tmp_path: Path) -> None:
    for name in ("cp125", "rot13", "base64", ""):
        answer = add(run, url, tmp_path / "x.csv", ROWS, "--encoding", name)
        assert (answer.code, f"There is no encoding {name!r}" in answer.err) == (2, True)
    answer = add(run, url, tmp_path / "x.csv", ROWS, "--encoding", "ascii")
    assert "line 2: not ASCII. Name the file's encoding with --encoding" in answer.err


def test_stdin_has_an_encoding_too(run: Run, url: str) -> None:
    line = '{"id": "1", "vector": [1, 0], "name": "Müller"}\n'
    assert run("add", url, "s", "-", "--encoding", "cp1252", stdin=line.encode("cp1252")).code == 0
    assert run("add", url, "s", "-", stdin=line.replace("1", "2", 1).encode("utf-16")).code == 0
    assert [record.metadata["name"] for record in stored(url).values()] == ["Müller", "Müller"]


def test_names_of_columns_in_another_case(run: Run, url: str, tmp_path: Path) -> None:
    content = 'ID, Vector ,TEXT,Lang,Published Year\n1,"[1, 0]",Tea.,en,2020\n'
    options = ("--field=lang:keyword", "--field=published_year:int", "--json")
    answer = add(run, url, tmp_path / "x.csv", content, *options)
    assert answer.code == 0, answer.err
    assert stored(url)["1"] == Record("1", np.array([1, 0]), "Tea.", {"lang": "en", "published_year": 2020})
    assert answer.json["notes"] == [
        f"{tmp_path}/x.csv: 'Lang' is stored in the declared field lang.",
        f"{tmp_path}/x.csv: 'Published Year' is stored in the declared field published_year.",
    ]
    assert run("add", url, "s", "-", stdin=b'{"Id": 2, "Text": "Rain.", "VECTOR": [0, 1], "LANG": "de"}').code == 0
    assert stored(url)["2"].metadata == {"lang": "de"}


def test_two_columns_that_differ_in_case(run: Run, url: str, tmp_path: Path) -> None:
    answer = add(run, url, tmp_path / "x.csv", 'ID,Id,vector\n1,2,"[1, 0]"\n')
    assert (answer.code, "has the columns 'ID', 'Id'; name the right one with --id-column" in answer.err) == (2, True)
    assert run("add", url, "s", tmp_path / "x.csv", "--id-column", "Id").code == 0
    assert stored(url)["2"].metadata == {"ID": "1"}


@pytest.mark.parametrize("content, complaint", [
    ("slug,body\n1,Tea.\n", "no 'id' among 'slug', 'body'; name the column that holds ids with --id-column"),
    ("slug;body\n1;Tea.\n", "no 'id' among 'slug', 'body'"),
    ("id,body\n1,Tea.\n", "neither 'text' nor 'vector' has a value among 'id', 'body'; name the columns with --text-"),
    ("id,text\n,Tea.\n", "'id' is empty"),
    ('id,vector\n1,"0.5;0.5"\n', "vector is not JSON"),
    ('id,vector\n1,x"y"\n2,"a"b\n', "line 3: "),
    ("id,vector\r1,x\r", "carriage return"),
])  # fmt: skip
def test_what_is_wrong_with_a_table(run: Run, url: str, tmp_path: Path, content: str, complaint: str) -> None:
    answer = add(run, url, tmp_path / "x.csv", content)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert complaint in answer.err or (complaint == "line 3: " and "line 2: vector is not JSON" in answer.err)


def test_an_option_that_was_given_is_not_advised_again(run: Run, url: str, tmp_path: Path) -> None:
    answer = add(run, url, tmp_path / "x.csv", "slug,text\n1,Tea.\n", "--id-column", "key")
    assert "no 'key' among 'slug', 'text'; name another column with --id-column" in answer.err


def test_the_index_column_of_pandas_is_left_out(run: Run, url: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "vector": ["[1, 0]", "[0, 1]"], "n": [1, 2]}, index=[5, 6])
    frame.to_csv(tmp_path / "x.csv")
    answer = run("add", url, "s", tmp_path / "x.csv", "--json")
    assert [record.metadata for record in stored(url).values()] == [{"n": "1"}, {"n": "2"}]
    assert "a column without a name" in answer.json["notes"][0]
    frame["vector"] = [[1.0, 0.0], [0.0, 1.0]]
    frame.to_parquet(tmp_path / "x.parquet")
    assert run("add", url, "s", tmp_path / "x.parquet").code == 0
    assert [record.metadata for record in stored(url).values()] == [{"n": 1}, {"n": 2}]


def test_lines_around_the_table(run: Run, url: str, tmp_path: Path) -> None:
    answer = add(run, url, tmp_path / "x.csv", '\n\nid,vector,\n1,"[1, 0]",\n', "--json")
    assert (answer.code, answer.json["notes"]) == (0, [])
    assert stored(url)["1"].metadata == {}
    answer = add(run, url, tmp_path / "x.csv", '# a comment\nid,vector\n1,"[1, 0]"\n')
    assert "line 2: the row does not have the 1 columns of the header ('# a comment'), but 2" in answer.err


def test_empty_rows_of_spreadsheets_are_no_records(run: Run, url: str, tmp_path: Path) -> None:
    answer = add(run, url, tmp_path / "x.csv", 'id;vector;n\n1;"[1, 0]";x\n;;\n\n;;\n', "--json")
    assert (answer.json["written"], answer.json["skipped"]) == (1, 0)


@pytest.mark.parametrize("word", ["", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "<NA>", "NaT"])
def test_gaps_in_csv(run: Run, url: str, tmp_path: Path, word: str) -> None:
    content = f'id,vector,year,price,at,ok,lang\na,"[1, 0]",{word},{word},{word},{word},{word}\n'
    assert add(run, url, tmp_path / "x.csv", content, *FIELDS).code == 0
    assert stored(url)["a"].metadata == ({"lang": word} if word else {})  # a text is a text: NA is Namibia


def frame_with_gaps() -> pd.DataFrame:
    return pd.DataFrame({
        "id": ["a", "b"],
        "vector": [[1.0, 0.0], [0.0, 1.0]],
        "year": [2020, None],
        "price": [1.5, float("nan")],
        "at": [pd.Timestamp("2024-01-02T03:04:05.678901234", tz="UTC"), pd.NaT],
        "ok": pd.array([True, pd.NA], "boolean"),
        "lang": pd.Categorical(["en", None]),
        "other": [2.5, None],
        "moment": [pd.Timestamp("2024-01-02"), pd.NaT],
    })  # fmt: skip


GAPLESS = {
    "year": 2020, "price": 1.5, "at": datetime(2024, 1, 2, 3, 4, 5, 678901, UTC), "ok": True, "lang": "en",
}  # fmt: skip


def test_gaps_of_a_frame_in_parquet(run: Run, url: str, tmp_path: Path) -> None:
    frame_with_gaps().to_parquet(tmp_path / "x.parquet")
    answer = run("add", url, "s", tmp_path / "x.parquet", *FIELDS)
    assert answer.code == 0, answer.err
    assert stored(url)["a"].metadata == {**GAPLESS, "other": 2.5, "moment": "2024-01-02T00:00:00"}
    assert stored(url)["b"].metadata == {}


def test_nan_that_is_not_null_in_parquet(run: Run, url: str, tmp_path: Path) -> None:
    table = pa.table({
        "id": ["a"], "vector": [[1.0, 0.0]], "year": pa.array([float("nan")]), "price": pa.array([float("nan")]),
        "other": pa.array([float("nan")]),
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "x.parquet")
    assert run("add", url, "s", tmp_path / "x.parquet", *FIELDS).code == 0
    assert stored(url)["a"].metadata == {}


def test_gaps_of_a_frame_in_csv(run: Run, url: str, tmp_path: Path) -> None:
    frame_with_gaps().drop(columns=["other", "moment"]).to_csv(tmp_path / "x.csv", index=False)
    answer = run("add", url, "s", tmp_path / "x.csv", *FIELDS)
    assert answer.code == 0, answer.err
    assert stored(url)["a"].metadata == GAPLESS
    assert stored(url)["b"].metadata == {}


@pytest.mark.parametrize("lines", [True, False])
def test_gaps_of_a_frame_in_json(run: Run, url: str, tmp_path: Path, lines: bool) -> None:  # noqa: FBT001
    path = tmp_path / ("x.jsonl" if lines else "x.json")
    frame_with_gaps().to_json(path, orient="records", lines=lines, date_format="iso", date_unit="us")
    answer = run("add", url, "s", path, *FIELDS)
    assert answer.code == 0, answer.err
    assert {key: value for key, value in stored(url)["a"].metadata.items() if key in GAPLESS} == GAPLESS
    assert stored(url)["b"].metadata == {}


def test_a_number_with_a_fraction_is_no_int(run: Run, url: str, tmp_path: Path) -> None:
    for content in ('id,vector,year\na,"[1, 0]",2020.5\n', 'id,vector,year\na,"[1, 0]",1_000\n'):
        answer = add(run, url, tmp_path / "x.csv", content, "--field=year:int")
        assert (answer.code, "metadata 'year' must be an int" in answer.err) == (2, True)


@pytest.mark.parametrize("number", ["1,5", "-0,25", "1.234,50", "1,234"])
@pytest.mark.parametrize("kind", ["int", "float"])
def test_decimal_commas_are_refused(run: Run, url: str, tmp_path: Path, number: str, kind: str) -> None:
    answer = add(run, url, tmp_path / "x.csv", f'id;vector;price\na;"[1, 0]";{number}\n', f"--field=price:{kind}")
    assert (answer.code, "metadata 'price' has a comma in its number; write numbers as 1234.5" in answer.err) == (
        2,
        True,
    )
    assert run("add", url, "s", tmp_path / "x.csv", "--field=price:keyword").code == 0
    assert stored(url)["a"].metadata == {"price": number}


@pytest.mark.parametrize("text, expected", [
    ("2024-01-02", datetime(2024, 1, 2, tzinfo=UTC)),
    ("2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
])  # fmt: skip
def test_dates_without_a_time_zone_are_utc_with_a_note(
    run: Run, url: str, tmp_path: Path, text: str, expected: datetime
) -> None:
    answer = add(
        run, url, tmp_path / "x.csv", f'id,vector,at\na,"[1, 0]",{text}\nb,"[1, 0]",{text}\n', *FIELDS, "--json"
    )
    assert stored(url)["a"].metadata == {"at": expected}
    assert answer.json["notes"] == [f"{tmp_path}/x.csv: dates without a time zone in 'at' are taken for UTC."]


def test_a_date_in_words_is_refused(run: Run, url: str, tmp_path: Path) -> None:
    answer = add(run, url, tmp_path / "x.csv", 'id,vector,at\na,"[1, 0]",02.01.2024\n', *FIELDS)
    assert (answer.code, "metadata 'at' is not a date in ISO 8601, such as 2024-01-31" in answer.err) == (2, True)
