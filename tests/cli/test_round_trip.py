"""`vecstore export` and `vecstore add` are one round trip: the same records in the same store, on every backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from tests.cli.conftest import Run
from tests.cli.places import BACKENDS, make_place
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.places import redis_server as redis_server
from tests.places import MemoryPlace
from vecstore import HNSW, Database, Flat, Record, Schema, fields
from vecstore.cli import reading, writing
from vecstore.embedders import FunctionEmbedder, WordLlamaEmbedder
from vecstore.testing import Place

DECLARED = {
    "name": fields.Keyword(), "tags": fields.Keywords(), "n": fields.Int(), "x": fields.Float(), "ok": fields.Bool(),
    "at": fields.DateTime(), "metadata": fields.Keyword(),
}  # fmt: skip
MOMENT = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def odd_records() -> list[Record]:
    """Make records that formats lose: extremes of each type, empty values, keys that are names of columns."""
    return [
        Record("1", [1e-7, -0.0], "", {"name": "", "tags": [], "n": -(2**53), "x": -0.0, "ok": False, "at": MOMENT}),
        Record("2", [3, 4], None, {"tags": ["b", "a", "b", ""], "n": 2**53, "x": 5e-324, "ok": True}),
        Record("3", [1 / 3, 0.1], "a\u2028b\x85\r\n\t\x7f\U0001f600\u202e", {"x": 1.7976931348623157e308, "n": 0}),
        Record("4", [1, 1], "x", {"x": 3, "metadata": "declared", "vector": [1, 2], "text": "inner", "id": "inner"}),
        Record("5", [1, 2], "x", {"tuple": (1, (2, None)), "none": None, "deep": [None, {"a": None}], "big": 10**400}),
        Record("6", [2, 1], "x", {"1": 1, "1.0": 1.0, "true": True, "e": 1e22, "neg": -0.0, "embedding": [1, 2]}),
        Record("7", [2, 3], "x", {"vecstore": {"format": 1}, "at": datetime(2024, 1, 1, tzinfo=UTC)}),
        Record("é\n'\"#%", [5, 6], "x", {"": "empty key", "at ": "2024-01-01T00:00:00Z", "Page Number": 3}),
    ]


@contextmanager
def reach_memory(place: Place) -> Iterator[None]:
    """Let the commands reach a place in this process, which no URL names."""
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(place, MemoryPlace):
            for module in (reading, writing):
                patch.setattr(module, "connect", lambda _: reach(place))
            patch.setattr(writing, "check_durable", lambda _: None)  # the place outlives the command here
        yield


def reach(place: Place) -> AbstractContextManager[Database]:
    """Open a place; closing one in this process would close it for good."""
    return nullcontext(place.connect()) if isinstance(place, MemoryPlace) else place.connect()


def describe(database: Database, name: str) -> tuple[Any, Any]:
    store = database.open(name)
    identity = store.embedder_identity
    return store.schema, None if identity is None else identity.to_json()


def raw(place: Place, name: str) -> Mapping[str, Any]:
    found = place.raw(name)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("target", ["memory", *BACKENDS])
@pytest.mark.parametrize("source", ["memory", *BACKENDS])
def test_from_each_backend_to_each(
    run: Run, request: pytest.FixtureRequest, tmp_path: Path, no_model: None, source: str, target: str, kind: str
) -> None:
    old, new = (
        MemoryPlace() if each == "memory" else make_place(each, request, tmp_path / number)
        for number, each in enumerate_names(source, target)
    )
    schema = Schema(2, "l2", "float16", HNSW(m=5, ef_construction=33, target_recall=0.5), DECLARED)
    identity = FunctionEmbedder(lambda texts: np.ones((len(texts), 2)), dim=2, name="mine").identity
    with reach(old) as database:
        database.create("s", schema, identity=identity).insert(odd_records())
    path = tmp_path / f"x.{kind}"
    with reach_memory(old):
        assert run("export", old.url, "s", path, "--json").json["records"] == 8
    with reach_memory(new):
        report = run("add", new.url, "copy", path, "--json")
        assert report.code == 0, report.err
        assert report.json["written"] == 8
        again = run("add", new.url, "copy", path, "--json").json
        assert (again["written"], again["unchanged"], again["notes"]) == (0, 8, [])
    with reach(old) as database, reach(new) as other:
        assert describe(other, "copy") == describe(database, "s")
        assert describe(other, "copy")[0].index == schema.index
    ours, theirs = raw(old, "s"), raw(new, "copy")
    assert sorted(ours) == sorted(theirs)
    for id_, record in ours.items():
        assert (record.text, record.vector) == (theirs[id_].text, theirs[id_].vector)
        assert_same_values(record.metadata, theirs[id_].metadata)
    old.close()
    new.close()


def enumerate_names(*names: str) -> list[tuple[str, str]]:
    return [(f"{number}-{name}", name) for number, name in enumerate(names)]


def assert_same_values(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Compare as text, because 1, 1.0 and True are equal; tuples are stored as lists."""
    assert {key: repr(listed(value)) for key, value in ours.items()} == {
        key: repr(listed(value)) for key, value in theirs.items()
    }


def listed(value: Any) -> Any:
    return [listed(each) for each in value] if isinstance(value, list | tuple) else value


def test_what_comes_back_is_as_documented(run: Run, url: str, tmp_path: Path, no_model: None) -> None:
    with vecstore.connect(url) as database:
        database.create("s", Schema(2, fields=DECLARED)).insert(odd_records())
        assert run("export", url, "s", tmp_path / "x.jsonl").code == 0
        assert run("add", url, "copy", tmp_path / "x.jsonl").code == 0
        found = {record.id: dict(record.metadata) for record in database.open("copy").scan()}
    assert found["1"]["at"] == MOMENT
    assert found["5"] == {"tuple": [1, [2, None]], "deep": [None, {"a": None}], "big": 10**400}
    assert repr(found["4"]["x"]) == "3.0"


def test_a_store_of_documents_comes_back_with_its_model(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Tea\n\nIt is hot.\n")
    run("add", url, "s", tmp_path / "docs", "--field", "year:int", "--metric", "ip", "--index", "flat")
    exported = run("export", url, "s").out.encode()
    assert run("add", url, "copy", "-", "--json", stdin=exported).json["written"] == 1
    old, new = (run("info", url, name, "--json").json for name in ("s", "copy"))
    assert (old["schema"], old["embedder"]) == (new["schema"], new["embedder"])
    assert new["embedder"]["kind"] == "wordllama"
    assert run("search", url, "copy", "hot drinks").code == 0
    assert run("add", url, "copy", tmp_path / "docs", "--json").json["unchanged"] == 1


def test_texts_alone_are_embedded_by_the_same_model(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("It is hot.\n")
    run("add", url, "s", tmp_path / "a.md")
    path = tmp_path / "x.jsonl"
    run("export", url, "s", path, "--no-vectors")
    assert run("add", url, "copy", path).code == 0
    with vecstore.connect(url) as database:
        assert describe(database, "s") == describe(database, "copy")
        assert list(database.open("s").scan()) == list(database.open("copy").scan())


def test_another_model_is_refused_by_name(run: Run, url: str, tmp_path: Path) -> None:
    other = FunctionEmbedder(lambda texts: np.ones((len(texts), 256)), dim=256, name="mine")
    with vecstore.connect(url) as database:
        database.create("s", Schema(), embedder=other).insert([Record("1", text="hello")])
        database.create("words", Schema(), embedder=WordLlamaEmbedder()).insert([Record("1", text="hello")])
    for options in (["--no-vectors"], []):
        path = tmp_path / f"x{len(options)}.jsonl"
        run("export", url, "s", path, *options)
        answer = run("add", url, "copy", path, "--embedder", "wordllama")
        assert (answer.code, "mine" in answer.err, "wordllama" in answer.err) == (2, True, True)
    answer = run("add", url, "words", tmp_path / "x0.jsonl")
    assert (answer.code, "mine" in answer.err, "wordllama" in answer.err) == (2, True, True)
    run("export", url, "s", tmp_path / "plain.jsonl", "--no-vectors", "--no-header")
    assert run("add", url, "copy", tmp_path / "plain.jsonl", "--embedder", "wordllama").code == 0


def test_texts_of_given_vectors_need_a_model_s_name(run: Run, articles: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    run("export", articles, "articles", path, "--no-vectors")
    answer = run("add", articles, "copy", path)
    assert (answer.code, "--embedder" in answer.err) == (2, True)
    assert run("add", articles, "copy", path, "--embedder", "wordllama").code == 0
    schema = run("info", articles, "copy", "--json").json["schema"]
    assert (schema["dim"], schema["fields"]["lang"]) == (256, "keyword")


OPTIONS = {
    ("--metric", "l2"): ("metric", "cosine", "l2"), ("--dtype", "float16"): ("dtype", "float32", "float16"),
    ("--dim", "4"): ("dim", "3", "4"), ("--field", "year:float"): ("field year", "int", "float"),
    ("--index", "flat"): ("index", "HNSW", "Flat"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_differs_from_the_export_names_both(
    run: Run, articles: str, tmp_path: Path, kind: str, option: tuple[str, str]
) -> None:
    path = tmp_path / f"x.{kind}"
    run("export", articles, "articles", path)
    answer = run("add", articles, "copy", path, *option)
    what, fact, wish = OPTIONS[option]
    assert answer.code == 2
    assert f"{path} was exported from a store whose {what} is {fact}" in answer.err
    assert f", not {wish}" in answer.err
    assert "copy" not in run("ls", articles).out


def test_options_that_agree_or_add_a_field(run: Run, articles: str, tmp_path: Path) -> None:
    run("export", articles, "articles", tmp_path / "x.jsonl")
    options = ("--metric", "cosine", "--dtype", "float32", "--dim", "3", "--field", "year:int", "--field", "b:bool")
    assert run("add", articles, "copy", tmp_path / "x.jsonl", *options).code == 0
    declared = run("info", articles, "copy", "--json").json["schema"]["fields"]
    assert declared == {"lang": "keyword", "year": "int", "tags": "keywords", "at": "datetime", "b": "bool"}


def test_columns_of_an_export_are_known(run: Run, articles: str, tmp_path: Path) -> None:
    run("export", articles, "articles", tmp_path / "x.jsonl")
    answer = run("add", articles, "copy", tmp_path / "x.jsonl", "--text-column", "body")
    assert (answer.code, "is an export" in answer.err) == (2, True)


def test_an_existing_store_keeps_its_schema_and_says_what_differs(run: Run, articles: str, tmp_path: Path) -> None:
    run("export", articles, "articles", tmp_path / "x.jsonl")
    with vecstore.connect(articles) as database:
        database.create("other", Schema(3, "l2"))
        database.create("narrow", Schema(2))
    report = run("add", articles, "other", tmp_path / "x.jsonl", "--json").json
    assert report["written"] == 3
    (said,) = report["notes"]
    assert "metric is l2, not cosine" in said
    assert "field year is not declared, not int" in said
    answer = run("add", articles, "narrow", tmp_path / "x.jsonl")
    assert (answer.code, "of 3 dimensions" in answer.err, "has 2" in answer.err) == (2, True, True)


def test_two_exports_of_one_store_are_added_together(run: Run, articles: str, tmp_path: Path) -> None:
    one, two = tmp_path / "1.jsonl", tmp_path / "2.parquet"
    run("export", articles, "articles", one, "--where", '{"lang": "en"}')
    run("export", articles, "articles", two, "--where", '{"lang": "de"}')
    assert run("add", articles, "copy", one, two, "--json").json["written"] == 3
    both = one.read_bytes() + run("export", articles, "articles", "--where", '{"lang": "de"}').out.encode()
    assert run("add", articles, "joined", "-", "--json", stdin=both).json["written"] == 3


def test_exports_of_two_stores_are_not_mixed(run: Run, articles: str, tmp_path: Path) -> None:
    with vecstore.connect(articles) as database:
        database.create("other", Schema(3, "l2")).insert([Record("1", [1, 2, 3])])
    one, two = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    run("export", articles, "articles", one)
    run("export", articles, "other", two)
    answer = run("add", articles, "copy", one, two)
    assert (answer.code, f"{one} and {two} were exported from stores that differ" in answer.err) == (2, True)
    answer = run("add", articles, "copy", "-", stdin=one.read_bytes() + two.read_bytes())
    assert (answer.code, "stdin, line 5: an export of another store begins here" in answer.err) == (2, True)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_empty_store_comes_back(run: Run, url: str, tmp_path: Path, no_model: None, kind: str) -> None:
    with vecstore.connect(url) as database:
        database.create("s", Schema(2, "ip", index=Flat(), fields=DECLARED))
        run("export", url, "s", tmp_path / f"x.{kind}")
        report = run("add", url, "copy", tmp_path / f"x.{kind}", "--json").json
        assert (report["created"], report["written"]) == (True, 0)
        assert describe(database, "copy") == describe(database, "s")


def test_an_export_of_which_nothing_can_be_stored_makes_no_store(run: Run, articles: str, tmp_path: Path) -> None:
    header = run("export", articles, "articles").out.splitlines()[0]
    (tmp_path / "x.jsonl").write_text(f"{header}\noops\n")
    for skip in ([], ["--skip-bad"]):
        assert run("add", articles, "copy", tmp_path / "x.jsonl", *skip).code == 2
        assert "copy" not in run("ls", articles).out


def test_a_store_that_is_rebuilt_during_the_export(
    run: Run, articles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecstore.cli import exports

    read = exports._read_pages

    def rebuild_first(*arguments: Any) -> Iterator[list[Record]]:
        for number, page in enumerate(read(*arguments)):
            if not number:
                with vecstore.connect(articles) as database:
                    schema = database.open("articles").schema
                    database.rebuild("articles", schema=Schema(schema.dim, "l2", fields=schema.fields))
            yield page

    monkeypatch.setattr(exports, "_read_pages", rebuild_first)
    monkeypatch.setattr(exports, "_PAGE", 1)
    answer = run("export", articles, "articles", tmp_path / "x.jsonl")
    assert (answer.code, "was rebuilt during the export" in answer.err) == (3, True)
    assert [path.name for path in tmp_path.iterdir()] == ["kb"]
