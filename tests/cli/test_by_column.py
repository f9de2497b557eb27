"""Parquet and CSV by column: the store, the report and the errors are those of the same rows one by one."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import Answer, Run
from vecstore import Record
from vecstore.cli.csv_rows import CsvBlock
from vecstore.cli.ingest import FIRST_BATCH
from vecstore.cli.parquet_rows import ParquetBlock
from vecstore.cli.record_columns import RecordColumns
from vecstore.testing.column_equivalence import read_bytes

pytestmark = pytest.mark.usefixtures("no_model")

ROWS = 720
FIELDS = (
    "--field", "lang:keyword", "--field", "year:int", "--field", "price:float", "--field", "at:datetime",
    "--field", "open:bool", "--field", "tags:keywords", "--field", "page_number:int",
)  # fmt: skip
Rows = list[dict[str, Any]]


def make_rows() -> Rows:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        {
            "id": f"r{n:04}",
            "vector": [1.0 + n, n / 7, -1.0],
            "text": None if n % 7 == 0 else f"text {n}",
            "lang": None if n % 5 == 0 else ("en", "de")[n % 2],
            "year": None if n % 6 == 0 else 2000 + n % 30,
            "price": None if n % 4 == 0 else n / 8,
            "at": None if n % 9 == 0 else start + timedelta(minutes=n, microseconds=n),
            "open": None if n % 8 == 0 else n % 2 == 0,
            "author": None if n % 3 == 0 else f"author {n % 11}",
            "count": n,
        }
        for n in range(ROWS)
    ]


def change(number: int, **values: Any) -> Callable[[Rows], None]:
    """Return what changes one row."""
    return lambda rows: rows[number].update(values)


def each(key: str, make: Callable[[int], Any]) -> Callable[[Rows], None]:
    """Return what gives every row a value."""

    def fill(rows: Rows) -> None:
        for number, row in enumerate(rows):
            row[key] = make(number)

    return fill


def rename(old: str, new: str) -> Callable[[Rows], None]:
    def renamed(rows: Rows) -> None:
        rows[:] = [{new if key == old else key: value for key, value in row.items()} for row in rows]

    return renamed


# What is peculiar to a file -> how its rows are changed, whether they are read by column.
EITHER: dict[str, tuple[Callable[[Rows], None], bool]] = {
    "plain": (lambda rows: None, True),
    "a declared name in another spelling": (each("Page Number", lambda n: n), True),
    "ids in another spelling": (rename("id", "ID"), True),
    "vectors under another name": (rename("vector", "embedding"), True),
    "further vectors": (each("emb", lambda n: [0.5, n]), True),
    "an empty column": (each("nothing", lambda n: None), True),
    "a column that begins late": (each("late", lambda n: "x" if n > 650 else None), True),
    "an id twice in a batch": (change(601, id="r0600"), False),
    "an id twice, far apart": (change(711, id="r0001"), False),
    "a missing id": (change(600, id=None), False),
    "a missing vector and text": (change(602, vector=None, text=None), False),
    "a missing vector": (change(601, vector=None), False),
    "a wrong width": (change(600, vector=[1.0, 2.0]), False),
    "an empty vector": (change(600, vector=[]), False),
    "a zero vector": (change(600, vector=[0.0, 0.0, 0.0]), False),
    "a lone NUL": (change(600, text="a\0b"), False),
    "a long keyword": (change(600, lang="x" * 1_025), False),
    "a large int": (change(600, year=2**53 + 1), False),
    "objects as JSON": (each("metadata", lambda n: json.dumps({"deep": {"n": n}, "x": None if n % 2 else 1})), True),
    "texts and objects": (each("metadata", lambda n: '{"x": [1]}' if n % 2 else "plain"), True),
    "an object with a key that is a column": (each("metadata", lambda n: '{"year": 1}' if n == 600 else None), False),
    "an object that is no JSON": (each("metadata", lambda n: "{x" if n == 600 else None), False),
    "an object with a key twice": (each("metadata", lambda n: '{"x": 1, "x": 2}' if n == 600 else None), False),
    "objects with many keys": (each("metadata", lambda n: json.dumps({f"k{n}": n})), False),
}
ONLY_PARQUET: dict[str, tuple[Callable[[Rows], None], bool]] = {
    "whole numbers as ids": (each("id", lambda n: n), True),
    "tags": (each("tags", lambda n: None if n % 3 == 0 else [f"t{n % 4}", "x"]), True),
    "naive dates": (each("at", lambda n: datetime(2024, 1, 1) + timedelta(minutes=n)), True),
    "days": (each("at", lambda n: date(2024, 1, 1 + n % 28)), True),
    "dates that nobody declared": (each("seen", lambda n: datetime(2024, 1, 1, tzinfo=UTC)), True),
    "days that nobody declared": (each("day", lambda n: None if n % 2 else date(2024, 1, 1)), True),
    "decimals": (each("price", lambda n: Decimal(n) / 8), True),
    "decimals that nobody declared": (each("cost", lambda n: Decimal("1.50")), True),
    "structs": (each("shelf", lambda n: {"row": n, "side": None}), True),
    "structs of metadata": (each("metadata", lambda n: {"row": n, "side": None if n % 2 else "left"}), True),
    "ints with gaps as floats": (each("year", lambda n: None if n % 2 else float(n)), True),
    "a fraction as an int": (each("year", lambda n: 0.5 if n == 600 else float(n)), False),
    "NaN in floats": (each("price", lambda n: float("nan") if n % 2 else 0.25), True),
    "NaN in a vector": (change(600, vector=[1.0, float("nan"), 0.0]), False),
    "a gap in a vector": (change(600, vector=[1.0, None, 0.0]), False),
    "a number as text": (each("text", lambda n: n), False),
    "numbers as keywords": (each("lang", lambda n: n), False),
    "vectors as JSON": (each("vector", lambda n: json.dumps([n + 1, 0.5, 1])), False),
    "infinity": (each("ratio", lambda n: float("inf") if n == 600 else 1.0), False),
    "bytes": (each("data", lambda n: b"x"), False),
}
ONLY_CSV: dict[str, tuple[Callable[[Rows], None], bool]] = {
    "tags": (each("tags", lambda n: '["a|b"]' if n % 2 else "a|b"), True),
    "naive dates": (each("at", lambda n: f"2024-01-01 00:{n % 60:02}"), True),
    "no date": (change(600, at="soon"), False),
    "gaps in words": (each("year", lambda n: "n/a" if n % 2 else "7.0"), True),
    "no int": (change(600, year="7.5"), False),
    "a decimal comma": (change(600, price="7,5"), False),
    "no bool": (change(600, open="maybe"), False),
    "a vector in words": (change(600, vector="[1, true, 0]"), False),
    "half a vector": (change(600, vector="[1, 2"), False),
    "two vectors": (change(600, vector="[1, 2, 3], [4, 5, 6]"), False),
    "nested vectors": (change(600, vector="[[1, 2, 3]]"), False),
    "NaN in a vector": (change(600, vector="[1, NaN, 3]"), False),
    "a vector beyond all numbers": (change(600, vector="[1, 1e999, 3]"), False),
    "a nameless column": (each("", lambda n: n), True),
}
SKIPPED_ONCE = {"parquet"}
"""Of cases that both formats have, `make test` takes half in this one, and skips bad records in the other one."""
CASES = [
    pytest.param(
        kind,
        changed,
        by_column,
        options,
        id=f"{kind}, {name}{''.join(options)}",
        marks=[pytest.mark.long] * bool(kind in SKIPPED_ONCE and name in EITHER and (options or number % 2)),
    )
    for kind, only in (("csv", ONLY_CSV), ("parquet", ONLY_PARQUET))
    for number, (name, (changed, by_column)) in enumerate({**EITHER, **only}.items())
    for options in ([()] if by_column else [(), ("--skip-bad",)])
]


def write_file(path: Path, rows: Rows) -> Path:
    if path.suffix == ".parquet":
        names = dict.fromkeys(key for row in rows for key in row)
        columns = {name: pa.array([row.get(name) for row in rows]) for name in names}
        parquet.write_table(pa.table(columns), path, row_group_size=500)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return path


def strip(answer: Answer) -> tuple[int, Any, str]:
    """Return what must be the same of two answers."""
    out = json.loads(answer.out) if answer.out else {}
    out.pop("seconds", None)
    return answer.code, out, answer.err


def read_all(url: str) -> list[tuple[Any, ...]]:
    with vecstore.connect(url) as database:
        return read_bytes(database.open("docs")) if database.names() else []


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places of the rows of which records are made."""
    places: list[str] = []
    make_record = RecordColumns.make_record

    def note(self: RecordColumns, row: Any, place: str, names: Any = None) -> Record:
        places.append(place)
        return make_record(self, row, place, names)

    monkeypatch.setattr(RecordColumns, "make_record", note)
    return places


@pytest.mark.parametrize("kind, changed, by_column, options", CASES)
def test_it_is_what_the_rows_one_by_one_give(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: list[str],
    kind: str,
    changed: Callable[[Rows], None],
    *,
    by_column: bool,
    options: tuple[str, ...],
) -> None:
    rows = make_rows()
    changed(rows)
    file = write_file(tmp_path / f"rows.{kind}", rows)
    found = []
    for place in ("columns", "rows"):
        url = f"file:{tmp_path}/{place}"
        # The size, which else depends on the time, decides how many records precede one that is wrong.
        answer = run("add", url, "docs", file, *FIELDS, "--json", "--batch-size", FIRST_BATCH, *options)
        found.append((strip(answer), read_all(url)))
        if place == "columns":
            assert (len(made) == FIRST_BATCH) is by_column or answer.code
            for block in (CsvBlock, ParquetBlock):
                monkeypatch.setattr(block, "read_columns", lambda self: None)
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_stored_already_is_left_alone_and_the_rest_is_written(run: Run, tmp_path: Path, kind: str) -> None:
    rows, url = make_rows(), f"file:{tmp_path}/kb"
    file = write_file(tmp_path / f"rows.{kind}", rows[:600])
    assert run("add", url, "docs", file, *FIELDS, "--json").json["written"] == 600
    rows[10]["author"] = "another"
    file = write_file(tmp_path / f"rows.{kind}", rows)
    answer = run("add", url, "docs", file, *FIELDS, "--json").json
    assert (answer["written"], answer["unchanged"]) == (121, 599)
    assert len(read_all(url)) == ROWS


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_texts_are_embedded_by_column(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("VECSTORE_EMBEDDER", "wordllama:64")
    rows = [{"id": f"r{n}", "text": f"text {n}", "year": n} for n in range(ROWS)]
    file = write_file(tmp_path / f"rows.{kind}", rows)
    url = f"file:{tmp_path}/kb"
    assert run("add", url, "docs", file, "--field", "year:int", "--json").json["written"] == ROWS
    with vecstore.connect(
        url,
    ) as database:
        store = database.open("docs", embedder=vecstore.embedders.load("wordllama:64"))
        assert store.search("text 700", k=1)[0].id == "r700"


def test_an_export_comes_back_by_column(run: Run, tmp_path: Path, made: list[str]) -> None:
    url, back = f"file:{tmp_path}/kb", f"file:{tmp_path}/back"
    file = write_file(tmp_path / "rows.parquet", make_rows())
    run("add", url, "docs", file, *FIELDS)
    export = tmp_path / "export.parquet"
    assert run("export", url, "docs", export).code == 0
    made.clear()
    assert run("add", back, "docs", export, "--json").json["written"] == ROWS
    assert len(made) <= FIRST_BATCH
    assert read_all(back) == read_all(url)
