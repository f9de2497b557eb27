"""`vecstore search`, `get`, `delete`, `count` and `export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import ARTICLES, FIELDS, Run
from vecstore import Record, Schema, fields

pytestmark = pytest.mark.usefixtures("no_model")

INJECTIONS = [
    "x' OR '1'='1", '"; DROP TABLE rows; --', "*", "x}) | (@lang:{en}", "$ne", "%", "en\\", "{", "') --", "\u202een",
]  # fmt: skip


def found(answer: Any) -> list[str]:
    return [hit["id"] for hit in answer.json["hits"]]


def test_search_by_a_vector_needs_no_model(run: Run, articles: str) -> None:
    answer = run("search", articles, "articles", "--vector", "[1, 0, 0]", "--json")
    assert found(answer) == ["a", "c", "b"]
    (first, *_) = answer.json["hits"]
    assert first["score"] == pytest.approx(1)
    assert first["distance"] == pytest.approx(0)
    assert first["text"] == "solar panels"
    assert first["metadata"] == {"lang": "en", "year": 2020, "extra": {"deep": [1, None]}}
    assert (answer.json["exact"], answer.json["complete"]) == (True, True)


def test_search_like_a_record_needs_no_model(run: Run, articles: str) -> None:
    assert found(run("search", articles, "articles", "--like", "a", "--json")) == ["c", "b"]


def test_search_options(run: Run, articles: str) -> None:
    command = ("search", articles, "articles", "--vector", "[1, 0, 0]", "--json")
    assert found(run(*command, "-k", "1")) == ["a"]
    assert found(run(*command, "--limit", "2")) == ["a", "c"]
    assert run(*command, "--limit", "0").code == 2
    assert found(run(*command, "--min-score", "0.5", "--exact")) == ["a", "c"]
    assert found(run(*command, "--where", '{"lang": "en"}')) == ["a", "b"]
    assert found(run(*command, "-w", '{"$not": {"at": {"$lt": "2024-03-01T00:00:00Z"}}}')) == ["a", "b"]


def test_search_pages(run: Run, articles: str) -> None:
    command = ("search", articles, "articles", "--vector", "[1, 0, 0]", "-k", "1")
    pages = [found(run(*command, "--offset", start, "--json")) for start in range(4)]
    assert pages == [["a"], ["c"], ["b"], []]
    assert found(run("search", articles, "articles", "--like", "a", "--offset", "1", "--json")) == ["b"]
    assert run(*command, "--offset", "1").out.splitlines()[0] == " 2 0.994  c"


def test_what_is_printed_as_json_is_what_the_library_gives(run: Run, articles: str) -> None:
    answer = run("search", articles, "articles", "--vector", "[1, 0, 0]", "--json")
    with vecstore.connect(articles) as db:
        assert answer.json["hits"] == db.open("articles").search([1, 0, 0]).to_dicts()


@pytest.mark.parametrize("query", ["", " ", "?", "\u3000", "\u200b", "。！"], ids=ascii)
def test_a_query_without_meaning_is_refused_before_a_model_is_loaded(run: Run, articles: str, query: str) -> None:
    for more in ((), ("--json",)):
        answer = run("search", articles, "articles", query, *more)
        assert answer.code == 2
        assert "letter, digit or symbol" in answer.err or "empty" in answer.err


def test_search_for_people(run: Run, articles: str) -> None:
    answer = run("search", articles, "articles", "--vector", "[1, 0, 0]", "-k", "2")
    lines = answer.out.splitlines()
    assert lines[0::3] == [" 1 1.000  a", " 2 0.994  c"]
    assert lines[2::3] == ["    solar panels", "    Sonnenkollektor"]
    assert set(lines[1].strip().split("  ")) == {"lang=en", "year=2020", 'extra={"deep": [1, null]}'}
    assert set(lines[4].strip().split("  ")) == {"lang=de", "at=2024-02-03T04:05:06+00:00"}
    assert answer.err.startswith("2 hits (exact) in ")


def test_nothing_found_is_no_error(run: Run, articles: str) -> None:
    answer = run("search", articles, "articles", "--vector", "[1, 0, 0]", "--where", '{"lang": "fr"}')
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.startswith("Nothing found")


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["hello", "--like", "a"], "exactly one of"),
        ([], "exactly one of"),
        (["--vector", "[1, 0]"], "2 dimensions, but the store has 3"),
        (["--vector", "1"], "--vector is not a list of numbers"),
        (["--vector", '["1"]'], "--vector is not a list of numbers"),
        (["--vector", "[NaN, 0, 0]"], "--vector is not JSON: NaN"),
        (["--vector", "[0, 0, 0]"], "The query"),
        (["--vector", "[1, 0, 0]", "-k", "10001"], "10000"),
        (["--vector", "[1, 0, 0]", "-k", "-1"], "--limit"),
        (["--vector", "[1, 0, 0]", "--ef", "0"], "--ef"),
        (["--vector", "[1, 0, 0]", "--min-score", "80"], "scores of the metric cosine are from -1 to 1"),
        (["--like", "a", "--min-score", "-1.5"], "scores of the metric cosine are from -1 to 1"),
        (["--vector", "[1, 0, 0]", "--offset", "-1"], "--offset"),
        (["--vector", "[1, 0, 0]", "--offset", "9995"], "offset and k together are at most 10,000"),
        (["--vector", "[1, 0, 0]", "--min-score", "nan"], "min_score must be a finite number"),
        (["--vector", "[1, 0, 0]", "--where", "lang=en"], "--where is not JSON"),
        (["--vector", "[1, 0, 0]", "--where", "lang=en"], """Write it like '{"lang": "en", """),
        (["--vector", "1, 0, 0"], "Write it like '[0.1, -2, 3]'"),
        (["--vector", "[1, 0, 0]", "--where", "[]"], "--where is not a JSON object"),
        (["--vector", "[1, 0, 0]", "--where", "{}"], "would match every record"),
        (["--vector", "[1, 0, 0]", "--where", '{"lang": "en", "lang": "de"}'], "a key is given twice"),
        (["--vector", "[1, 0, 0]", "--where", '{"langg": "en"}'], "Did you mean 'lang'?"),
        (["--vector", "[1, 0, 0]", "--where", '{"extra": 1}'], "no field 'extra'"),
        (["--vector", "[1, 0, 0]", "--where", '{"year": {"$where": 1}}'], "Unknown operator '$where'"),
        (["--vector", "[1, 0, 0]", "--where", '{"year": "2020"}'], "year"),
        (["--vector", "[1, 0, 0]", "--where", '{"a":' * 2_000 + "1" + "}" * 2_000], "--where"),
        (["--like", "zzz"], "has no record 'zzz'"),
        (["hello"], "There is no embedder 'there-is-no-such-model'"),
    ],
)
def test_wrong_searches_are_told_in_one_line(run: Run, articles: str, arguments: list[str], complaint: str) -> None:
    answer = run("search", articles, "articles", *arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer.err
    assert answer.err.startswith("vecstore: ")
    assert complaint in answer.err
    machine = run("search", articles, "articles", *arguments, "--json")
    assert (machine.code, machine.out, machine.error["exit_code"]) == (2, "", 2)
    assert complaint in machine.error["message"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_filter_values_are_only_values(run: Run, articles: str, text: str) -> None:
    same, other = json.dumps({"lang": text}), json.dumps({"lang": {"$ne": text}})
    assert run("count", articles, "articles", "--where", same, "--json").json["count"] == 0
    assert run("count", articles, "articles", "--where", other, "--json").json["count"] == 3
    named = run("count", articles, "articles", "--where", json.dumps({text: 1}))
    assert named.code == 2
    assert run("delete", articles, "articles", "--where", same, "--json").json["deleted"] == 0
    assert run("get", articles, "articles", "--", text).code == 1
    assert run("count", articles, "articles").out == "3\n"


def test_get(run: Run, articles: str) -> None:
    answer = run("get", articles, "articles", "c", "a", "--vectors", "--json")
    assert [record["id"] for record in answer.json["records"]] == ["c", "a"]
    assert answer.json["records"][1]["vector"] == [1, 0, 0]
    assert answer.json["records"][0]["metadata"] == {"lang": "de", "at": "2024-02-03T04:05:06+00:00"}
    assert answer.code == 0


def test_get_says_what_is_absent(run: Run, articles: str) -> None:
    answer = run("get", articles, "articles", "a", "zz", "--json")
    assert (answer.code, answer.json["absent"], len(answer.json["records"])) == (1, ["zz"], 1)
    answer = run("get", articles, "articles", "zz")
    assert (answer.code, answer.out, answer.err) == (1, "", "There is no record zz.\n")


def test_delete(run: Run, articles: str) -> None:
    assert run("delete", articles, "articles", "a", "zz").out == "Removed 1 record from articles.\n"
    assert run("delete", articles, "articles", "--where", '{"lang": "de"}', "--json").json["deleted"] == 1
    assert run("count", articles, "articles", "--json").json == {"store": "articles", "count": 1}


@pytest.mark.parametrize("arguments", [[], ["a", "--all"], ["a", "--where", '{"lang": "en"}'], ["--where", "{}"]])
def test_delete_wants_one_selection(run: Run, articles: str, arguments: list[str]) -> None:
    assert run("delete", articles, "articles", *arguments, "--yes").code == 2
    assert run("count", articles, "articles").out == "3\n"


def test_delete_all_asks(run: Run, articles: str) -> None:
    answer = run("delete", articles, "articles", "--all")
    assert (answer.code, "--yes" in answer.err) == (2, True)
    assert run("delete", articles, "articles", "--all", "--yes").code == 0
    assert run("count", articles, "articles").out == "0\n"


HOSTILE_TEXT = "esc\x1b]0;owned\x07 [bold red]x[/] \u202eevil\u2028\x85 :smile: \r\n\ttab \U0001f600"


def test_stored_strings_do_nothing_to_a_terminal(run: Run, url: str) -> None:
    with vecstore.connect(url) as database:
        metadata = {"kind": HOSTILE_TEXT, "x\x1b[2J": {"y\x9b": HOSTILE_TEXT}}
        record = Record(HOSTILE_TEXT, [1, 0], HOSTILE_TEXT, metadata)
        database.create("s", Schema(dim=2, fields={"kind": fields.Keyword()})).insert([record])
    search = ("search", "--vector", "[1, 0]")
    for command in (("get",), ("get", "--json"), search, (*search, "--json"), (*search, "--full"), ("export",)):
        ids = ("--", HOSTILE_TEXT) if command[0] == "get" else ()
        answer = run(command[0], url, "s", *command[1:], *ids)
        assert answer.code == 0
        assert {char for char in answer.out if not char.isprintable()} <= {"\n"}
        assert "[bold red]x[/]" in answer.out
        assert ":smile:" in answer.out


def test_digest_prints_digits_and_nothing_else(run: Run, articles: str) -> None:
    with vecstore.connect(articles) as database:
        store = database.open("articles")
        whole, some = store.digest(), store.digest({"lang": "en"})
    assert (run("digest", articles, "articles").out, len(whole)) == (f"{whole}\n", 64)
    answer = run("digest", articles, "articles", "--where", '{"lang": "en"}')
    assert (answer.out, answer.err) == (f"{some}\n", "")
    assert run("digest", articles, "articles", "--json").json == {"store": "articles", "digest": whole}
    assert run("digest", f"{articles}?mode=ro", "articles").out == f"{whole}\n"


@pytest.mark.parametrize("arguments", [["articels"], ["articles", "--where", '{"lnag": "en"}'], ["articles", "more"]])
def test_digest_refuses_what_is_wrong(run: Run, articles: str, arguments: list[str]) -> None:
    answer = run("digest", articles, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1


def odd_records() -> list[Record]:
    values = {"name": HOSTILE_TEXT, "n": 2**53, "x": -0.1, "ok": False, "tags": ["b", "a", "b", ""], "id": "inner"}
    return [
        Record("1", [0.1, -1e-7], HOSTILE_TEXT, values),
        Record("2", [3, 4], None, {"metadata": {"metadata": [None, 1, 1.0, True]}, "text": "inner", "big": 10**30}),
        Record("3", [1, 1], "", {"tags": [], "name": "", "vector": None}),
        Record(HOSTILE_TEXT, [5, 6], "x", {}),
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_export_and_add_give_the_same_records(run: Run, url: str, tmp_path: Path, kind: str, dtype: str) -> None:
    declared = {
        "name": fields.Keyword(), "n": fields.Int(), "x": fields.Float(), "ok": fields.Bool(),
        "tags": fields.Keywords(), "at": fields.DateTime(),
    }  # fmt: skip
    with vecstore.connect(url) as database:
        database.create("old", Schema(dim=2, dtype=dtype, fields=declared)).insert(odd_records())
        path = tmp_path / f"records.{kind}"
        assert run("export", url, "old", path, "--json").json["records"] == 4
        assert run("add", url, "new", path).code == 0
        old, new = database.open("old").scan(), database.open("new").scan()
        for one, other in zip(old, new, strict=True):
            assert one == other
            assert {key: repr(value) for key, value in one.metadata.items()} == {
                key: repr(value) for key, value in other.metadata.items()
            }


def test_export_is_typed_parquet(run: Run, articles: str, tmp_path: Path) -> None:
    assert run("export", articles, "articles", tmp_path / "x.pq", "--where", '{"lang": "en"}').code == 0
    table = parquet.read_table(tmp_path / "x.pq")
    assert table.column_names == ["id", "text", "vector", "lang", "year", "tags", "at", "metadata", "_version"]
    assert table.column("year").to_pylist() == [2020, 2021]
    assert table.column("vector").to_pylist()[0] == [1, 0, 0]
    assert table.column("metadata").to_pylist() == ['{"extra":{"deep":[1,null]}}', "{}"]
    assert not (tmp_path / "x.pq.part").exists()


def test_export_to_stdout_is_json_lines(run: Run, articles: str) -> None:
    header, *lines = run("export", articles, "articles", "--no-vectors").out.splitlines()
    assert list(json.loads(header)) == ["vecstore"]
    assert [json.loads(line)["id"] for line in lines] == ["a", "b", "c"]
    assert "vector" not in json.loads(lines[0])
    assert run("export", articles, "articles", "--no-vectors", "--no-header").out.splitlines() == lines


def test_export_replaces_nothing_unasked(run: Run, articles: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("precious")
    assert run("export", articles, "articles", path).code == 2
    assert path.read_text() == "precious"
    assert run("export", articles, "articles", path, "--overwrite").code == 0
    assert len(path.read_text().splitlines()) == 1 + len(ARTICLES)


@pytest.mark.parametrize("file", ["x.txt", "x", "x.csv"])
def test_export_wants_a_known_format(run: Run, articles: str, tmp_path: Path, file: str) -> None:
    answer = run("export", articles, "articles", tmp_path / file)
    assert (answer.code, "--format" in answer.err) == (2, True)


def test_export_to_where_nothing_can_be_written(run: Run, articles: str, tmp_path: Path) -> None:
    answer = run("export", articles, "articles", tmp_path / "no" / "x.jsonl")
    assert (answer.code, f"there is no directory {tmp_path}/no." in answer.err) == (2, True)
    answer = run("export", articles, "articles", "/proc/x.jsonl")
    assert (answer.code, answer.err) == (3, "vecstore: /proc: no file can be made there.\n")


def test_an_empty_store_exports_and_comes_back(run: Run, url: str, tmp_path: Path) -> None:
    with vecstore.connect(url) as database:
        database.create("s", Schema(dim=2))
    for kind in ("jsonl", "parquet"):
        path = tmp_path / f"x.{kind}"
        assert run("export", url, "s", path, "--json").json["records"] == 0
        assert run("add", url, "s", path, "--json").json["written"] == 0


def test_fields_of_the_fixture_are_declared(run: Run, articles: str) -> None:
    declared = run("info", articles, "articles", "--json").json["schema"]["fields"]
    assert declared == dict(option.split(":") for option in FIELDS[1::2])
