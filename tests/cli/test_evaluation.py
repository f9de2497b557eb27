"""`vecstore eval`: its answers on every backend, its refusals before any work, its exit codes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from tests.cli.conftest import Run
from tests.cli.places import place as place
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.places import redis_server as redis_server
from tests.cli.test_help_examples import list_examples
from tests.places import FilePlace
from vecstore import Flat, Record, Schema, fields
from vecstore.cli.evaluation import COMMANDS
from vecstore.testing import Place

pytestmark = pytest.mark.usefixtures("no_model")
KINDS = [command.__name__ for command in COMMANDS]


def fill(place: Place) -> str:
    """Make a store of two clusters, whose ids are words, with one odd record."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 6)) + np.where(np.arange(60) % 2, 5, -5)[:, None] * [1, 0, 0, 0, 0, 0]
    vectors[59] = [0, 0, 90, 0, 0, 0]
    vectors[58] = vectors[56] * 1.01
    with place.connect() as database:
        store = database.create("words", Schema(dim=6, fields={"kind": fields.Keyword()}, index=Flat()))
        store.upsert(
            Record(f"w{row:02}", vector.astype(np.float32), None, {"kind": "ab"[row % 2], "n": float(vector[1])})
            for row, vector in enumerate(vectors)
        )
    return place.url


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = FilePlace(tmp_path_factory.mktemp("words") / "kb")
    yield fill(place)
    place.close()


def list_arguments(kind: str, folder: Path) -> list[str]:
    """Return the arguments of each kind that a store of vectors can answer."""
    (folder / "q.jsonl").write_text(
        '{"id": "q1", "vector": [5, 0, 0, 0, 0, 0]}\n{"id": 2, "vector": [-5, 0, 0, 0, 0, 0]}\n'
    )
    (folder / "qrels").write_text("q1 0 w01 1\nq1 0 w03 2\n2 0 w00 1\n")
    (folder / "analogies").write_text(": all\nw00 w01 w02 w03\nw00 w01 w02 nowhere\n")
    return {
        "search": ["--queries", f"{folder}/q.jsonl", "--qrels", f"{folder}/qrels"],
        "analogy": ["--questions", f"{folder}/analogies", "--ids"],
        "retrieve": ["--label", "kind"],
        "probe": ["--label", "kind"],
        "cluster": ["-k", "2", "--label", "kind"],
        "drift": ["--where", '{"kind": "a"}', "--against-where", '{"kind": "b"}'],
        "outliers": ["--known", '{"id": "w59"}'],
        "dedup": ["--threshold", "0.9999"],
    }.get(kind, [])


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "sts"])
def test_every_figure_has_its_baseline_and_n(run: Run, words: str, tmp_path: Path, kind: str) -> None:
    arguments = list_arguments(kind, tmp_path)
    answer = run("eval", kind, words, "words", *arguments, "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert (found["kind"], found["store"], found["seed"], found["enough"]) == (kind, "words", 0, True)
    assert found["figures"]
    for figure in found["figures"]:
        assert {"name", "value", "baseline", "against", "n"} <= set(figure)
        assert figure["n"] > 0
        assert figure["baseline"] is not None
    shown = run("eval", kind, words, "words", *arguments)
    assert shown.code == 0, shown.err
    assert "baseline" in shown.out
    assert "seed 0" in shown.err
    again = run("eval", kind, words, "words", *arguments, "--json")
    assert kind == "index" or again.out == answer.out


def measure(run: Run, url: str, folder: Path) -> dict[str, Any]:
    kinds = ["search", "retrieve", "outliers", "dedup", "health"]
    return {kind: run("eval", kind, url, "words", *list_arguments(kind, folder), "--json").json for kind in kinds}


def test_every_backend_gives_the_same_answers(run: Run, words: str, tmp_path: Path, place: Place) -> None:
    found, expected = measure(run, fill(place), tmp_path), measure(run, words, tmp_path)
    for kind, answer in found.items():
        for figure, other in zip(answer.pop("figures"), expected[kind].pop("figures"), strict=True):
            assert figure["value"] == pytest.approx(other["value"], abs=1e-5)
            assert (figure["n"], figure["against"]) == (other["n"], other["against"])
        for hit, other in zip(answer.pop("outliers", []), expected[kind].pop("outliers", []), strict=True):
            assert hit["distance"] == pytest.approx(other["distance"], abs=1e-5)
        answer.pop("exact", None)
        expected[kind].pop("exact", None)
        assert answer == expected[kind]
    assert found["dedup"]["groups"] == [["w56", "w58"]]


LIMITS = [
    ("index", ["--min-recall", "1"], ["--min-recall", "0.5"]),
    ("search", ["--min-ndcg", "1"], ["--min-ndcg", "0"]),
    ("retrieve", ["--min-precision", "1"], ["--min-precision", "0.5"]),
    ("probe", ["--min", "1.01"], ["--min", "0.8"]),
    ("cluster", ["--min-nmi", "1"], ["--min-nmi", "0.1"]),
    ("cluster", ["--min-silhouette", "0.999"], ["--min-silhouette", "0.1"]),
    ("drift", ["--max-auc", "0.6"], ["--max-auc", "1"]),
    ("drift", ["--max-js", "0.001"], ["--max-js", "1"]),
    ("health", ["--max-hubness", "-9"], ["--max-hubness", "99"]),
    ("health", ["--max-anisotropy", "-1"], ["--max-anisotropy", "1"]),
    ("dedup", ["--max-share", "0"], ["--max-share", "0.5"]),
    ("outliers", ["--min-auc", "1"], ["--min-auc", "0.9"]),
    ("analogy", ["--min-accuracy", "1"], ["--min-accuracy", "0"]),
]


@pytest.mark.parametrize("kind, beyond, within", LIMITS)
def test_a_figure_beyond_its_limit_is_exit_code_1(
    run: Run, words: str, tmp_path: Path, kind: str, beyond: list[str], within: list[str]
) -> None:
    arguments = list_arguments(kind, tmp_path)
    met = run("eval", kind, words, "words", *arguments, *within, "--json")
    assert (met.code, met.json["enough"]) == (0, True)
    if kind in {"index", "outliers"}:  # which are perfect here
        return
    missed = run("eval", kind, words, "words", *arguments, *beyond, "--json")
    assert (missed.code, missed.json["enough"]) == (1, False)
    assert "beyond the limit" in run("eval", kind, words, "words", *arguments, *beyond).err


def test_recall_too_low_is_exit_code_1(run: Run, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.calibration.recall.compute_recall", lambda *_: 0.5)
    assert run("eval", "index", words, "words", "--min-recall", "0.9").code == 1


REFUSED = [
    (["retrieve", "--label", "kinds"], "has metadata 'kinds'. Did you mean 'kind'?\n"),
    (["probe", "--label", "kinds"], "Did you mean 'kind'?"),
    (["probe", "--label", "kind", "--regress"], "has a number in 'kind'"),
    (["cluster", "--method", "magic"], "kmeans, hdbscan, dbscan"),
    (["cluster", "--min-nmi", "0.5"], "needs --label"),
    (["cluster", "--method", "dbscan", "-k", "3"], "finds the number of clusters itself"),
    (["drift"], "--against NAME"),
    (["drift", "--against-where", "{}"], "--against-where"),
    (["drift", "--against", "nothing"], "no store 'nothing'"),
    (["outliers", "--min-auc", "1"], "needs --known"),
    (["index", "--ef", "fast"], "list of whole numbers"),
    (["index", "--ef", "0"], "1 to 1,000"),
    (["health", "--where", '{"kind": "c"}'], "has 0 records that match, which are too few"),
    (["dedup", "--threshold", "2"], "metric cosine"),
    (["search", "--queries", "no", "--qrels", "no"], "no: there is no such file"),
    (["health", "--sample", "1"], "--sample"),
]


@pytest.mark.parametrize("arguments, names", REFUSED, ids=[" ".join(each[0]) for each in REFUSED])
def test_what_cannot_be_measured_is_refused(run: Run, words: str, arguments: list[str], names: str) -> None:
    answer = run("eval", arguments[0], words, "words", *arguments[1:])
    assert (answer.out, answer.err.count("\n")) == ("", 1)
    assert names in answer.err
    assert answer.code in {2, 3}
    assert run("eval", arguments[0], words, "words", *arguments[1:], "--json").error["exit_code"] == answer.code


@pytest.mark.parametrize(
    "name, content, names",
    [
        ("queries", "only-an-id\n", "Line 1"),
        ("queries", 'q\ttext\n{"id": "q", "text": "again"}\n', "Line 2 of"),
        ("queries", '{"id": "q"}\n', "Line 1"),
        ("queries", "{broken\n", "is not JSON"),
        ("queries", "", "has no query"),
        ("qrels", "q d 1\nq d x\n", "Line 2"),
        ("qrels", "a b c d e\n", "Line 1"),
        ("qrels", "query id grade\n", "has no judgement"),
        ("pairs", "a\tb\t1\na\tb\n", "Line 2"),
        ("pairs", "a\tb\tnan\n", "has no pair"),
        ("questions", "one two three\n", "Line 1"),
        ("questions", ": nothing\n", "has no question"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    run: Run, words: str, tmp_path: Path, name: str, content: str, names: str
) -> None:
    list_arguments("search", tmp_path)
    path = tmp_path / "broken"
    path.write_text(content)
    kinds = {
        "queries": ["search", "--qrels", f"{tmp_path}/qrels"], "qrels": ["search", "--queries", f"{tmp_path}/q.jsonl"],
        "pairs": ["sts"], "questions": ["analogy"],
    }  # fmt: skip
    kind, *rest = kinds[name]
    answer = run("eval", kind, words, "words", *rest, f"--{name}", path)
    assert answer.code == 2, answer.out
    assert names in answer.err


@pytest.mark.parametrize("kind", ["sts", "analogy", "search"])
def test_without_a_model_nothing_is_embedded(
    run: Run, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.delenv("VECSTORE_EMBEDDER")
    monkeypatch.setattr("vecstore.embedders.load", lambda _: pytest.fail("a model was loaded"))
    list_arguments("search", tmp_path)
    (tmp_path / "pairs").write_text("a\tb\t1\nc\td\t2\ne\tf\t3\n")
    (tmp_path / "q.tsv").write_text("q1\tsome text\n")
    options = {
        "sts": ["--pairs", f"{tmp_path}/pairs"],
        "analogy": ["--questions", f"{tmp_path}/analogies"],
        "search": ["--queries", f"{tmp_path}/q.tsv", "--qrels", f"{tmp_path}/qrels"],
    }
    answer = run("eval", kind, words, "words", *options[kind])
    assert (answer.code, "the model that made them is not known" in answer.err) == (2, True)


@pytest.fixture
def texts(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a store that the default model filled."""
    monkeypatch.delenv("VECSTORE_EMBEDDER")
    lines = ["A cat sat on a mat.", "A kitten lay on a rug.", "Stocks fell sharply.", "Shares lost value."]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"id": f"t{row}", "text": text}) + "\n" for row, text in enumerate(lines)))
    assert run("add", f"file:{tmp_path}/t", "words", path).code == 0
    return f"file:{tmp_path}/t"


def test_a_model_is_compared_with_people(run: Run, texts: str, tmp_path: Path) -> None:
    pairs = [
        ("cat", "kitten", 5), ("cat", "mat", 3), ("cat", "stocks", 0), ("stocks", "shares", 5), ("rug", "mat", 4),
        ("rug", "shares", 0.5),
    ]  # fmt: skip
    (tmp_path / "pairs").write_text("first\tsecond\tscore\n" + "".join(f"{a}\t{b}\t{score}\n" for a, b, score in pairs))
    answer = run("eval", "sts", texts, "words", "--pairs", tmp_path / "pairs", "--json", "--min-spearman", "0.5")
    assert answer.code == 0, answer.err
    spearman, pearson = answer.json["figures"]
    assert spearman["n"] == 6
    assert spearman["value"] > 0.5 > spearman["baseline"]
    assert pearson["against"] == "common words"
    (tmp_path / "q").write_text("q1\tcats\nq2\tstock market\n")
    (tmp_path / "r").write_text("q1\tt0\t1\nq1\tt1\t1\nq2\tt2\t2\nq2\tt3\t1\n")
    judged = ("--queries", tmp_path / "q", "--qrels", tmp_path / "r", "-k", "2")
    found = run("eval", "search", texts, "words", *judged, "--against", "words", "--json").json
    assert found["figures"][0]["value"] > found["figures"][0]["baseline"]
    assert [each["value"] for each in found["figures"][5:]] == [0] * 5  # the same store is as good
    (tmp_path / "a").write_text("cat kitten dog puppy\n")
    assert run("eval", "analogy", texts, "words", "--questions", tmp_path / "a", "--json").json["words"] == 4


def test_a_sample_is_capped_and_said(run: Run, words: str) -> None:
    answer = run("eval", "health", words, "words", "--sample", "20", "--seed", "7")
    assert "20 of 60 records, seed 7" in answer.err
    found = run("eval", "health", words, "words", "--sample", "20", "--seed", "7", "--json").json
    assert (found["sample"], found["figures"][0]["n"], found["seed"]) == (20, 20, 7)


def test_the_help_of_every_kind_has_an_example(run: Run, words: str, tmp_path: Path) -> None:
    assert KINDS == [
        "index", "search", "sts", "analogy", "retrieve", "probe", "cluster", "drift", "outliers", "health", "dedup",
    ]  # fmt: skip
    for command in COMMANDS:
        help_ = run("eval", command.__name__, "--help")
        assert help_.code == 0
        assert "seed" in help_.out
        assert list_examples(command.__doc__), command.__name__


def test_the_examples_run(run: Run, words: str) -> None:
    lines = [line for command in COMMANDS for line in list_examples(command.__doc__) if " words" in line]
    assert len(lines) == 6
    for line in lines:
        answer = run(*shlex.split(line.replace("file:./kb", words))[1:])
        assert (answer.code, bool(answer.out)) == (0, True), line


def test_a_read_only_place_is_measured(run: Run, words: str) -> None:
    answer = run("eval", "index", f"{words}&mode=ro" if "?" in words else f"{words}?mode=ro", "words", "--json")
    assert answer.code == 0, answer.err
    with vecstore.connect(words) as database:
        assert database.open("words").count() == 60
